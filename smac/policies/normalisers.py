"""Observation normalisers, folded into a network's first layer. NumPy only; names as in `smac.nets`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smac.errors import UserError

Params = Mapping[str, np.ndarray]  # name of a tensor -> its values


@dataclass(frozen=True, eq=False)
class Normaliser:
    """What a policy does to observations before its first layer: (o - mean) / std, then clipped to +-clip.

    `std` is what is divided by: sqrt(var + epsilon) where a library adds an epsilon.
    """

    mean: np.ndarray
    std: np.ndarray
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
    """A copy of the network that takes raw observations: W <- W diag(1 / std), b <- b - W_new mean (§7).

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
