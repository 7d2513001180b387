"""Policies of other libraries as ends of lines: `smac.policies` reads them, here they become stacked actors.

An observation normaliser is folded into the first layer, and its clipping into bounds on the raw
observations, so that lines run between functions of raw observations (§7). Noise that is not a
tanh-Gaussian's second head is left out: such a policy has its mean.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from smac.checkpoint import Description
from smac.envs import env_spec
from smac.envs.units import Units
from smac.errors import UserError
from smac.nets import LOG_STD_RANGE
from smac.policies.actors import HEAD_BIAS, HEAD_WEIGHT, ActorSpec, Kind
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.layouts.published import GOAL_REACHING
from smac.policies.libraries import fit, read_network
from smac.policies.network import Affine, Network
from smac.policies.normalisers import Normaliser, fold_normaliser
from smac.policies.stated import check_task
from smac.tasks import get_task
from smac.tasks.environments import check_stated


def load_foreign(
    path: Path, task: str | None, units: Units | None = None, normaliser: str | None = None
) -> PolicyCheckpoint:
    """The policy of another library's file, for `task` or the task that the file next to it names."""
    network, stated = read_network(path, units, normaliser)
    if network.source == GOAL_REACHING:
        raise UserError(f"{path}: is part of a controller, and no policy by itself")
    check_task(stated.path, stated.task, task)
    chosen = task or stated.task
    if not chosen:
        raise UserError(f"{path}: does not say which task it was trained for; name it with --task")
    inputs, actions = network.observation_dim, network.action_dim
    if not task:
        check_stated(chosen, stated.path)
    known = get_task(chosen)
    dims = env_spec(known)
    if (inputs, actions) != (dims.observation_dim, dims.action_dim):
        raise UserError(
            f"{path}: a policy of {inputs} observations and {actions} actions, but task {chosen} has "
            f"{dims.observation_dim} and {dims.action_dim}"
        )
    if not network.hidden:
        raise UserError(f"{path}: one affine map without a hidden layer is no perceptron")
    network = fit(path, network, stated, known)
    params = _tensors(network)
    bounds: tuple[tuple[float, float], ...] = ()
    seen = network.normalisation
    if seen is not None:
        mean, std = seen.mean.double().numpy(), seen.std.double().numpy()
        params = fold_normaliser(params, Normaliser(mean, std))
        if seen.clip is not None:
            reach = seen.clip * std
            bounds = tuple(zip((mean - reach).tolist(), (mean + reach).tolist(), strict=True))
    spec = ActorSpec(
        inputs,
        actions,
        tuple(len(layer.bias) for layer in network.hidden),
        network.activation,
        network.hidden[0].norm is not None,
        _kind(network),
        bounds,
        network.mean_bound,
        _rescale(network),
    )
    about = Description(
        chosen, stated.algorithm or path.stem, "policy", stated.step or 0, stated.seed or 0, inputs, actions,
        config={},
    )  # fmt: skip
    converted = None if seen is None else "observation normaliser folded into the first layer"
    return PolicyCheckpoint(path, about, spec, params, converted)


def _kind(network: Network) -> Kind:
    if not network.squash:
        return "clipped"
    return "deterministic" if _head(network) is None else "tanh_gaussian"


def _head(network: Network) -> Affine | None:
    """The second head of a tanh-Gaussian like ours; None for any other noise."""
    plain = network.squash and network.mean_bound is None and network.gain is None and network.offset is None
    ours = plain and network.log_std_range == LOG_STD_RANGE and isinstance(network.log_std, Affine)
    return network.log_std if ours and isinstance(network.log_std, Affine) else None


def _rescale(network: Network) -> tuple[tuple[float, float], ...]:
    if network.gain is None and network.offset is None:
        return ()
    ones = np.ones(network.action_dim)
    gain = ones if network.gain is None else network.gain.double().numpy()
    offset = 0 * ones if network.offset is None else network.offset.double().numpy()
    return tuple(zip(gain.tolist(), offset.tolist(), strict=True))


def _tensors(network: Network) -> dict[str, np.ndarray]:
    """Its tensors by our names."""
    params: dict[str, np.ndarray] = {}
    for i, layer in enumerate(network.hidden):
        params |= {f"net.hidden.{i}.weight": layer.weight.numpy(), f"net.hidden.{i}.bias": layer.bias.numpy()}
        if layer.norm is not None:
            params |= {
                f"net.norms.{i}.weight": layer.norm[0].numpy(),
                f"net.norms.{i}.bias": layer.norm[1].numpy(),
            }
    second = _head(network)
    heads = [network.mean] if second is None else [network.mean, second]
    params[HEAD_WEIGHT] = torch.cat([head.weight for head in heads]).numpy()
    params[HEAD_BIAS] = torch.cat([head.bias for head in heads]).numpy()
    return params
