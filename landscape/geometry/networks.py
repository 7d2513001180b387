"""What the tensors of a perceptron compute, in NumPy, and observation normalisers folded into it.

Names and layouts are those of `smac.nets`: hidden layers `affine -> (LayerNorm) -> activation` and an affine
head, in tensors hidden.i.weight [out, in], hidden.i.bias, norms.i.weight, norms.i.bias, head.weight,
head.bias behind a prefix such as `net.`. Everything is computed in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from landscape.geometry.vectors import Params, Vector
from smac.errors import UserError

Activation = Literal["silu", "relu", "tanh"]
ACTIVATIONS: dict[str, Callable[[Vector], Vector]] = {
    "silu": lambda x: x * expit(x),
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
}
LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Hidden:
    """Names of the tensors of one hidden layer, and of the weight that its units feed."""

    weight: str
    bias: str
    scale: str | None
    shift: str | None
    next_weight: str


def hidden_layers(params: Params, prefix: str = "net.") -> list[Hidden]:
    """The hidden layers of a perceptron in order; a UserError names what is missing or does not fit."""
    count = len({name for name in params if name.startswith(f"{prefix}hidden.") and name.endswith(".weight")})
    normed = f"{prefix}norms.0.weight" in params
    weights = [f"{prefix}hidden.{i}.weight" for i in range(count)] + [f"{prefix}head.weight"]
    layers = [
        Hidden(
            weights[i],
            f"{prefix}hidden.{i}.bias",
            f"{prefix}norms.{i}.weight" if normed else None,
            f"{prefix}norms.{i}.bias" if normed else None,
            weights[i + 1],
        )
        for i in range(count)
    ]
    _check_shapes(params, prefix, weights, layers)
    return layers


def _check_shapes(params: Params, prefix: str, weights: list[str], layers: list[Hidden]) -> None:
    for name in [*weights, f"{prefix}head.bias"]:
        if name not in params:
            raise UserError(f"no perceptron behind {prefix!r}: there is no tensor {name!r}")
    for name in weights:
        if params[name].ndim != 2:
            raise UserError(
                f"tensor {name!r} has shape {params[name].shape}; take one network out of a stack first"
            )
    for layer in layers:
        width = len(params[layer.weight])
        for name in filter(None, (layer.bias, layer.scale, layer.shift)):
            if name not in params or params[name].shape != (width,):
                raise UserError(
                    f"tensor {name!r} is missing or does not have the {width} units of {layer.weight!r}"
                )
        if params[layer.next_weight].shape[1] != width:
            raise UserError(
                f"tensor {layer.next_weight!r} does not take the {width} units of {layer.weight!r}"
            )


def forward(
    params: Params,
    observations: np.ndarray,
    activation: Activation,
    *,
    prefix: str = "net.",
    output: Literal["identity", "tanh"] = "identity",
) -> Vector:
    """Outputs [batch, out] for observations [batch, in], in float64."""
    if activation not in ACTIVATIONS:
        raise UserError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if output not in ("identity", "tanh"):
        raise UserError(f"the output is identity or tanh, not {output!r}")
    theta = {name: tensor.astype(np.float64) for name, tensor in params.items() if name.startswith(prefix)}
    x = np.asarray(observations, dtype=np.float64)
    for layer in hidden_layers(params, prefix):
        x = x @ theta[layer.weight].T + theta[layer.bias]
        if layer.scale and layer.shift:
            x = _layer_norm(x) * theta[layer.scale] + theta[layer.shift]
        x = ACTIVATIONS[activation](x)
    y = x @ theta[f"{prefix}head.weight"].T + theta[f"{prefix}head.bias"]
    return np.tanh(y) if output == "tanh" else y


def _layer_norm(x: Vector) -> Vector:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + LAYER_NORM_EPSILON)


@dataclass(frozen=True, eq=False)
class Normaliser:
    """What a policy does to observations before its first layer: (o - mean) / std, then clipped to +-clip.

    `std` is what is divided by: sqrt(var + epsilon) where a library adds an epsilon.
    """

    mean: Vector
    std: Vector
    clip: float | None = None

    def __post_init__(self) -> None:
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        if mean.ndim != 1 or mean.shape != std.shape:
            raise UserError(f"an observation normaliser has mean {mean.shape} but std {std.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            odd = int(np.flatnonzero(~(np.isfinite(mean) & np.isfinite(std) & (std > 0)))[0])
            raise UserError(
                f"the observation normaliser cannot be used at index {odd}: "
                f"mean {mean[odd]}, std {std[odd]}; a std must be finite and > 0"
            )

    def same_as(self, other: "Normaliser | None") -> bool:
        return (
            other is not None
            and self.clip == other.clip
            and np.array_equal(self.mean, other.mean)
            and np.array_equal(self.std, other.std)
        )


def fold_normaliser(
    params: Params, normaliser: Normaliser, *, layer: str = "net.hidden.0"
) -> dict[str, np.ndarray]:
    """A copy of the network that takes raw observations: W <- W diag(1 / std), b <- b - W_new mean (4.7).

    Weights are [..., out, in], so a stack of critics folds as one; a critic's normaliser needs mean 0 and std
    1 for the actions behind the observations. Computed in float64 and stored in each tensor's dtype. A
    normaliser that clips has no such network, and is refused.
    """
    if normaliser.clip is not None and np.isfinite(normaliser.clip):
        raise UserError(
            f"the observation normaliser clips at {normaliser.clip}, which no layer can do; compare "
            "checkpoints that share one normaliser, or train without clipping"
        )
    weight, bias = f"{layer}.weight", f"{layer}.bias"
    for name in (weight, bias):
        if name not in params:
            raise UserError(f"no tensor {name!r} to fold the observation normaliser into")
    inputs = params[weight].shape[-1]
    if inputs != len(normaliser.mean):
        raise UserError(
            f"the observation normaliser has {len(normaliser.mean)} entries but {weight!r} takes {inputs}"
        )
    w = params[weight].astype(np.float64) / np.asarray(normaliser.std, dtype=np.float64)
    b = params[bias].astype(np.float64) - w @ np.asarray(normaliser.mean, dtype=np.float64)
    copy = {name: tensor.copy() for name, tensor in params.items()}
    return copy | {weight: w.astype(params[weight].dtype), bias: b.astype(params[bias].dtype)}


def on_raw_observations(
    networks: list[tuple[Params, Normaliser | None]], *, layer: str = "net.hidden.0"
) -> tuple[list[dict[str, np.ndarray]], bool]:
    """Copies of networks that may be interpolated, and whether their normalisers were folded (4.7).

    Where all share one normaliser, clipping or not, it stays outside, and the wrapper must go on applying it.
    Where they differ, every one is folded, so all are functions of raw observations.
    """
    first = networks[0][1]
    same = all((n is None) if first is None else first.same_as(n) for _, n in networks)
    if same:
        return [{name: t.copy() for name, t in params.items()} for params, _ in networks], False
    return [
        {name: t.copy() for name, t in params.items()}
        if n is None
        else fold_normaliser(params, n, layer=layer)
        for params, n in networks
    ], True
