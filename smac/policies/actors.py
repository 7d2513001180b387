"""From parameter mappings to policies: a stack of points becomes one stacked actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from smac.errors import UserError
from smac.nets import ACTORS, Activation, Actor, DeterministicActor

HEAD_WEIGHT, HEAD_BIAS = "net.head.weight", "net.head.bias"

Kind = Literal["tanh_gaussian", "deterministic", "clipped"]


class ClippedActor(DeterministicActor):
    """The mean itself, cut off at the action's limits, as policies without a tanh act."""

    def forward(self, observations: Tensor) -> Tensor:
        return self.net(observations).clamp(-1.0, 1.0)


@dataclass(frozen=True)
class ActorSpec:
    """The architecture of an actor: what turns a parameter mapping into a policy."""

    observation_dim: int
    action_dim: int
    hidden: tuple[int, ...]
    activation: Activation
    layer_norm: bool
    kind: Kind = "tanh_gaussian"
    bounds: tuple[tuple[float, float], ...] = ()  # between which observations are cut off first; () if not


def stack_actor(spec: ActorSpec, points: Sequence[Mapping[str, np.ndarray]]) -> Actor:
    """One actor with a stack of len(points), member by member the given parameters."""
    kind = ClippedActor if spec.kind == "clipped" else ACTORS[spec.kind]
    actor = kind(
        (len(points),),
        spec.observation_dim,
        spec.action_dim,
        spec.hidden,
        activation=spec.activation,
        layer_norm=spec.layer_norm,
    ).requires_grad_(False)
    stacked = {name: torch.from_numpy(np.stack([point[name] for point in points])) for name in points[0]}
    try:
        actor.load_state_dict(stacked)
    except RuntimeError as error:
        raise UserError(f"the actor's tensors do not fit its description: {error}") from None
    if spec.bounds:
        low, high = torch.tensor(spec.bounds, dtype=torch.float32).unbind(-1)
        actor.net.hidden[0].register_forward_pre_hook(lambda _, inputs: (inputs[0].clamp(low, high),))
    return actor
