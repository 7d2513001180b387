"""Policies from files and back: checkpoints of ours, and what other libraries save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smac.checkpoint import Description, load_checkpoint, save_checkpoint
from smac.envs.units import Units
from smac.errors import UserError
from smac.nets import ACTIVATIONS
from smac.policies.acting import begins_like_onnx, is_ours
from smac.policies.actors import HEAD_BIAS, ActorSpec, stack_actor
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.contents import refusing
from smac.policies.foreign import load_foreign
from smac.policies.modules import load_module
from smac.policies.network import check_tensor
from smac.policies.python import is_reference
from smac.policies.stated import check_task

ACTOR = "actor."


def load_policy(
    path: Path | str,
    task: str | None = None,
    action_units: Units | None = None,
    normaliser: str | None = None,
) -> PolicyCheckpoint:
    """The actor of a checkpoint of ours, or of another library's file (`foreign`).

    `task`, `action_units` and `normaliser` (the file of a VecNormalize, or `none`) are those of a file which
    does not say; one that says otherwise is refused.
    """
    path = Path(path)
    if is_reference(path):
        return load_module(path, task, action_units)
    if begins_like_onnx(path):
        raise UserError(
            f"{path}: an ONNX graph has no parameters that a line could move: save the actor's tensors, or "
            "name a module; `smac evaluate`, `render` and `data collect` take it"
        )
    if path.suffix != ".safetensors" or (path.is_file() and not is_ours(path)):
        return load_foreign(path, task, action_units, normaliser)
    checkpoint = load_checkpoint(path)
    about = checkpoint.description
    check_task(path, about.task, task)
    params = {
        name.removeprefix(ACTOR): _checked(path, name, tensor)
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(ACTOR)
    }
    if HEAD_BIAS not in params:
        raise UserError(f"{path}: holds no actor (no tensor named {ACTOR}{HEAD_BIAS})")
    with refusing(path, "a checkpoint whose description makes an actor"):
        spec = _spec(path, about, params)
        stack_actor(spec, [params])
    return PolicyCheckpoint(path, about, spec, params)


def _checked(path: Path, name: str, tensor: Tensor) -> np.ndarray:
    check_tensor(path, name, tensor)
    return tensor.numpy()


def _spec(path: Path, about: Description, params: Mapping[str, np.ndarray]) -> ActorSpec:
    means_only = len(params[HEAD_BIAS]) == about.action_dim
    try:
        spec = ActorSpec(
            about.observation_dim,
            about.action_dim,
            tuple(about.config["hidden"]),
            about.config["activation"],
            about.config["actor_layer_norm"],
            about.config.get("actor_kind", "deterministic" if means_only else "tanh_gaussian"),
            tuple((low, high) for low, high in about.config.get("observation_bounds", ())),
            about.config.get("mean_bound"),
            tuple((gain, offset) for gain, offset in about.config.get("rescale", ())),
        )
        ACTIVATIONS[spec.activation]
    except KeyError as error:
        raise UserError(f"{path}: its description does not give the actor's {error}") from None
    return spec


def save_policy(path: Path, policy: PolicyCheckpoint) -> Path:
    """A checkpoint with this actor and nothing else, described as the one that it came from."""
    spec = policy.spec
    if spec.module is not None:
        raise UserError(
            f"{policy.path}: a module is code, which a checkpoint does not hold; save its state_dict()"
        )
    config = policy.description.config | {
        "hidden": list(spec.hidden), "activation": spec.activation, "actor_layer_norm": spec.layer_norm,
        "actor_kind": spec.kind, "observation_bounds": [list(bound) for bound in spec.bounds],
        "mean_bound": spec.mean_bound, "rescale": [list(pair) for pair in spec.rescale],
    }  # fmt: skip
    tensors = {f"{ACTOR}{name}": torch.from_numpy(array) for name, array in policy.params.items()}
    return save_checkpoint(path, tensors, replace(policy.description, config=config))
