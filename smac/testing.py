"""What every algorithm must keep to, as a check for packages of one's own: `check_algorithm(Mine)`."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from smac.agents import ONLINE, registered_name
from smac.agents.base import ActorCritic, Agent, AgentConfig, Metrics
from smac.agents.convert import convert
from smac.checkpoint import Description, load_checkpoint, save_checkpoint
from smac.data.replay import Batch, OfflineData
from smac.data.transitions import Episode, Transitions
from smac.files import from_plain
from smac.streams import Streams
from smac.training.state import restore, state_of
from smac.trees import Tree, read_tree, write_tree

OBSERVATION, ACTION, ROWS = 3, 2, 8


def check_algorithm(kind: type[Agent], config: AgentConfig | None = None, *, updates: int = 3) -> None:
    """AssertionError, with what is wrong, unless an algorithm does what ours do.

    Seed k alone trains as seed k in a stack; a state that was saved to a file and read again continues bit
    for bit; a checkpoint holds all that a fresh agent needs, and what its optimisers remember; metrics are
    one number per seed; a phase before the offline one can be carried out and saved; every online algorithm
    can start from it, without critics with new ones. `config` has small networks if not given. UserError for
    a class that is not registered, or an attribute whose state cannot be saved.
    """
    registered_name(kind)
    config = config or kind.Config(hidden=(16, 16), batch_size=ROWS)
    _check_stack(kind, config, updates)
    _check_resume(kind, config, updates)
    _check_checkpoint(kind, config, updates)
    _check_preparation(kind, config, updates)
    _check_switch(kind, config, updates)


def trained(kind: type[Agent], config: AgentConfig, seeds: list[int], updates: int) -> Agent:
    agent = kind(config, OBSERVATION, ACTION, seeds)
    for step in range(updates):
        _check_metrics(agent.update(random_batch(seeds, purpose=f"batch {step}")), len(seeds))
    return agent


def _check_metrics(metrics: Metrics, seeds: int) -> None:
    for name, value in metrics.items():
        assert value.shape == (seeds,), f"metric {name!r} has shape {tuple(value.shape)}, not [seeds]"


def random_batch(
    seeds: list[int], size: int = ROWS, purpose: str = "batch", observation_dim: int = OBSERVATION
) -> Batch:
    """Transitions [seeds, size, .] with every column that a batch can have, drawn seed by seed."""
    draws = Streams(seeds, purpose)
    return Batch(
        observations=draws.normal(size, observation_dim),
        actions=1.8 * draws.uniform(size, ACTION) - 0.9,
        next_observations=draws.normal(size, observation_dim),
        rewards=-draws.uniform(size),
        masks=(draws.uniform(size) > 0.2).float(),
        mc_returns=-5.0 * draws.uniform(size),
        outcomes=draws.normal(size),
        scores=draws.normal(size, ACTION),
    )


def random_transitions(count: int, observation_dim: int, action_dim: int) -> Transitions:
    """Random failing episodes of ten steps."""
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


def _check_stack(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    both, alone = trained(kind, config, [3, 4], updates), trained(kind, config, [4], updates)
    for name, tensor in alone.tensors(0).items():
        close = torch.allclose(tensor, both.tensors(1)[name], rtol=1e-4, atol=1e-5)
        assert close, f"tensor {name!r} of seed 4 depends on which other seeds are in the stack"


def _check_resume(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    agent = trained(kind, config, [0], updates)
    twin = kind(config, OBSERVATION, ACTION, [0])
    restore(twin, _through_a_file(state_of(agent)))
    for one in (agent, twin):
        one.update(random_batch([0], purpose="after"))
    for name, tensor in agent.tensors(0).items():
        assert torch.equal(tensor, twin.tensors(0)[name]), f"tensor {name!r} differs after a resume"


def _through_a_file(state: Tree) -> Tree:
    with tempfile.TemporaryDirectory() as folder:
        return read_tree(write_tree(Path(folder) / "state.safetensors", state))


def _check_checkpoint(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    agent = trained(kind, config, [0], updates)
    about = Description(
        task="check", algorithm=registered_name(kind), moment="offline", step=updates, seed=0,
        observation_dim=OBSERVATION, action_dim=ACTION, config=asdict(config),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = save_checkpoint(Path(folder) / "check.safetensors", agent.tensors(0), about)
        found = load_checkpoint(path)
    again = kind(from_plain(kind.Config, found.description.config), OBSERVATION, ACTION, [0])
    again.load_tensors([found.tensors])
    observations = random_batch([0], purpose="acting").observations
    assert torch.equal(agent.actor.act(observations), again.actor.act(observations)), (
        "the policy of a checkpoint differs from the one that was saved"
    )
    saved = agent.moments(0)
    again.load_moments([saved])
    for name, tensor in again.moments(0).items():
        assert torch.equal(tensor, saved[name]), f"what the optimisers remember, {name!r}, is not loaded"


def _check_preparation(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    agent = kind(config, OBSERVATION, ACTION, [0])
    data = OfflineData(random_transitions(10 * ROWS, OBSERVATION, ACTION), [0])
    phase = agent.prepare(data, horizon=10)
    for _ in range(updates if phase else 0):
        assert phase is not None
        _check_metrics(phase.update(data.sample(ROWS)), 1)
    if phase:
        _through_a_file(state_of(phase.trainer))
    agent.complete(data)
    agent.update(data.sample(ROWS))


def _check_switch(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    source = trained(kind, config, [0], updates)
    new_critic = not isinstance(source, ActorCritic)
    observations = random_batch([0], purpose="acting").observations
    for name, online in ONLINE.items():
        agent = online(online.Config(hidden=config.hidden, batch_size=ROWS), OBSERVATION, ACTION, [0])
        agent.load_tensors([convert(source.tensors(0), agent.tensors(0), initialise_critic=new_critic)])
        same = torch.equal(agent.actor.act(observations), source.actor.act(observations))
        assert same, f"the mean action changes at the switch to {name}"
