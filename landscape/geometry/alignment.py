"""Alignment: the same function with its hidden units in another order, sign or scale (docs/landscape.md §8).

A network has many parameter vectors that compute one function, so two networks may look far apart although
they are not. Which changes of hidden units keep the function depends on the activation:

    order   always
    sign    tanh, which is odd
    scale   ReLU, which is positively homogeneous

SiLU has the first only. Without LayerNorm, sign and scale act on the incoming weights and bias; with it they
act on its scale and shift, since the normalisation mixes all units before them. The outgoing weights take
the inverse. Inputs and outputs of the network keep their order. That LayerNorm also ignores a common shift
and (up to its epsilon) a common scale of what it is given is left alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from landscape.geometry.networks import ACTIVATIONS, Activation, forward, hidden_layers
from landscape.geometry.unit_matching import Net, nearest
from landscape.geometry.vectors import Params, Vector, check_same_layout, distance
from smac.errors import UserError

TOLERANCE = 1e-5
STATES = 256  # standard normal states on which the function is checked where none are given


@dataclass(frozen=True, eq=False)
class Alignment:
    """A network whose hidden units were matched with those of a reference, and what that took.

    Unit k of hidden layer l in the aligned network is signs[l][k] * scales[l][k] times unit
    permutations[l][k] of the network before.
    """

    params: dict[str, np.ndarray]
    """The aligned network, in the dtypes of the one before; tensors behind other prefixes are copies."""
    permutations: tuple[np.ndarray, ...]
    signs: tuple[Vector, ...]
    scales: tuple[Vector, ...]
    distance_before: float
    """To the reference, over all floating-point tensors of the network."""
    distance_after: float
    function_change: float
    """Largest change of an output on the checked states, relative to outputs above 1."""
    sweeps: int
    """Over the hidden layers, of the start that led here; 0 where none came nearer than the identity."""
    converged: bool
    """Whether the last sweep changed nothing; the optimum is a local one either way."""

    @property
    def moved_units(self) -> int:
        """Hidden units that changed place or sign."""
        return sum(
            int(np.count_nonzero((p != np.arange(len(p))) | (s < 0)))
            for p, s in zip(self.permutations, self.signs, strict=True)
        )

    @property
    def identity(self) -> bool:
        """No unit changed place or sign: what is expected of two checkpoints of one run, up to `scales`."""
        return self.moved_units == 0

    def to_json(self) -> dict[str, Any]:
        scales = np.concatenate(self.scales) if self.scales else np.ones(1)
        return {
            "identity": self.identity,
            "units": sum(map(len, self.permutations)),
            "moved_units": self.moved_units,
            "flipped_units": int(sum(np.count_nonzero(s < 0) for s in self.signs)),
            "scales": [float(scales.min()), float(scales.max())],
            "distance_before": self.distance_before,
            "distance_after": self.distance_after,
            "function_change": self.function_change,
            "sweeps": self.sweeps,
            "converged": self.converged,
        }


def transform_units(
    params: Params,
    permutations: tuple[np.ndarray, ...],
    factors: tuple[Vector, ...],
    *,
    prefix: str = "net.",
) -> dict[str, np.ndarray]:
    """A copy of a perceptron in which unit k of hidden layer l is factors[l][k] times permutations[l][k].

    The function stays where the activation allows the factors (see above); nothing is checked here.
    """
    layers, net = hidden_layers(params, prefix), Net.of(params, prefix)
    for i, (order, factor) in enumerate(zip(permutations, factors, strict=True)):
        if not np.array_equal(np.sort(order), np.arange(len(net.biases[i]))):
            raise UserError(f"no permutation of the {len(net.biases[i])} units of hidden layer {i}")
        net.transform(i, order, factor)
    changed: dict[str, np.ndarray] = {f"{prefix}head.weight": net.weights[-1]}
    for i, layer in enumerate(layers):
        changed |= {layer.weight: net.weights[i], layer.bias: net.biases[i]}
        if net.norms is not None and layer.scale and layer.shift:
            changed |= {layer.scale: net.norms[i][:, 0], layer.shift: net.norms[i][:, 1]}
    copy = {name: tensor.copy() for name, tensor in params.items()}
    return copy | {name: np.ascontiguousarray(x, params[name].dtype) for name, x in changed.items()}


def function_change(
    a: Params,
    b: Params,
    observations: np.ndarray,
    compute: Callable[[Params, np.ndarray], np.ndarray],
) -> float:
    """max |f_a(s) - f_b(s)| over states [batch, in] and outputs, relative to max |f_a(s)| above 1.

    For actions, which lie in [-1, 1], it is the absolute change.
    """
    x, y = (np.asarray(compute(params, observations), dtype=np.float64) for params in (a, b))
    return float(np.abs(x - y).max() / max(1.0, np.abs(x).max()))


def align(
    reference: Params,
    other: Params,
    activation: Activation,
    *,
    prefix: str = "net.",
    observations: np.ndarray | None = None,
    compute: Callable[[Params, np.ndarray], np.ndarray] | None = None,
    rescale: bool = True,
    seed: int = 0,
) -> Alignment:
    """Bring the hidden units of `other` as near to those of `reference` as its function allows.

    Minimises the Euclidean distance over all tensors behind `prefix` by coordinate descent over the layers:
    a linear assignment on inner products (their absolute values where signs are free) for order and sign
    (Ainsworth et al. 2023), the exact best scale of each unit where scales are free. It starts from the
    identity, from a match of incoming weights layer by layer and, for ReLU, from the same match of networks
    whose units are balanced; the nearest result counts, and the identity unless something is nearer. So a
    permuted, signed or scaled copy is recovered; for other pairs the optimum is a local one.

    Two checkpoints of one run normally keep the order and signs of their units, bit for bit. The nearest
    scales of a ReLU network are never exactly 1, though: `rescale=False` leaves them alone.

    The function is checked on `observations` [batch, in], or on standard normal states drawn with `seed`; a
    change above 1e-5 raises a UserError. Give `compute` (tensors, states -> outputs), such as the policy that
    is evaluated, to check that: the default, `forward`, believes what it is told of the activation. Neither
    network is written to.
    """
    check_same_layout(
        _behind(prefix, reference), _behind(prefix, other), "the reference", "the other network"
    )
    if activation not in ACTIVATIONS:
        raise UserError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    a, b = Net.of(reference, prefix), Net.of(other, prefix)
    best = nearest(a, b, signs=activation == "tanh", scales=rescale and activation == "relu")
    if observations is None:
        observations = np.random.default_rng(seed).standard_normal((STATES, a.weights[0].shape[1]))
    aligned = transform_units(other, tuple(best.units.orders), tuple(best.units.factors), prefix=prefix)
    compute = compute or (lambda params, states: forward(params, states, activation, prefix=prefix))
    change = function_change(other, aligned, observations, compute)
    if not change <= TOLERANCE:
        raise UserError(
            f"the aligned network is another function: its outputs differ by {change:.2g}, more than "
            f"{TOLERANCE:g}; is {activation} the activation it was trained with?"
        )
    before, after = (distance(_behind(prefix, reference), _behind(prefix, x)) for x in (other, aligned))
    return Alignment(
        aligned,
        tuple(best.units.orders),
        tuple(np.sign(f) for f in best.units.factors),
        tuple(np.abs(f) for f in best.units.factors),
        before,
        after,
        change,
        best.sweeps,
        best.converged,
    )


def _behind(prefix: str, params: Params) -> dict[str, np.ndarray]:
    return {name: tensor for name, tensor in params.items() if name.startswith(prefix)}
