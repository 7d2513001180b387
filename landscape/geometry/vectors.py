"""Networks as vectors: a mapping from tensor name to array, and the `Layout` in which it lies in one vector.

Floating-point tensors move; every other tensor (counters, index buffers) is held and must be equal in all
networks that are compared (docs/landscape.md §7). Vectors are float64 [d], whatever the dtype of the tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smac.errors import UserError

Params = Mapping[str, np.ndarray]
Vector = NDArray[np.float64]

BATCH_STATISTICS = ("running_mean", "running_var")


def moves(tensor: np.ndarray) -> bool:
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

    @property
    def slices(self) -> dict[str, slice]:
        """Which entries of the vector are which tensor."""
        ends = np.cumsum([0, *self.sizes]).tolist()
        return {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(self.names)}


def layout_of(params: Params) -> Layout:
    """The layout of `params`; the order in which the mapping lists its tensors does not matter."""
    moving = sorted(name for name, tensor in params.items() if moves(tensor))
    if not moving:
        raise UserError("the parameters hold no floating-point tensor; there is nothing to interpolate")
    return Layout(
        names=tuple(moving),
        shapes=tuple(params[name].shape for name in moving),
        dtypes=tuple(params[name].dtype for name in moving),
        held={name: tensor.copy() for name, tensor in sorted(params.items()) if not moves(tensor)},
    )


def check_same_layout(a: Params, b: Params, name_a: str = "from", name_b: str = "to") -> None:
    """Raise a UserError naming the first tensor for which two networks have no line between them (§7)."""
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
        if not moves(x) and not np.array_equal(x, y):
            raise UserError(
                f"{x.dtype} tensor {name!r} differs between {name_a} and {name_b}; "
                "it cannot be interpolated, so make it equal or leave it out"
            )
        if name.rpartition(".")[2] in BATCH_STATISTICS and not np.array_equal(x, y):
            raise UserError(
                f"batch statistics {name!r} differ between {name_a} and {name_b}; an average of them belongs "
                "to no network: hold them at one end and estimate them anew at every point"
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
    tensors = zip(layout.slices.items(), layout.shapes, layout.dtypes, strict=True)
    params = {name: vector[part].reshape(shape).astype(dtype) for (name, part), shape, dtype in tensors}
    return params | {name: tensor.copy() for name, tensor in layout.held.items()}


def as_vector(values: np.ndarray, name: str) -> Vector:
    """A new float64 copy [d] of `values`; raises a UserError that says `name` where one is not finite."""
    vector = np.array(values, dtype=np.float64)
    if vector.ndim != 1 or not vector.size:
        raise UserError(f"{name} has shape {vector.shape}; a parameter vector has one axis (see `flatten`)")
    broken = int(np.count_nonzero(~np.isfinite(vector)))
    if broken:
        raise UserError(f"{name} holds {broken} numbers that are not finite; it has no place in a landscape")
    return vector


def as_vectors(values: Mapping[str, np.ndarray]) -> list[Vector]:
    """`as_vector` of each, and all of one dimension."""
    vectors = [as_vector(value, name) for name, value in values.items()]
    for name, vector in zip(values, vectors, strict=True):
        if len(vector) != len(vectors[0]):
            first = next(iter(values))
            raise UserError(
                f"{name} has dimension {len(vector)} but {first} has {len(vectors[0])}; "
                "compare networks of one architecture"
            )
    return vectors


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
        if moves(params_from[name])
    }


def distance(params_from: Params, params_to: Params) -> float:
    """||theta_to - theta_from||, the Euclidean length of the line from alpha = 0 to alpha = 1."""
    return float(np.linalg.norm(list(displacements(params_from, params_to).values())))
