"""The search behind `align`: hidden units of one perceptron matched with those of another (§8).

Everything here lowers the squared distance between the two networks or leaves it, layer by layer. Where the
factors of units are signs, that distance falls exactly as the sum of inner products grows, which is the
objective of weight matching (Ainsworth et al. 2023); with scales it is the distance that is bounded.
"""

from dataclasses import dataclass

import numpy as np

from landscape.geometry.networks import hidden_layers
from landscape.geometry.vectors import Params, Vector

GAIN = 1e-13  # of the squared norms: a sum of inner products that grows by less has not grown
TIE = 1e-12  # of the norms: distances that differ by less are equal
SWEEPS = 200


@dataclass(eq=False)
class Net:
    """A perceptron in float64, by hidden layer; weights[i + 1] is what layer i feeds.

    The bias of the head is left out: no change of hidden units touches it.
    """

    weights: list[Vector]
    """Of the hidden layers and the head, [out, in] each."""
    biases: list[Vector]
    norms: list[Vector] | None
    """Scale and shift of LayerNorm as columns [out, 2]."""

    @staticmethod
    def of(params: Params, prefix: str) -> "Net":
        layers = hidden_layers(params, prefix)
        names = [layer.weight for layer in layers] + [f"{prefix}head.weight"]
        norms = [
            np.stack([params[x.scale], params[x.shift]], axis=1).astype(np.float64)
            for x in layers
            if x.scale and x.shift
        ]
        biases = [params[layer.bias].astype(np.float64) for layer in layers]
        return Net([params[name].astype(np.float64) for name in names], biases, norms or None)

    def copy(self) -> "Net":
        norms = None if self.norms is None else list(self.norms)
        return Net(list(self.weights), list(self.biases), norms)

    def rows(self, layer: int) -> Vector:
        """What feeds each unit of a layer, [units, in + 1]."""
        return np.concatenate([self.weights[layer], self.biases[layer][:, None]], axis=1)

    def scaled(self, layer: int) -> Vector:
        """What carries the sign and scale of each unit, [units, .]: LayerNorm where there is one."""
        return self.rows(layer) if self.norms is None else self.norms[layer]

    def outgoing(self, layer: int) -> Vector:
        """What each unit of a layer feeds, [units, out]."""
        return self.weights[layer + 1].T

    def transform(self, layer: int, order: np.ndarray, factors: Vector) -> None:
        """Unit k of a layer becomes factors[k] times the unit order[k], and what it feeds follows."""
        self.weights[layer], self.biases[layer] = self.weights[layer][order], self.biases[layer][order]
        if self.norms is None:
            self.weights[layer] = self.weights[layer] * factors[:, None]
            self.biases[layer] = self.biases[layer] * factors
        else:
            self.norms[layer] = self.norms[layer][order] * factors[:, None]
        self.weights[layer + 1] = self.weights[layer + 1][:, order] / factors

    def squared_distance(self, other: "Net") -> float:
        pairs = [*zip(self.weights, other.weights, strict=True), *zip(self.biases, other.biases, strict=True)]
        pairs += zip(self.norms or [], other.norms or [], strict=True)
        return float(sum(np.sum((x - y) ** 2) for x, y in pairs))

    @property
    def squared_size(self) -> float:
        """The squared norm of all parameters."""
        return float(sum(np.sum(x**2) for x in (*self.weights, *self.biases, *(self.norms or []))))

    @property
    def depth(self) -> int:
        return len(self.biases)


@dataclass(eq=False)
class Units:
    """What has been done to hidden units: unit k of layer i is factors[i][k] times unit orders[i][k]."""

    orders: list[np.ndarray]
    factors: list[Vector]

    @staticmethod
    def unchanged(net: Net) -> "Units":
        widths = [len(bias) for bias in net.biases]
        return Units([np.arange(n) for n in widths], [np.ones(n) for n in widths])

    def applied_to(self, net: Net) -> Net:
        changed = net.copy()
        for layer in range(net.depth):
            changed.transform(layer, self.orders[layer], self.factors[layer])
        return changed

    def then(self, layer: int, order: np.ndarray, factors: Vector) -> None:
        self.orders[layer] = self.orders[layer][order]
        self.factors[layer] = self.factors[layer][order] * factors


@dataclass(eq=False)
class Match:
    units: Units
    squared_distance: float
    sweeps: int
    converged: bool


def nearest(a: Net, b: Net, *, signs: bool, scales: bool) -> Match:
    """The change of b's units that brings it nearest to a, of the local optima behind a few starts.

    The first of equals counts, and no change at all before any other.
    """
    starts = [Units.unchanged(b), match_forward(a, b, signs=signs)]
    if scales:
        starts.append(match_balanced(a, b))
    best = Match(Units.unchanged(b), a.squared_distance(b), 0, True)
    rounding = TIE * np.sqrt(a.squared_size + b.squared_size)
    for start in starts:
        match = descend(a, b, start, signs=signs, scales=scales)
        if np.sqrt(match.squared_distance) < np.sqrt(best.squared_distance) - rounding:
            best = match
    return best


