"""Curves between two networks: polylines through checkpoints, polygonal chains and Bezier curves (§6).

A curve is linear in its control points: theta(t) = sum_k c_k(t) theta_k for t in [0, 1], so the derivative of
theta(t) by a bend is c_k(t) times the identity, and everything about c is independent of the dimension.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from landscape.geometry.grids import knotted
from landscape.geometry.vectors import Vector, as_vectors
from smac.errors import UserError

Kind = Literal["polygonal", "bezier"]
BISECTIONS = 60  # halvings of [0, 1] that bring t to rounding
ROUNDING = 1e-12
STEADY = 1e-3  # relative change of speed below which quadrature is exact and the closed form is not


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve from control[0] at t = 0 to control[-1] at t = 1.

    `polygonal` runs straight from each control point to the next, each leg in an equal share of t: with one
    bend w it is 2 [t w + (1/2 - t) A] up to t = 1/2 and 2 [(t - 1/2) B + (1 - t) w] after it. `bezier` is the
    quadratic (1 - t)^2 A + 2 t (1 - t) w + t^2 B, which does not pass through its bend (Garipov et al. 2018).
    """

    kind: Kind
    control: Vector
    """Control points [k, d]: the two ends, and the bends between them in order."""
    names: tuple[str, ...] = ()
    """Names of the control points, where they are checkpoints."""

    def __post_init__(self) -> None:
        if self.kind not in ("polygonal", "bezier"):
            raise UserError(f"a curve is polygonal or bezier, not {self.kind!r}")
        if self.kind == "bezier" and len(self.control) != 3:
            raise UserError(f"a quadratic Bezier curve has one bend, got {len(self.control) - 2}")
        if len(self.control) < 2:
            raise UserError("a curve needs two ends")

    @property
    def bends(self) -> Vector:
        """The control points between the ends [k - 2, d]."""
        return self.control[1:-1]

    @property
    def parameters(self) -> int:
        """How many numbers a search over this curve may change: all bends; the ends stay."""
        return self.bends.size

    def with_bends(self, bends: Vector) -> "Curve":
        """The same curve with other bends [k - 2, d]; the ends are those of this one, bit for bit."""
        bends = np.asarray(bends, dtype=np.float64)
        if bends.shape != self.bends.shape:
            raise UserError(f"bends of shape {bends.shape} do not fit a curve with {self.bends.shape}")
        return replace(self, control=np.concatenate([self.control[:1], bends, self.control[-1:]]))

    @property
    def knots(self) -> Vector:
        """The t at which the curve passes through a control point: all of a chain, both ends of a Bezier."""
        return np.linspace(0.0, 1.0, len(self.control)) if self.kind == "polygonal" else np.array([0.0, 1.0])

    def coefficients(self, ts: Vector) -> Vector:
        """c(t) [n, k]: the shares of the control points, each row summing to 1."""
        ts, last = _positions(ts), len(self.control) - 1
        if self.kind == "bezier":
            return np.stack(
                [math.comb(last, k) * ts**k * (1 - ts) ** (last - k) for k in range(last + 1)], axis=1
            )
        leg, rows = self._legs(ts), np.arange(len(ts))
        within = ts * last - leg
        c = np.zeros((len(ts), last + 1))
        c[rows, leg], c[rows, leg + 1] = 1 - within, within
        return c

    def rates(self, ts: Vector) -> Vector:
        """dc/dt [n, k]. At a knot of a chain, where the speed jumps, that of the leg beginning there."""
        ts, last = _positions(ts), len(self.control) - 1
        if self.kind == "bezier":
            return np.stack([2 * ts - 2, 2 - 4 * ts, 2 * ts], axis=1)
        leg, rows = self._legs(ts), np.arange(len(ts))
        rates = np.zeros((len(ts), last + 1))
        rates[rows, leg], rates[rows, leg + 1] = -last, last
        return rates

    def _legs(self, ts: Vector) -> np.ndarray:
        """Which leg of a chain each t is on [n]; a knot belongs to the leg after it."""
        return np.clip(np.searchsorted(self.knots, ts, side="right") - 1, 0, len(self.control) - 2)

    def point(self, t: float) -> Vector:
        """theta(t), a new vector [d]; at a knot the control point, bit for bit."""
        at = np.flatnonzero(self.knots == t)
        if len(at):
            return self.control[0 if t == 0 else -1 if t == 1 else at[0]].copy()
        return self.coefficients(np.array([t]))[0] @ self.control

    def points(self, ts: Iterable[float]) -> Iterator[Vector]:
        """theta(t) at each of `ts`, one at a time."""
        return (self.point(float(t)) for t in ts)

    def derivative(self, t: float) -> Vector:
        """d theta / dt [d]."""
        return self.rates(np.array([t]))[0] @ self.control

    def arc(self, ts: Vector) -> Vector:
        """Length of the curve from t = 0 to each of `ts` [n]."""
        ts = _positions(ts)
        if self.kind == "polygonal":
            legs = np.linalg.norm(np.diff(self.control, axis=0), axis=1)
            return np.interp(ts, self.knots, np.concatenate([[0.0], np.cumsum(legs)]))
        return _quadratic_arc(self.control, ts)

    @property
    def length(self) -> float:
        return float(self.arc(np.array([1.0]))[0])

    @property
    def length_ratio(self) -> float:
        """Length over that of the straight line between the ends; 1 is straight, infinity a loop."""
        chord = float(np.linalg.norm(self.control[-1] - self.control[0]))
        return self.length / chord if chord else math.inf

    def at_lengths(self, lengths: Vector) -> Vector:
        """The t at which `arc` reaches each of `lengths` [n]; a Bezier curve is inverted by bisection."""
        wanted, total = np.asarray(lengths, dtype=np.float64), self.length
        if not ((wanted >= 0) & (wanted <= total * (1 + ROUNDING))).all():
            raise UserError(f"positions on this curve lie between 0 and its length {total:.6g}")
        if self.kind == "polygonal":
            return np.interp(wanted, self.arc(self.knots), self.knots)
        low, high = np.zeros_like(wanted), np.ones_like(wanted)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            short = self.arc(middle) < wanted
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return (low + high) / 2

    def equal_steps(self, points: int) -> Vector:
        """Increasing ts [points] at equal arc lengths, for an average over the curve, from exactly 0 to 1.

        The knots between are passed by; `through_knots` visits them.
        """
        if points < 2:
            raise UserError(f"a curve needs at least 2 points, got {points}")
        inner = self.at_lengths(self.length * np.arange(1, points - 1) / (points - 1))
        return np.concatenate([[0.0], inner, [1.0]])

    def through_knots(self, points: int) -> Vector:
        """Increasing ts [points] with every knot among them exactly, nearly evenly spaced in arc length."""
        arcs = self.arc(self.knots)
        lengths = knotted(arcs, points)
        ts = self.at_lengths(lengths)
        ts[np.searchsorted(lengths, arcs)] = self.knots
        return ts

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "bends": len(self.bends),
            "parameters": self.parameters,
            "length": self.length,
            "length_ratio": self.length_ratio if math.isfinite(self.length_ratio) else None,
        }


