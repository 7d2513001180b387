"""Directions in parameter space: random, filter-normalised, orthonormal, of an update (docs/landscape.md §5).

Randomness: every draw comes from an explicit seed, so the same seed gives the same direction in any process
and another seed gives another one. Nothing else is random here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from landscape.geometry.vectors import Layout, Vector, as_vector, as_vectors
from smac.errors import UserError

OneD = Literal["zero", "match", "keep"]
DEGENERATE = 1e-6  # share of a direction that must be left after the others are taken out of it (§5)


def unit(direction: Vector, name: str = "the direction") -> Vector:
    """direction / ||direction||, Euclidean; refuses the zero vector."""
    vector = as_vector(direction, name)
    length = np.linalg.norm(vector)
    if not length:
        raise UserError(f"{name} is zero and points nowhere")
    return vector / length


def cosine(a: Vector, b: Vector) -> float:
    return float(np.clip(unit(a) @ unit(b), -1.0, 1.0))


def orthonormalise(u: Vector, v: Vector) -> tuple[Vector, float, float]:
    """Gram-Schmidt: `basis` [2, d] with basis[0] along u, <v, basis[0]> and <v, basis[1]> > 0.

    The projection is taken out twice, which leaves the basis orthogonal to rounding however small the angle.
    Raises a UserError with the angle where less than `DEGENERATE` of v is left: u and v span no plane.
    """
    first, second = unit(u, "the first direction"), as_vector(v, "the second direction")
    unit(second, "the second direction")
    x = float(second @ first)
    rest = second - x * first
    rest -= (rest @ first) * first
    y = float(np.linalg.norm(rest))
    if y < DEGENERATE * np.linalg.norm(second):
        angle = np.degrees(np.arctan2(y, x))
        raise UserError(
            f"the two directions are collinear: the angle between them is {angle:.3g} degrees; "
            "they span a line, not a plane"
        )
    return np.stack([first, rest / y]), x, y


def random_direction(dimension: int, seed: int, draw: int = 0) -> Vector:
    """A standard normal vector [d], whose direction is uniform on the sphere; one per seed and `draw`."""
    return np.random.default_rng([seed, draw]).standard_normal(dimension)


def random_orthogonal_directions(count: int, dimension: int, seed: int) -> Vector:
    """`count` orthonormal directions [count, d], uniform among all such (QR of a Gaussian matrix)."""
    if not 1 <= count <= dimension:
        raise UserError(f"there are no {count} orthogonal directions in {dimension} dimensions")
    columns = np.random.default_rng(seed).standard_normal((dimension, count))
    q, r = np.linalg.qr(columns)
    return np.ascontiguousarray((q * np.sign(np.diag(r))).T)  # the signs make the draw uniform (Haar)


def filter_normalise(direction: Vector, reference: Vector, layout: Layout, one_d: OneD = "zero") -> Vector:
    """Scale every filter of a direction [d] to the norm of that filter in `reference` [d] (Li et al. 2018).

    d_f <- d_f ||theta_f|| / ||d_f||, and zero where d_f is. A filter is what feeds one output: a row of a
    linear weight [out, in], also in a stack [members, out, in], and theta[o] of a convolution
    [out, in, kh, kw]. Biases, norms and
    scalars are no filters; `one_d` sets them to zero, scales each (each member's) to its own norm (`match`)
    or keeps them as they are (`keep`). Which tensors move at all is a matter of `restrict`.

    A bias `x.bias` says which leading axes of `x.weight` count outputs; without one, the last axis of a
    tensor of two or three axes is the input, and all but the first of one with more.
    """
    if one_d not in ("zero", "match", "keep"):
        raise UserError(f"one_d must be zero, match or keep, got {one_d!r}")
    d, theta = as_vectors({"the direction": direction, "the reference": reference})
    normalised = np.zeros_like(d)
    for (name, part), shape in zip(layout.slices.items(), layout.shapes, strict=True):
        axes = input_axes(name, layout)
        if axes or one_d == "match":
            axes = axes or tuple(range(len(shape))[-1:])
            x, y = d[part].reshape(shape), theta[part].reshape(shape)
            size = _norm(x, axes)
            scale = np.divide(_norm(y, axes), size, out=np.zeros_like(size), where=size > 0)
            normalised[part] = (x * scale).ravel()
        elif one_d == "keep":
            normalised[part] = d[part]
    return normalised


def _norm(tensor: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.sqrt(np.sum(tensor**2, axis=axes, keepdims=True))


def input_axes(name: str, layout: Layout) -> tuple[int, ...]:
    """The axes over which a filter of tensor `name` extends; none for biases, norms and scalars."""
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    stem, _, last = name.rpartition(".")
    rank = len(shapes[name])
    if last == "bias":
        return ()
    bias = shapes.get(f"{stem}.bias")
    if last == "weight" and bias is not None and bias == shapes[name][: len(bias)]:
        return tuple(range(len(bias), rank))
    if rank in (2, 3):
        return (rank - 1,)
    return tuple(range(1, rank))


@dataclass(frozen=True)
class Update:
    """What one update did to the parameters: theta_after = theta_before + length * direction."""

    direction: Vector
    """Unit vector [d]."""
    length: float


def update_direction(before: Vector, after: Vector) -> Update:
    """The direction and length of an actual update, optimiser state and all: from two checkpoints [d]."""
    start, end = as_vectors({"the checkpoint before": before, "the checkpoint after": after})
    step = end - start
    if not step.any():
        raise UserError("the checkpoints before and after the update are equal; it moved nothing")
    return Update(unit(step), float(np.linalg.norm(step)))
