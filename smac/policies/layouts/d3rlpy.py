"""d3rlpy: the .d3 of `algo.save` and the .pt of `algo.save_model`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from smac.errors import UserError
from smac.nets import AnyActivation
from smac.policies.contents import Contents, state_dict, unpickle
from smac.policies.network import Network, Normalisation, Tensors
from smac.policies.readers import Reader
from smac.policies.stated import Stated


def _d3rlpy(contents: Contents, stated: Stated) -> Network:
    """The .d3 of `algo.save`: tensors, and the configuration as JSON."""
    path = contents.path
    config = json.loads(contents.value["config"])
    algorithm, about = str(config["config"]["type"]), config["config"]["params"]
    policies = {"bc": "imitator"} | dict.fromkeys(
        ("sac", "td3", "td3_plus_bc", "ddpg", "iql", "awac", "cql", "cal_ql", "rebrac", "prdc"), "policy"
    )
    if algorithm not in policies:
        raise UserError(f"{path}: d3rlpy's {algorithm} does not act by one perceptron")
    saved = unpickle(contents.value["torch"], path)
    network = _d3rlpy_network(path, saved, policies[algorithm], _encoder(path, about))
    scalers = _d3rlpy_scalers(path, about.get("action_scaler"), about.get("observation_scaler"))
    return replace(network, **scalers)


def _encoder(path: Path, about: Mapping[str, Any]) -> AnyActivation:
    encoder = about.get("actor_encoder_factory") or about.get("encoder_factory") or {}
    kind, params = encoder.get("type"), encoder.get("params") or {}
    if kind not in ("default", "vector"):
        raise UserError(f"{path}: d3rlpy's encoder {kind!r} is not read; default and vector are")
    if params.get("exclude_last_activation") or params.get("last_activation"):
        raise UserError(f"{path}: d3rlpy's encoder has a last activation of its own, which is not read")
    activation = params.get("activation", "relu")
    activation = activation if isinstance(activation, str) else str((activation or {}).get("type"))
    known: Mapping[str, AnyActivation] = {"relu": "relu", "tanh": "tanh", "swish": "silu", "gelu": "gelu"}
    if activation not in known:
        raise UserError(f"{path}: d3rlpy's activation {activation!r} is not read")
    return known[activation]


def _d3rlpy_network(path: Path, saved: Any, module: str, activation: AnyActivation) -> Network:
    tensors = Tensors(path, state_dict(saved[module]))
    hidden = tensors.sequential("_encoder._layers")
    mean = tensors.affine("_mu" if "_mu.weight" in tensors else "_fc", len(hidden[-1].bias))
    tensors.finish("_logstd")
    return Network("d3rlpy", tuple(hidden), mean, activation, True, "env")


def _d3rlpy_weights(contents: Contents, stated: Stated) -> Network:
    """The .pt of `algo.save_model`, without its configuration."""
    names: Mapping[str | None, AnyActivation] = {
        "relu": "relu",
        "tanh": "tanh",
        "silu": "silu",
        "gelu": "gelu",
    }
    if stated.activation not in names:
        raise UserError(
            f"{stated.path}: must say the activation of {contents.path.name} ({', '.join(map(str, names))}; "
            "d3rlpy's default is relu), which its .d3 would hold"
        )
    module = "policy" if "policy" in contents.value else "imitator"
    network = _d3rlpy_network(contents.path, contents.value, module, names[stated.activation])
    if stated.action_scale is None:
        return network
    gain = torch.as_tensor(stated.action_scale, dtype=torch.float32)
    return replace(network, gain=gain.expand(network.action_dim).clone())


def _is_d3(contents: Contents) -> bool:
    return isinstance(contents.value, dict) and contents.value.keys() == {"torch", "config", "version"}


def _is_d3rlpy(contents: Contents) -> bool:
    value = contents.value
    if contents.kind != "torch" or not isinstance(value, Mapping):
        return False
    return any(
        "_encoder._layers.0.weight" in state_dict(value.get(module)) for module in ("policy", "imitator")
    )


def _d3rlpy_scalers(path: Path, action: Any, observation: Any) -> dict[str, Any]:
    """Gain, offset and normalisation of d3rlpy's scalers; UserError for one that is not affine."""
    found: dict[str, Any] = {}
    if action is not None and action.get("type") != "none":
        if action.get("type") != "min_max":
            raise UserError(f"{path}: d3rlpy's action scaler {action.get('type')!r} is not read")
        low, high = (torch.tensor(action["params"][end]) for end in ("minimum", "maximum"))
        found |= {"gain": (high - low) / 2, "offset": (high + low) / 2}
    if observation is not None and observation.get("type") != "none":
        params = observation.get("params") or {}
        if observation.get("type") == "standard":
            mean, std = (torch.tensor(params[name]) for name in ("mean", "std"))
            found["normalisation"] = Normalisation(mean, std + float(params.get("eps", 1e-3)))
        elif observation.get("type") == "min_max":
            low, high = (torch.tensor(params[end]) for end in ("minimum", "maximum"))
            found["normalisation"] = Normalisation((high + low) / 2, (high - low) / 2)
        else:
            raise UserError(f"{path}: d3rlpy's observation scaler {observation.get('type')!r} is not read")
    return found


READERS = (
    Reader("d3rlpy", _is_d3, _d3rlpy),
    Reader(
        "d3rlpy weights", _is_d3rlpy, _d3rlpy_weights, ("activation", "action_scale"), asks_normaliser=True
    ),
)
