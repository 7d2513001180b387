"""What the tensors of a perceptron compute, in NumPy.

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