def descend(a: Net, b: Net, units: Units, *, signs: bool, scales: bool) -> Match:
    """Sweeps over the hidden layers, from `units` on, until one changes nothing. `units` is written to."""
    current = units.applied_to(b)
    enough = GAIN * (a.squared_size + current.squared_size)
    reached = a.squared_distance(current)
    for sweep in range(1, SWEEPS + 1):
        for layer in range(a.depth):
            order, factors = match_layer(a, current, layer, signs=signs, enough=enough)
            current.transform(layer, order, factors)
            units.then(layer, order, factors)
            if scales:
                factors = best_scales(a, current, layer)
                current.transform(layer, np.arange(len(factors)), factors)
                units.then(layer, np.arange(len(factors)), factors)
        before, reached = reached, a.squared_distance(current)
        if before - reached <= enough:
            return Match(units, a.squared_distance(units.applied_to(b)), sweep, True)
    return Match(units, a.squared_distance(units.applied_to(b)), SWEEPS, False)


def match_layer(
    a: Net, b: Net, layer: int, *, signs: bool, enough: float, outgoing: bool = True
) -> tuple[np.ndarray, Vector]:
    """The best order and signs of a layer of b with all other layers as they are; unchanged without a gain.

    The sign of a unit acts on `scaled` and `outgoing`. With LayerNorm the incoming weights stay as they are,
    and their part of the inner product counts with its own sign.
    """
    from scipy.optimize import linear_sum_assignment  # slow to load

    signed = a.scaled(layer) @ b.scaled(layer).T
    if outgoing:
        signed += a.outgoing(layer) @ b.outgoing(layer).T
    fixed = a.rows(layer) @ b.rows(layer).T if a.norms is not None else np.zeros_like(signed)
    gains = fixed + (np.abs(signed) if signs else signed)
    rows, order = linear_sum_assignment(gains, maximize=True)
    if gains[rows, order].sum() - np.trace(fixed + signed) <= enough:
        return rows, np.ones(len(rows))
    flipped = signed[rows, order] < 0 if signs else np.zeros(len(rows), bool)
    return order, np.where(flipped, -1.0, 1.0)


def match_forward(a: Net, b: Net, *, signs: bool) -> Units:
    """Layer by layer on what comes in alone: exact for a copy, where outgoing weights still mislead."""
    units, current = Units.unchanged(b), b.copy()
    for layer in range(a.depth):
        order, factors = match_layer(a, current, layer, signs=signs, enough=0.0, outgoing=False)
        current.transform(layer, order, factors)
        units.then(layer, order, factors)
    return units


def match_balanced(a: Net, b: Net) -> Units:
    """The match of networks whose units are balanced, which networks that differ in scales only are alike.

    The scales are those that would turn a balanced unit of b into the unit of a that it was matched with.
    """
    a_level, a_factors = balance(a)
    b_level, b_factors = balance(b)
    start = match_forward(a_level, b_level, signs=False)
    units = descend(a_level, b_level, start, signs=False, scales=False).units
    for layer, order in enumerate(units.orders):
        units.factors[layer] = b_factors[layer][order] / a_factors[layer]
    return units


def balance(net: Net) -> tuple[Net, list[Vector]]:
    """The scales at which what comes into every unit has the norm of what goes out, and the network there.

    They are unique, being the minimum of a convex function of their logarithms, the squared norm of all
    weights. Units with nothing on one side keep their scale.
    """
    level, total = net.copy(), [np.ones(len(bias)) for bias in net.biases]
    for _ in range(SWEEPS):
        largest = 0.0
        for layer in range(net.depth):
            into, out = (np.linalg.norm(x, axis=1) for x in (level.scaled(layer), level.outgoing(layer)))
            alive = (into > 0) & (out > 0)
            factors = np.sqrt(np.divide(out, into, out=np.ones_like(out), where=alive))
            factors[~alive] = 1.0
            level.transform(layer, np.arange(len(factors)), factors)
            total[layer] *= factors
            largest = max(largest, float(np.abs(np.log(factors)).max()))
        if largest < 1e-14:
            break
    return level, total


def best_scales(a: Net, b: Net, layer: int) -> Vector:
    """The c > 0 [units] that minimise ||in_a - c in_b||^2 + ||out_a - out_b / c||^2 in a layer of b.

    Its stationary points are the positive roots of p c^4 - q c^3 + t c - r with p = |in_b|^2, r = |out_b|^2,
    q = <in_a, in_b>, t = <out_a, out_b>; in units of (r / p)^(1/4) both ends of that polynomial are 1. Dead
    units, with p = 0 or r = 0, keep their scale.
    """
    p, q = _products(a.scaled(layer), b.scaled(layer))
    r, t = _products(a.outgoing(layer), b.outgoing(layer))
    best = np.ones_like(p)
    alive = (p > 0) & (r > 0)
    p, q, r, t = p[alive], q[alive], r[alive], t[alive]
    natural = (r / p) ** 0.25
    companion = np.zeros((len(p), 4, 4))
    companion[:, [1, 2, 3], [0, 1, 2]] = 1.0
    companion[:, 0, 0], companion[:, 0, 2], companion[:, 0, 3] = q * natural**3 / r, -t * natural / r, 1.0
    roots = np.linalg.eigvals(companion).real * natural[:, None]
    # Real parts of complex roots are no stationary points, but only the best candidate counts.
    candidates = np.concatenate([np.ones((len(p), 1)), np.where(roots > 0, roots, 1.0)], axis=1)
    p, q, r, t = (x[:, None] for x in (p, q, r, t))
    costs = p * candidates**2 - 2 * q * candidates + r / candidates**2 - 2 * t / candidates
    best[alive] = candidates[np.arange(len(candidates)), np.argmin(costs, axis=1)]
    return best


def _products(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    return np.sum(b * b, axis=1), np.sum(a * b, axis=1)
