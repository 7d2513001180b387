"""Straight lines. Orientation everywhere: *from* is alpha = 0, *to* is alpha = 1 (docs/landscape.md §2)."""

from collections.abc import Iterable, Iterator

import numpy as np

from landscape.geometry.directions import unit
from landscape.geometry.vectors import Params, Vector, as_vector, check_same_layout, moves
from smac.errors import UserError


def line_alphas(points: int, extrapolate: float = 0.0) -> Vector:
    """Increasing positions [points] on a line, with exactly 0.0 and exactly 1.0 always among them.

    With `extrapolate` = m > 0 they run from exactly -m to exactly 1 + m in three evenly spaced pieces that
    meet at 0 and at 1; the two outer pieces get their share of the points, at least one each. So the spacing
    outside [0, 1] may differ a little from the spacing inside.
    """
    if not (np.isfinite(extrapolate) and extrapolate >= 0):
        raise UserError(f"extrapolate must be a finite number >= 0, got {extrapolate}")
    fewest = 4 if extrapolate else 2
    if points < fewest:
        raise UserError(f"a line with extrapolate={extrapolate} needs at least {fewest} points, got {points}")
    if not extrapolate:
        return np.linspace(0.0, 1.0, points)
    share = round((points - 1) * extrapolate / (1 + 2 * extrapolate))
    outer = min(max(share, 1), (points - 2) // 2)
    before = np.linspace(-extrapolate, 0.0, outer, endpoint=False)
    after = np.linspace(1 + extrapolate, 1.0, outer, endpoint=False)[::-1]
    return np.concatenate([before, np.linspace(0.0, 1.0, points - 2 * outer), after])


def point_on_line(params_from: Params, params_to: Params, alpha: float) -> dict[str, np.ndarray]:
    """theta(alpha) = (1 - alpha) theta_from + alpha theta_to, in float64, cast to each tensor's dtype (§7).

    alpha = 0 and alpha = 1 give copies of the stored tensors, bit for bit, and a number that is equal at both
    ends stays as it is at every alpha; the inputs are never written to. Both must have one layout
    (`check_same_layout`).
    """
    if alpha in (0.0, 1.0):
        return {name: tensor.copy() for name, tensor in (params_to if alpha else params_from).items()}
    point = {}
    for name, start in params_from.items():
        if moves(start):
            end = params_to[name]
            mixed = (1 - alpha) * start.astype(np.float64) + alpha * end.astype(np.float64)
            point[name] = np.where(start == end, start, mixed.astype(start.dtype))
        else:
            point[name] = start.copy()
    return point


def line(params_from: Params, params_to: Params, alphas: Iterable[float]) -> Iterator[dict[str, np.ndarray]]:
    """The points of the straight line at `alphas`, in their order, one at a time.

    Only the point in hand is in memory, whatever the number of points. The layouts are checked at the call,
    before the first point is asked for.
    """
    check_same_layout(params_from, params_to)
    return (point_on_line(params_from, params_to, float(alpha)) for alpha in alphas)


def ray(origin: Vector, direction: Vector, distances: Iterable[float]) -> Iterator[Vector]:
    """The points at Euclidean `distances` from `origin` [d] along `direction` [d], one at a time.

    Negative distances lie the other way; the length of `direction` does not matter. Distance 0 is the origin,
    bit for bit.
    """
    start, along = as_vector(origin, "the origin"), unit(direction)
    return (start + distance * along if distance else start.copy() for distance in distances)
