"""Stable-Baselines3 and its contributions: the .zip of `model.save`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from smac.envs.units import Box, Units
from smac.errors import UserError
from smac.nets import AnyActivation
from smac.policies.contents import Contents
from smac.policies.network import Affine, Network, Tensors
from smac.policies.readers import Reader
from smac.policies.stated import Stated

# Modules that a policy's class must be of, since others compute anything -> its activation where none is said
_MODULES = {
    "stable_baselines3.sac.policies": "relu",
    "stable_baselines3.td3.policies": "relu",
    "stable_baselines3.common.policies": "tanh",
    "sb3_contrib.tqc.policies": "relu",
    "sb3_contrib.crossq.policies": "relu",
}
_SB3_ACTIVATIONS: Mapping[str, AnyActivation] = {
    "ReLU": "relu", "Tanh": "tanh", "SiLU": "silu", "Mish": "mish", "ELU": "elu", "GELU": "gelu",
    "LeakyReLU": "leaky_relu", "Softplus": "softplus", "Sigmoid": "sigmoid", "SELU": "selu",
}  # fmt: skip
_SB3_HARMLESS = {  # keywords of policies that do not change the mean action, or are seen in the tensors
    "net_arch", "activation_fn", "log_std_init", "ortho_init", "use_sde", "n_critics", "n_quantiles",
    "optimizer_class", "optimizer_kwargs", "share_features_extractor", "use_expln", "clip_mean",
    "squash_output", "full_std", "normalize_images", "batch_norm", "batch_norm_momentum", "batch_norm_eps",
    "renorm_warmup_steps", ":type:", ":serialized:",
}  # fmt: skip


def _sb3(contents: Contents, stated: Stated) -> Network:
    path, settings = contents.path, contents.settings
    module = str((settings.get("policy_class") or {}).get("__module__"))
    if module not in _MODULES:
        raise UserError(f"{path}: its policy's class is of {module}, not of Stable-Baselines3")
    options = settings.get("policy_kwargs") or {}
    odd = sorted(options.keys() - _SB3_HARMLESS)
    if odd:
        raise UserError(f"{path}: its policy has {odd[0]}, which only its own code understands")
    for name in ("observation_space", "action_space"):
        if "Box" not in str(settings[name].get(":type:")) or len(settings[name].get("_shape") or ()) != 1:
            raise UserError(f"{path}: its {name} is {settings[name].get(':type:')}, not a vector")
    activation = _sb3_activation(path, options, _MODULES[module])
    tensors = Tensors(path, contents.value)
    if module == "stable_baselines3.common.policies":
        network = _sb3_actor_critic(tensors, options, activation)
    elif "actor.mu.weight" in tensors or "actor.log_std" in tensors:
        network = _sb3_squashed(tensors, options, activation)
    else:
        *hidden, mean = tensors.sequential("actor.mu")
        network = Network("SB3 agent", tuple(hidden), mean, activation, squash=True, units="unit")
    tensors.finish("critic.", "critic_target.", "actor_target.", "value_net.", "mlp_extractor.value_net.")
    return replace(network, box=_sb3_box(settings["action_space"]))


def _sb3_activation(path: Path, options: Mapping[str, Any], default: AnyActivation | str) -> AnyActivation:
    if "activation_fn" not in options:
        return default  # type: ignore[return-value]  # of _MODULES
    found = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", str(options["activation_fn"]))
    if not found or found[1] not in _SB3_ACTIVATIONS:
        raise UserError(f"{path}: its activation is {options['activation_fn']}, which is not read")
    return _SB3_ACTIVATIONS[found[1]]


def _sb3_box(space: Mapping[str, Any]) -> Box | None:
    low, high = (str(space.get(end, "")).strip("[] ").split() for end in ("low", "high"))
    try:
        return Box(tuple(map(float, low)), tuple(map(float, high)))
    except ValueError:  # long arrays are printed with dots
        return None


def _sb3_squashed(tensors: Tensors, options: Mapping[str, Any], activation: AnyActivation) -> Network:
    """SAC, TQC and CrossQ."""
    hidden, after = _renormalised(tensors, "actor.latent_pi", float(options.get("batch_norm_eps", 1e-3)))
    sde = "actor.log_std" in tensors
    bound = float(options.get("clip_mean", 2.0)) if sde else 0.0
    mean = tensors.affine("actor.mu.0" if bound > 0 else "actor.mu")
    log_std: Affine | None = None
    if sde:
        tensors.take("actor.log_std", None, None)  # noise that depends on features through a matrix: left out
    else:
        log_std = after(tensors.affine("actor.log_std"))
    return Network(
        "SB3 agent", tuple(hidden), after(mean), activation, squash=True, units="unit", log_std=log_std,
        mean_bound=bound or None,
    )  # fmt: skip


def _renormalised(
    tensors: Tensors, stem: str, epsilon: float
) -> tuple[list[Affine], Callable[[Affine], Affine]]:
    """A Sequential where a BatchRenorm may precede an affine map, folded into it; and what folds the last."""
    layers: list[Affine] = []
    fold: Callable[[Affine], Affine] = _unchanged
    for place in tensors.indices(stem):
        name = f"{stem}.{place}"
        if f"{name}.ra_mean" in tensors:
            fold = _folding(tensors, name, epsilon)
        else:
            layers.append(fold(tensors.affine(name, len(layers[-1].bias) if layers else None)))
            fold = _unchanged
    return layers, fold


def _unchanged(layer: Affine) -> Affine:
    return layer


def _folding(tensors: Tensors, name: str, epsilon: float) -> Callable[[Affine], Affine]:
    mean = tensors.take(f"{name}.ra_mean", None).double()
    std = (tensors.take(f"{name}.ra_var", len(mean)).double() + epsilon).sqrt()
    scale = tensors.take(f"{name}.scale", len(mean)).double() / std
    shift = tensors.take(f"{name}.bias", len(mean)).double() - scale * mean
    tensors.left.pop(f"{name}.steps", None)  # how long it was trained
    return lambda layer: layer.after(scale, shift)


def _sb3_actor_critic(tensors: Tensors, options: Mapping[str, Any], activation: AnyActivation) -> Network:
    """PPO and A2C: the mean is cut off at the box, unless gSDE squashes it."""
    hidden = tensors.sequential("mlp_extractor.policy_net")
    mean = tensors.affine("action_net")
    squash = bool(options.get("squash_output"))
    log_std = tensors.left.get("log_std")
    if log_std is not None:
        log_std = tensors.take("log_std", *[None] * log_std.ndim)
    noise = log_std if log_std is not None and log_std.ndim == 1 and not squash else None
    units: Units = "unit" if squash else "env"
    return Network("SB3 agent", tuple(hidden), mean, activation, squash, units, noise, (-1e9, 1e9))


READERS = (Reader("Stable-Baselines3", lambda c: c.kind == "sb3", _sb3, asks_normaliser=True),)