def _positions(ts: Vector) -> Vector:
    ts = np.asarray(ts, dtype=np.float64)
    if not ((ts >= 0) & (ts <= 1)).all():
        raise UserError("a curve is defined for t from 0 to 1; extrapolation is for straight lines")
    return ts


def _quadratic_arc(control: Vector, ts: Vector) -> Vector:
    """Arc length of a quadratic Bezier curve from 0 to each t, in closed form.

    The velocity is a + t b, so the speed is |b| sqrt((t - m)^2 + r^2): the slowest moment m and r follow from
    the parts of a along and across b. Where b is small that cancels, and the speed is steady enough for
    Gauss-Legendre quadrature to be exact.
    """
    a = 2 * (control[1] - control[0])
    b = 2 * (control[2] - 2 * control[1] + control[0])
    size = np.linalg.norm(b)
    if size <= STEADY * np.linalg.norm(a):
        nodes, weights = np.polynomial.legendre.leggauss(16)
        inner = np.multiply.outer(ts, (nodes + 1) / 2)
        speed = np.sqrt(a @ a + 2 * inner * (a @ b) + inner**2 * (b @ b))
        return ts * (speed @ weights) / 2
    direction = b / size
    along = float(a @ direction)
    slowest, r = -along / size, float(np.linalg.norm(a - along * direction)) / size

    def primitive(s: Vector) -> Vector:
        return (s * np.hypot(s, r) + (r**2 * np.arcsinh(s / r) if r > 1e-100 else 0.0)) / 2

    return size * (primitive(ts - slowest) - primitive(np.array([-slowest])))


def straight_chain(kind: Kind, start: Vector, end: Vector, bends: int = 1) -> Curve:
    """The straight line from `start` to `end` [d] as a curve with bends on it, where a search begins."""
    ends = as_vectors({"from": start, "to": end})
    shares = np.linspace(0.0, 1.0, bends + 2)[:, None]
    control = (1 - shares) * ends[0] + shares * ends[1]
    control[0], control[-1] = ends
    return Curve(kind, control, ("from", "to"))


def polyline(checkpoints: Mapping[str, Vector]) -> Curve:
    """Straight legs through checkpoints [d] in their order, such as those of a training trajectory.

    Raises a UserError where two neighbours are equal: nothing lies between them.
    """
    vectors, names = as_vectors(checkpoints), tuple(checkpoints)
    if len(vectors) < 2:
        raise UserError("a polyline needs at least two checkpoints")
    for i in range(1, len(vectors)):
        if np.array_equal(vectors[i - 1], vectors[i]):
            raise UserError(
                f"checkpoints {names[i - 1]!r} and {names[i]!r} are equal; there is no way between them"
            )
    return Curve("polygonal", np.stack(vectors), names)
