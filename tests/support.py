"""Small real things that several tests build on."""

import sys
from types import ModuleType

import numpy as np
import torch

from smac.agents import AGENTS, agent_class
from smac.agents.base import Agent
from smac.checkpoint import Description
from smac.data.replay import Batch
from smac.data.transitions import Episode, Transitions
from smac.envs import env_spec
from smac.streams import Streams
from smac.tasks import get_task
from smac.training.recorder import describe

OBS, ACT = 3, 2
SMALL = {"hidden": (16, 16), "batch_size": 8}
SMALLER = {"cql": {"cql_actions": 3}, "cal_ql": {"cql_actions": 3}, "smac": {"diffusion_hidden": (16,)}}


def random_batch(
    seeds: list[int], size: int = 8, purpose: str = "batch", observation_dim: int = OBS
) -> Batch:
    draws = Streams(seeds, purpose)
    return Batch(
        observations=draws.normal(size, observation_dim),
        actions=1.8 * draws.uniform(size, ACT) - 0.9,
        next_observations=draws.normal(size, observation_dim),
        rewards=-draws.uniform(size),
        masks=(draws.uniform(size) > 0.2).float(),
        mc_returns=-5 * draws.uniform(size),
        outcomes=draws.normal(size),
        scores=draws.normal(size, ACT),
    )


def toy_agent(algorithm: str, seeds: list[int], **options: object) -> Agent:
    """An agent with small networks for `random_batch`."""
    kind = AGENTS[algorithm]
    return kind(kind.Config(**SMALL | SMALLER.get(algorithm, {}) | options), OBS, ACT, seeds)


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


def run(program: ModuleType, line: str, *paths: object) -> int:
    """The exit status of a command line, in this process."""
    sys.argv = [program.__name__.split(".")[-1], *line.split(), *map(str, paths)]
    try:
        program.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
