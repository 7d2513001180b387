"""From any offline agent's tensors to what an online agent starts from: pure functions on one seed's tensors.

A tanh-Gaussian actor's head has the rows of the mean first, then those of log_std; a deterministic actor's
head has the rows of the mean alone. So the number of rows tells which actor a mapping holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from smac.errors import UserError
from smac.optim import MOMENTS

HEAD = "net.head."
ADDED_LOG_STD = math.log(0.1)  # before the tanh; in the middle of the box it is TD3's exploration noise
ACTOR, TARGET_ACTOR = "actor.", "target_actor."
CRITICS = ("critic.", "target.")

Tensors = Mapping[str, Tensor]


def to_deterministic(actor: Tensors) -> dict[str, Tensor]:
    """A tanh-Gaussian actor's tensors without log_std; its mean action stays the same bit for bit."""
    return {
        name: tensor[: len(tensor) // 2].clone() if name.startswith(HEAD) else tensor
        for name, tensor in actor.items()
    }


def to_tanh_gaussian(actor: Tensors, log_std: float = ADDED_LOG_STD) -> dict[str, Tensor]:
    """A deterministic actor's tensors with the same log_std at every observation."""
    weight, bias = actor[f"{HEAD}weight"], actor[f"{HEAD}bias"]
    return dict(actor) | {
        f"{HEAD}weight": torch.cat([weight, torch.zeros_like(weight)]),
        f"{HEAD}bias": torch.cat([bias, torch.full_like(bias, log_std)]),
    }


def like(actor: Tensors, other: Tensors, log_std: float = ADDED_LOG_STD) -> dict[str, Tensor]:
    """The actor as the kind that `other` is, told by the rows of the heads."""
    rows, wanted = len(actor[f"{HEAD}bias"]), len(other[f"{HEAD}bias"])
    if rows == 2 * wanted:
        return to_deterministic(actor)
    if wanted == 2 * rows:
        return to_tanh_gaussian(actor, log_std)
    return dict(actor)


def convert(tensors: Tensors, fresh: Tensors, *, initialise_critic: bool = False) -> dict[str, Tensor]:
    """The tensors of a checkpoint as those of the agent whose first tensors are `fresh`, under their names.

    The actor changes its kind if need be; critics, targets and the temperature carry over. A missing target
    actor is a copy of the actor, a missing temperature the configuration's initial one. Missing critics are
    refused, or taken from `fresh` with `initialise_critic`. Everything else (IQL's V, SMAC's tau and
    diffusion model) is left behind. Shapes are the business of `Agent.load_tensors`.
    """
    actor = part(tensors, ACTOR)
    if not actor:
        raise UserError(f"the checkpoint holds no actor (no tensor named {ACTOR}...)")
    converted = prefixed(ACTOR, like(actor, part(fresh, ACTOR)))
    if part(fresh, TARGET_ACTOR):
        target_actor = part(tensors, TARGET_ACTOR) or actor
        converted |= prefixed(TARGET_ACTOR, like(target_actor, part(fresh, TARGET_ACTOR)))
    source = tensors
    if any(part(fresh, prefix) and not part(tensors, prefix) for prefix in CRITICS):
        if not initialise_critic:
            raise UserError(
                "the checkpoint has no critic, which this algorithm starts from; "
                "--initialise-critic begins with a new one"
            )
        source = fresh
    for prefix in CRITICS:
        converted |= prefixed(prefix, part(source, prefix))
    rest = {name: tensors.get(name, value) for name, value in fresh.items() if "." not in name}
    return {name: tensor for name, tensor in (converted | rest).items() if name in fresh}


def convert_moments(tensors: Tensors, parameters: Tensors) -> dict[str, Tensor]:
    """A checkpoint's moments as those of the agent that has `parameters`, `moments/<kind>/<parameter>`.

    An actor that changes its kind keeps the moments of its mean; a log_std it gains begins with zero, as does
    everything the checkpoint knows nothing of. Step counts have no shape and stay.
    """
    converted: dict[str, Tensor] = {}
    for kind in {name.split("/")[1] for name in tensors if name.startswith(MOMENTS)}:
        moments = part(tensors, f"{MOMENTS}{kind}/")
        actor = part(moments, ACTOR)
        if f"{HEAD}bias" in actor and actor[f"{HEAD}bias"].ndim:
            moments |= prefixed(ACTOR, like(actor, part(parameters, ACTOR), log_std=0.0))
        kept = {name: tensor for name, tensor in moments.items() if name in parameters}
        converted |= prefixed(f"{MOMENTS}{kind}/", kept)
    return converted


def part(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """The tensors of one network, without its prefix."""
    return {n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(prefix)}


def prefixed(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
