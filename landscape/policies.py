"""Policies as parameter mappings, and back: a stack of points becomes one stacked actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from smac.agents import AGENTS
from smac.checkpoint import Description, load_checkpoint, save_checkpoint
from smac.errors import UserError
from smac.nets import ACTIVATIONS, ACTORS, Activation, Actor, ActorKind

ACTOR = "actor."
HEAD_WEIGHT, HEAD_BIAS = "net.head.weight", "net.head.bias"


@dataclass(frozen=True)
class ActorSpec:
    """The architecture of an actor: what turns a parameter mapping into a policy."""

    observation_dim: int
    action_dim: int
    hidden: tuple[int, ...]
    activation: Activation
    layer_norm: bool
    kind: ActorKind = "tanh_gaussian"


@dataclass(frozen=True)
class PolicyCheckpoint:
    """One end of a path: the actor's tensors as NumPy arrays, without the `actor.` prefix."""

    path: Path
    description: Description
    spec: ActorSpec
    params: dict[str, np.ndarray]
    converted: str | None = None  # what was done to the actor since it was read

    @property
    def name(self) -> str:
        """How sentences call it, such as `online SAC`."""
        algorithm = self.description.algorithm
        label = AGENTS[algorithm].label if algorithm in AGENTS else algorithm
        return f"{self.description.moment} {label}"


def load_policy(path: Path | str, task: str | None = None) -> PolicyCheckpoint:
    """The actor of a checkpoint of ours, or of another library's file (`landscape.foreign`).

    `task` is that of a file which does not say; one that says otherwise is refused.
    """
    checkpoint = load_checkpoint(path)
    about = checkpoint.description
    params = {
        name.removeprefix(ACTOR): tensor.numpy()
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(ACTOR)
    }
    if HEAD_BIAS not in params:
        raise UserError(f"{path}: holds no actor (no tensor named {ACTOR}{HEAD_BIAS})")
    try:
        spec = ActorSpec(
            about.observation_dim,
            about.action_dim,
            tuple(about.config["hidden"]),
            about.config["activation"],
            about.config["actor_layer_norm"],
            "deterministic" if len(params[HEAD_BIAS]) == about.action_dim else "tanh_gaussian",
        )
        ACTIVATIONS[spec.activation]
    except KeyError as error:
        raise UserError(f"{path}: its description does not give the actor's {error}") from None
    return PolicyCheckpoint(Path(path), about, spec, params)


def save_policy(path: Path, policy: PolicyCheckpoint) -> Path:
    """A checkpoint with this actor and nothing else, described as the one that it came from."""
    spec = policy.spec
    config = policy.description.config | {
        "hidden": list(spec.hidden), "activation": spec.activation, "actor_layer_norm": spec.layer_norm,
    }  # fmt: skip
    tensors = {f"{ACTOR}{name}": torch.from_numpy(array) for name, array in policy.params.items()}
    return save_checkpoint(path, tensors, replace(policy.description, config=config))


def without_noise(policy: PolicyCheckpoint) -> PolicyCheckpoint:
    """The policy of its mean actions: a tanh-Gaussian actor loses its rows of log_std, no more."""
    if policy.spec.kind == "deterministic":
        return policy
    means = {name: policy.params[name][: policy.spec.action_dim].copy() for name in (HEAD_WEIGHT, HEAD_BIAS)}
    return replace(
        policy,
        spec=replace(policy.spec, kind="deterministic"),
        params=policy.params | means,
        converted="tanh-Gaussian to deterministic: the rows of log_std are left out, the mean action is kept",
    )


def of_one_kind(policies: Sequence[PolicyCheckpoint], *, stochastic: bool) -> list[PolicyCheckpoint]:
    """Policies with lines between them: where one is deterministic, all are.

    Their mean actions stay the same. Sampled actions are then refused, as a deterministic actor has no noise.
    """
    silent = next((p for p in policies if p.spec.kind == "deterministic"), None)
    if silent is None:
        return list(policies)
    if stochastic:
        raise UserError(
            f"{silent.path}: the actor of {silent.name} is deterministic and has no noise to sample; "
            "leave out --stochastic to compare mean actions"
        )
    return [without_noise(policy) for policy in policies]


def stack_actor(spec: ActorSpec, points: Sequence[Mapping[str, np.ndarray]]) -> Actor:
    """One actor with a stack of len(points), member by member the given parameters."""
    actor = ACTORS[spec.kind](
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
