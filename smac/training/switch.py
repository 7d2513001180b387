"""The switch: what an online agent takes over from offline checkpoints, one per seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from smac.agents.base import Agent
from smac.agents.convert import convert, convert_moments
from smac.checkpoint import Checkpoint
from smac.errors import UserError
from smac.optim import MOMENTS

Momenta = Literal["reset", "keep"]


def switch(
    agent: Agent,
    checkpoints: Sequence[Checkpoint],
    *,
    initialise_critic: bool = False,
    momenta: Momenta = "reset",
) -> None:
    """Carry actor, critics, targets and temperature over, converted if need be.

    Optimisers start afresh, or with `momenta="keep"` from the checkpoint's moments, as far as it holds them
    for the same parameters and the same kind of optimiser. It matters: Adam's first steps without moments,
    and every step of Muon, have full size whatever the loss.
    """
    if len(checkpoints) != len(agent.seeds):
        raise UserError(f"{len(checkpoints)} checkpoints for {len(agent.seeds)} seeds")
    agent.load_tensors(
        [
            convert(checkpoint.tensors, agent.tensors(k), initialise_critic=initialise_critic)
            for k, checkpoint in enumerate(checkpoints)
        ]
    )
    if momenta == "keep":
        for checkpoint in checkpoints:
            if not any(name.startswith(MOMENTS) for name in checkpoint.tensors):
                raise UserError(
                    f"{checkpoint.path}: holds no moments of its optimisers to keep; only the last "
                    "checkpoint of a phase does. Use --momenta reset"
                )
        agent.load_moments(
            [convert_moments(checkpoint.tensors, agent.tensors(0)) for checkpoint in checkpoints]
        )
