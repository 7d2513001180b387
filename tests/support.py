"""Small real things that several tests build on."""

import numpy as np
import torch

from smac.agents import agent_class
from smac.checkpoint import Description
from smac.data.transitions import Episode, Transitions
from smac.envs import env_spec
from smac.tasks import get_task
from smac.training.recorder import describe


def toy_transitions(count: int, observation_dim: int, action_dim: int) -> Transitions:
    """Random episodes of ten steps."""
    rng = np.random.default_rng(0)
    episodes = [
        Episode(
            observations=rng.normal(size=(11, observation_dim)).astype(np.float32),
            actions=rng.uniform(-1, 1, size=(10, action_dim)).astype(np.float32),
            rewards=np.full(10, -1, np.float32),
            success=np.zeros(10, bool),
            terminated=False,
            truncated=True,
        )
        for _ in range(count // 10)
    ]
    return Transitions.from_episodes(episodes, discount=0.99, failure_reward=-1.0)


def small_agent(task: str = "pointmaze-umaze", algorithm: str = "sac", seed: int = 0, **config: object):
    """An untrained agent of a real task with small networks, and the description its checkpoint would
    carry."""
    dims, kind = env_spec(get_task(task)), agent_class(algorithm)
    options = {"hidden": (16, 16)} | config
    agent = kind(kind.Config(**options), dims.observation_dim, dims.action_dim, [seed])
    return agent, describe(agent, get_task(task), "offline", step=0, k=0)


def described(description: Description, **changes: object) -> Description:
    return Description(**{**vars(description), **changes})


def assert_same_tensors(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert torch.equal(a[name], b[name]), name
