"""What every algorithm must keep to, as a check for packages of one's own: `check_algorithm(Mine)`."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

import torch

from smac.agents import ONLINE, registered_name
from smac.agents.base import ActorCritic, Agent, AgentConfig
from smac.agents.convert import convert
from smac.checkpoint import Description, load_checkpoint, save_checkpoint
from smac.data.replay import Batch
from smac.files import from_plain
from smac.streams import Streams
from smac.training.state import restore, state_of

OBSERVATION, ACTION, ROWS = 3, 2, 8


def check_algorithm(kind: type[Agent], config: AgentConfig | None = None, *, updates: int = 3) -> None:
    """AssertionError, with what is wrong, unless an algorithm does what ours do.

    Seed k alone trains as seed k in a stack; a saved state continues bit for bit; a checkpoint holds all that
    a fresh agent needs; metrics are one number per seed; with critics, every online algorithm can start from
    it. `config` has small networks if not given.
    """
    registered_name(kind)
    config = config or kind.Config(hidden=(16, 16), batch_size=ROWS)
    _check_stack(kind, config, updates)
    _check_resume(kind, config, updates)
    _check_checkpoint(kind, config, updates)
    _check_switch(kind, config, updates)


def trained(kind: type[Agent], config: AgentConfig, seeds: list[int], updates: int) -> Agent:
    agent = kind(config, OBSERVATION, ACTION, seeds)
    for step in range(updates):
        metrics = agent.update(random_batch(seeds, f"batch {step}"))
        for name, value in metrics.items():
            assert value.shape == (len(seeds),), (
                f"metric {name!r} has shape {tuple(value.shape)}, not [seeds]"
            )
    return agent


def random_batch(seeds: list[int], purpose: str) -> Batch:
    """Transitions [seeds, rows, .] with every column that a batch can have, drawn seed by seed."""
    draws = Streams(seeds, purpose)
    return Batch(
        observations=draws.normal(ROWS, OBSERVATION),
        actions=1.8 * draws.uniform(ROWS, ACTION) - 0.9,
        next_observations=draws.normal(ROWS, OBSERVATION),
        rewards=-draws.uniform(ROWS),
        masks=(draws.uniform(ROWS) > 0.2).float(),
        mc_returns=-5.0 * draws.uniform(ROWS),
        outcomes=draws.normal(ROWS),
        scores=draws.normal(ROWS, ACTION),
    )


def _check_stack(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    both, alone = trained(kind, config, [3, 4], updates), trained(kind, config, [4], updates)
    for name, tensor in alone.tensors(0).items():
        close = torch.allclose(tensor, both.tensors(1)[name], rtol=1e-4, atol=1e-5)
        assert close, f"tensor {name!r} of seed 4 depends on which other seeds are in the stack"


def _check_resume(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    agent = trained(kind, config, [0], updates)
    state = deepcopy(state_of(agent))
    twin = kind(config, OBSERVATION, ACTION, [0])
    restore(twin, state)
    for one in (agent, twin):
        one.update(random_batch([0], "after"))
    for name, tensor in agent.tensors(0).items():
        assert torch.equal(tensor, twin.tensors(0)[name]), f"tensor {name!r} differs after a resume"


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
    observations = random_batch([0], "acting").observations
    assert torch.equal(agent.actor.act(observations), again.actor.act(observations)), (
        "the policy of a checkpoint differs from the one that was saved"
    )


def _check_switch(kind: type[Agent], config: AgentConfig, updates: int) -> None:
    source = trained(kind, config, [0], updates)
    if not isinstance(source, ActorCritic):
        return
    observations = random_batch([0], "acting").observations
    for name, online in ONLINE.items():
        agent = online(online.Config(hidden=config.hidden, batch_size=ROWS), OBSERVATION, ACTION, [0])
        agent.load_tensors([convert(source.tensors(0), agent.tensors(0))])
        same = torch.equal(agent.actor.act(observations), source.actor.act(observations))
        assert same, f"the mean action changes at the switch to {name}"
