"""Policies as parameter mappings, and back: a stack of points becomes one stacked actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from smac.agents import AGENTS
from smac.checkpoint import Description, load_checkpoint
from smac.errors import UserError
from smac.nets import ACTIVATIONS, Activation, TanhGaussianActor

ACTOR = "actor."


@dataclass(frozen=True)
class ActorSpec:
    """The architecture of an actor: what turns a parameter mapping into a policy."""

    observation_dim: int
    action_dim: int
    hidden: tuple[int, ...]
    activation: Activation
    layer_norm: bool


@dataclass(frozen=True)
class PolicyCheckpoint:
    """One end of a path: the actor's tensors as NumPy arrays, without the `actor.` prefix."""

    path: Path
    description: Description
    spec: ActorSpec
    params: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        """How sentences call it, such as `online SAC`."""
        algorithm = self.description.algorithm
        label = AGENTS[algorithm].label if algorithm in AGENTS else algorithm
        return f"{self.description.moment} {label}"


def load_policy(path: Path | str) -> PolicyCheckpoint:
    checkpoint = load_checkpoint(path)
    about = checkpoint.description
    params = {
        name.removeprefix(ACTOR): tensor.numpy()
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(ACTOR)
    }
    if not params:
        raise UserError(f"{path}: holds no actor (no tensor named {ACTOR}...)")
    try:
        spec = ActorSpec(
            about.observation_dim,
            about.action_dim,
            tuple(about.config["hidden"]),
            about.config["activation"],
            about.config["actor_layer_norm"],
        )
        ACTIVATIONS[spec.activation]
    except KeyError as error:
        raise UserError(f"{path}: its description does not give the actor's {error}") from None
    return PolicyCheckpoint(Path(path), about, spec, params)


def stack_actor(spec: ActorSpec, points: Sequence[Mapping[str, np.ndarray]]) -> TanhGaussianActor:
    """One actor with a stack of len(points), member by member the given parameters."""
    actor = TanhGaussianActor(
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
    return actor
