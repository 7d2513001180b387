"""Straight lines through parameter space. NumPy only: parameters are mappings from name to array.

Orientation everywhere: *from* is alpha = 0, *to* is alpha = 1 (definition 4.2). Floating-point tensors move;
every other tensor (counters, index buffers) is held and must be equal at both ends.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smac.errors import UserError

Params = Mapping[str, np.ndarray]
Vector = NDArray[np.float64]


def _moves(tensor: np.ndarray) -> bool:
    return np.issubdtype(tensor.dtype, np.floating)


@dataclass(frozen=True)
class Layout:
    """How the floating-point tensors of a network lie in one vector: sorted by name, each in C order."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]
    held: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    """Tensors that are no part of the vector (integers, booleans); `unflatten` gives copies of them back."""

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(int(np.prod(shape)) for shape in self.shapes)

    @property
    def dimension(self) -> int:
        return sum(self.sizes)


def layout_of(params: Params) -> Layout:
    """The layout of `params`; the order in which the mapping lists its tensors does not matter."""
    moving = sorted(name for name, tensor in params.items() if _moves(tensor))
    if not moving:
        raise UserError("the parameters hold no floating-point tensor; there is nothing to interpolate")
    return Layout(
        names=tuple(moving),
        shapes=tuple(params[name].shape for name in moving),
        dtypes=tuple(params[name].dtype for name in moving),
        held={name: tensor.copy() for name, tensor in sorted(params.items()) if not _moves(tensor)},
    )


def check_same_layout(a: Params, b: Params, name_a: str = "from", name_b: str = "to") -> None:
    """Raise a UserError naming the first tensor for which two networks have no line between them (4.7)."""
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            has, lacks = (name_a, name_b) if name in a else (name_b, name_a)
            raise UserError(
                f"tensor {name!r} is in {has} but not in {lacks}; compare networks of one architecture"
            )
        x, y = a[name], b[name]
        if x.shape != y.shape:
            raise UserError(f"tensor {name!r} has shape {x.shape} in {name_a} but {y.shape} in {name_b}")
        if x.dtype != y.dtype:
            raise UserError(
                f"tensor {name!r} is {x.dtype} in {name_a} but {y.dtype} in {name_b}; convert one of them"
            )
        if not _moves(x) and not np.array_equal(x, y):
            raise UserError(
                f"{x.dtype} tensor {name!r} differs between {name_a} and {name_b}; "
                "it cannot be interpolated, so make it equal or leave it out"
            )


def flatten(params: Params, layout: Layout) -> Vector:
    """The floating-point tensors as one new float64 vector [d]. Raises when `params` have another layout."""
    found = layout_of(params)
    if found != layout:
        described = zip(found.names, found.shapes, found.dtypes, strict=True)
        odd = sorted(set(zip(layout.names, layout.shapes, layout.dtypes, strict=True)) ^ set(described))
        raise UserError(f"tensor {odd[0][0]!r} does not fit the layout: its name, shape or dtype is another")
    return np.concatenate([params[name].astype(np.float64).ravel() for name in layout.names])


def unflatten(vector: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
    """The tensors of a vector [d], each in its own dtype, and copies of the held ones; undoes `flatten`."""
    if vector.shape != (layout.dimension,):
        raise UserError(
            f"a vector of shape {vector.shape} does not fit a layout of dimension {layout.dimension}"
        )
    pieces = np.split(vector, np.cumsum(layout.sizes)[:-1])
    tensors = zip(layout.names, pieces, layout.shapes, layout.dtypes, strict=True)
    params = {name: piece.reshape(shape).astype(dtype) for name, piece, shape, dtype in tensors}
    return params | {name: tensor.copy() for name, tensor in layout.held.items()}


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
    """theta(alpha) = (1 - alpha) theta_from + alpha theta_to, in float64, cast to each tensor's dtype (4.7).

    alpha = 0 and alpha = 1 give copies of the stored tensors, bit for bit; the inputs are never written to.
    Both must have one layout (`check_same_layout`).
    """
    if alpha in (0.0, 1.0):
        return {name: tensor.copy() for name, tensor in (params_to if alpha else params_from).items()}
    point = {}
    for name, start in params_from.items():
        if _moves(start):
            mixed = (1 - alpha) * start.astype(np.float64) + alpha * params_to[name].astype(np.float64)
            point[name] = np.asarray(mixed, dtype=start.dtype)
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


def displacements(params_from: Params, params_to: Params) -> dict[str, float]:
    """||to - from|| of every floating-point tensor (Frobenius, float64), by sorted name."""
    check_same_layout(params_from, params_to)
    return {
        name: float(
            np.linalg.norm(
                (params_to[name].astype(np.float64) - params_from[name].astype(np.float64)).ravel()
            )
        )
        for name in sorted(params_from)
        if _moves(params_from[name])
    }


def distance(params_from: Params, params_to: Params) -> float:
    """||theta_to - theta_from||, the Euclidean length of the line from alpha = 0 to alpha = 1."""
    return float(np.linalg.norm(list(displacements(params_from, params_to).values())))


def relative_displacements(params_from: Params, params_to: Params) -> dict[str, float]:
    """||to - from|| / ||from|| of every floating-point tensor; infinite where a zero tensor has moved."""
    relative = {}
    for name, moved in displacements(params_from, params_to).items():
        size = float(np.linalg.norm(params_from[name].astype(np.float64).ravel()))
        relative[name] = moved / size if size else (np.inf if moved else 0.0)
    return relative
