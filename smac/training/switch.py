"""The switch: what an online agent loads from offline checkpoints, one per seed.

By default it is a continuation: networks, targets, and what the optimisers remember. The temperature follows
one rule for all methods, since some have learned one and some have not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from smac.agents.base import Agent
from smac.agents.convert import convert, convert_moments
from smac.agents.sac import SAC
from smac.checkpoint import Checkpoint
from smac.errors import UserError
from smac.optim import MOMENTS
from smac.streams import Streams

OptimiserState = Literal["keep", "reset"]
TemperatureRule = Literal["entropy", "learned"] | float

BALANCE_STATES, BALANCE_SAMPLES = 256, 32  # of the rule `entropy`


def switch(
    agent: Agent,
    checkpoints: Sequence[Checkpoint],
    *,
    initialise_critic: bool = False,
    optimiser_state: OptimiserState = "keep",
    temperature: TemperatureRule = "entropy",
) -> None:
    """Carry actor, critics, targets and temperature over, converted if need be.

    Optimisers continue from the checkpoint's moments, as far as it holds them for the same parameters and the
    same kind of optimiser, or with `reset` start afresh. It matters: Adam's first steps without moments, and
    every step of Muon, have full size whatever the loss. The rule `entropy` needs states that the agent has
    visited, see `balance_temperature`; until then the temperature stays as it came.
    """
    if len(checkpoints) != len(agent.seeds):
        raise UserError(f"{len(checkpoints)} checkpoints for {len(agent.seeds)} seeds")
    agent.load_tensors(
        [
            convert(checkpoint.tensors, agent.tensors(k), initialise_critic=initialise_critic)
            for k, checkpoint in enumerate(checkpoints)
        ]
    )
    if optimiser_state == "keep":
        _keep_moments(agent, checkpoints)
    if isinstance(agent, SAC):
        _begin_temperature(agent, checkpoints, temperature)


def _keep_moments(agent: Agent, checkpoints: Sequence[Checkpoint]) -> None:
    for checkpoint in checkpoints:
        if not any(name.startswith(MOMENTS) for name in checkpoint.tensors):
            raise UserError(
                f"{checkpoint.path}: holds no state of its optimisers to keep; only the last checkpoint of a "
                "phase does. Use --optimiser-state reset"
            )
    agent.load_moments([convert_moments(checkpoint.tensors, agent.tensors(0)) for checkpoint in checkpoints])


def _begin_temperature(agent: SAC, checkpoints: Sequence[Checkpoint], rule: TemperatureRule) -> None:
    if isinstance(rule, float | int):
        agent.set_temperature(float(rule))
    elif rule == "learned":
        for checkpoint in checkpoints:
            if "log_alpha" not in checkpoint.tensors:
                raise UserError(
                    f"{checkpoint.path}: {checkpoint.description.algorithm} has learned no temperature; use "
                    "--temperature-at-switch entropy, or a number"
                )


def balance_temperature(agent: SAC, observations: Tensor) -> None:
    """Set the temperature by the rule `entropy` on states of its own experience, [seeds, n, observation].

    Call it before the first update: some of the states and their actions are drawn, the same ones whatever
    the agent drew before.
    """
    noise = Streams(agent.seeds, "switch/temperature", agent.device)
    index = noise.integers(observations.shape[1], BALANCE_STATES)
    chosen = torch.stack([states[i] for states, i in zip(observations, index, strict=True)])
    draws = noise.normal(BALANCE_STATES * BALANCE_SAMPLES, agent.action_dim)
    agent.set_temperature(agent.balanced_temperature(chosen, draws))
