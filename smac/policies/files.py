"""Policies from files and back: checkpoints of ours, and what other libraries save."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.errors import UserError
from smac.nets import ACTIVATIONS
from smac.policies.actors import HEAD_BIAS, ActorSpec
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.foreign import READERS, load_foreign

ACTOR = "actor."


def load_policy(path: Path | str, task: str | None = None) -> PolicyCheckpoint:
    """The actor of a checkpoint of ours, or of another library's file (`foreign`).

    `task` is that of a file which does not say; one that says otherwise is refused.
    """
    if Path(path).suffix in READERS:
        return load_foreign(Path(path), task)
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
        means_only = len(params[HEAD_BIAS]) == about.action_dim
        spec = ActorSpec(
            about.observation_dim,
            about.action_dim,
            tuple(about.config["hidden"]),
            about.config["activation"],
            about.config["actor_layer_norm"],
            about.config.get("actor_kind", "deterministic" if means_only else "tanh_gaussian"),
            tuple((low, high) for low, high in about.config.get("observation_bounds", ())),
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
        "actor_kind": spec.kind, "observation_bounds": [list(bound) for bound in spec.bounds],
    }  # fmt: skip
    tensors = {f"{ACTOR}{name}": torch.from_numpy(array) for name, array in policy.params.items()}
    return save_checkpoint(path, tensors, replace(policy.description, config=config))
