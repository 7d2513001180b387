"""Policies of other libraries: perceptrons in Stable-Baselines3 zips, published arrays, plain state dicts.

Nothing in these files is executed. A zip or an .npz says itself what it is. A state dict (.pt or .pth, read
with `weights_only=True`) is a mapping from names to tensors and does not; `NAME.policy.json` beside it does,
and may stand beside any of them:

    {"task": "Hopper-v5", "activation": "tanh", "output": "tanh", "prefix": "actor.",
     "normaliser": {"mean": [...], "var": [...], "epsilon": 1e-8, "clip": 10}}

`output` is tanh, or clip for a mean that is cut off at the action's limits. The affine maps of a state dict
are its two-dimensional weights behind `prefix`, in the file's order, each with its bias. A normaliser (its
`std`, or `var` and `epsilon`, as gymnasium's and Stable-Baselines3's wrappers keep them) is folded into the
first layer, and its clipping into bounds on the raw observations, so that lines run between functions of raw
observations (4.7). Noise that does not depend on the observation is left out: such a policy has its mean.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smac.checkpoint import Description
from smac.envs import env_spec
from smac.errors import UserError
from smac.files import read_json
from smac.nets import ACTIVATIONS
from smac.policies.acting import Perceptron
from smac.policies.acting import load_policy as read_policy
from smac.policies.actors import HEAD_BIAS, HEAD_WEIGHT, ActorSpec, Kind
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.normalisers import Normaliser, fold_normaliser
from smac.tasks import get_task

OUTPUTS = ("tanh", "clip")


def load_foreign(path: Path, task: str | None) -> PolicyCheckpoint:
    """The policy of another library's file, for `task` or the task that the file beside it names."""
    if not path.is_file():
        raise UserError(f"{path}: no such policy file")
    beside = path.with_suffix(".policy.json")
    stated: Mapping[str, Any] = read_json(beside) if beside.exists() else {}
    if task and stated.get("task", task) != task:
        raise UserError(f"{beside}: says task {stated['task']}, but --task is {task}")
    chosen = task or stated.get("task")
    if not chosen:
        raise UserError(f"{path}: does not say which task it was trained for; name it with --task")
    network = READERS[path.suffix](path, stated)
    kind, params = tensors_of(network)
    inputs, actions = params["net.hidden.0.weight"].shape[1], len(network.mean[1])
    dims = env_spec(get_task(chosen))
    if (inputs, actions) != (dims.observation_dim, dims.action_dim):
        raise UserError(
            f"{path}: a policy of {inputs} observations and {actions} actions, but task {chosen} has "
            f"{dims.observation_dim} and {dims.action_dim}"
        )
    bounds: tuple[tuple[float, float], ...] = ()
    converted = None
    for normaliser, clip in _normalisers(beside, stated, network):
        params = fold_normaliser(params, normaliser)
        if clip is not None:
            reach = clip * normaliser.std
            bounds = tuple(zip(normaliser.mean - reach, normaliser.mean + reach, strict=True))
        converted = "observation normaliser folded into the first layer"
    hidden = tuple(len(bias) for _, bias in network.hidden)
    spec = ActorSpec(inputs, actions, hidden, network.activation, False, kind, bounds)
    about = Description(chosen, path.stem, "policy", 0, 0, inputs, actions, config={})
    return PolicyCheckpoint(path, about, spec, params, converted)


def tensors_of(network: Perceptron) -> tuple[Kind, dict[str, np.ndarray]]:
    """Its tensors by our names, and what kind of actor they make."""
    params: dict[str, np.ndarray] = {}
    for i, (weight, bias) in enumerate(network.hidden):
        params |= {f"net.hidden.{i}.weight": weight.numpy(), f"net.hidden.{i}.bias": bias.numpy()}
    heads = [network.mean] if network.log_std is None else [network.mean, network.log_std]
    params[HEAD_WEIGHT] = torch.cat([weight for weight, _ in heads]).numpy()
    params[HEAD_BIAS] = torch.cat([bias for _, bias in heads]).numpy()
    if not network.squash:
        return "clipped", params
    return "deterministic" if network.log_std is None else "tanh_gaussian", params


def _normalisers(
    beside: Path, stated: Mapping[str, Any], network: Perceptron
) -> list[tuple[Normaliser, float | None]]:
    """The normaliser in the policy's own file or in the one beside it, without its clipping, and that."""
    found: list[tuple[Normaliser, float | None]] = []
    if network.shift is not None and network.scale is not None:
        found.append((Normaliser(network.shift.double().numpy(), network.scale.double().numpy()), None))
    if "normaliser" in stated:
        if found:
            raise UserError(f"{beside}: states a normaliser, but the policy's file has one of its own")
        values = stated["normaliser"]
        try:
            mean = np.asarray(values["mean"], dtype=np.float64)
            std = (
                np.asarray(values["std"], dtype=np.float64)
                if "std" in values
                else np.sqrt(np.asarray(values["var"], dtype=np.float64) + values.get("epsilon", 0.0))
            )
            clip = None if values.get("clip") is None else float(values["clip"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{beside}: its normaliser needs mean, and std or var ({error})") from None
        found.append((Normaliser(mean, std), clip))
    return found


def _read_arrays(path: Path, stated: Mapping[str, Any]) -> Perceptron:
    """A zip or an .npz that `smac.policies.acting` knows."""
    network = read_policy(path).network
    if network is None:
        raise UserError(f"{path}: is part of a controller, and no policy by itself")
    return network


def _read_state_dict(path: Path, stated: Mapping[str, Any]) -> Perceptron:
    """A plain state dict; what it computes is in the file beside it."""
    beside = path.with_suffix(".policy.json")
    activation, output = stated.get("activation"), stated.get("output")
    if activation not in ACTIVATIONS or output not in OUTPUTS:
        raise UserError(
            f"{beside}: must say what {path.name} computes: activation ({', '.join(ACTIVATIONS)}) and output "
            f"({', '.join(OUTPUTS)}), got {activation!r} and {output!r}"
        )
    try:
        read = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a state dict of tensors, or it holds code ({reason})") from None
    if not isinstance(read, Mapping) or not all(isinstance(value, Tensor) for value in read.values()):
        raise UserError(f"{path}: not a mapping from names to tensors; save the actor's state_dict()")
    prefix = str(stated.get("prefix", ""))
    stems = [
        name.removesuffix("weight")
        for name, tensor in read.items()
        if name.startswith(prefix) and name.endswith("weight") and tensor.ndim == 2
    ]
    missing = next((stem for stem in stems if f"{stem}bias" not in read), None)
    if len(stems) < 2 or missing is not None:
        raise UserError(
            f"{path}: no perceptron behind the prefix {prefix!r}: "
            + (f"{missing}weight has no bias" if missing else f"{len(stems)} weights; it needs two or more")
        )
    layers = [(read[f"{stem}weight"].float(), read[f"{stem}bias"].float()) for stem in stems]
    for before, after, stem in zip(layers, layers[1:], stems[1:], strict=False):
        if after[0].shape[1] != len(before[1]):
            raise UserError(
                f"{path}: tensor {stem}weight takes {after[0].shape[1]} inputs, but the layer before it has "
                f"{len(before[1])} outputs; leave other networks out with a prefix in {beside.name}"
            )
    return Perceptron(tuple(layers[:-1]), layers[-1], None, activation, squash=output == "tanh")


READERS = {
    ".npz": _read_arrays,
    ".zip": _read_arrays,
    ".pt": _read_state_dict,
    ".pth": _read_state_dict,
}
