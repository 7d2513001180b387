"""Many checkpoints in two dimensions, from the distances between them: PCA, metric MDS, t-SNE.

All three start from the matrix of Euclidean distances alone. What a picture keeps of it is told by two
numbers: Kruskal's stress-1 (how far the distances in the picture are from the true ones, after the best
common scale) and trustworthiness (whether neighbours in the picture are so in truth; Venna and Kaski 2001). A
t-SNE picture keeps neighbourhoods only: its distances, sizes and densities of clusters, and the gaps between
them, are made by the method (Wattenberg, Viegas and Johnson 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from landscape.geometry.vectors import Vector
from smac.errors import UserError

By = Literal["tsne", "pca", "mds"]

NEIGHBOURS = 5
PERPLEXITY = 30.0  # the default of every implementation, where there are enough points
LEAST_PERPLEXITY = 2.0
SHARE = 1 / 8  # of the points: more neighbours than a run has checkpoints crumple it
START = 1e-4  # standard deviation of the first coordinate where t-SNE starts
STARTS = 4  # random ones of MDS, in addition to the principal components
STEPS, TOLERANCE = 1000, 1e-12  # of SMACOF: until the stress changes by less than this share


@dataclass(frozen=True, eq=False)
class Embedding:
    """Points [n, 2] in two dimensions, and what they keep of the distances."""

    by: By
    positions: Vector
    """[n, 2], centred; in units of the distances, except for t-SNE, whose units mean nothing."""
    stress: float
    """Kruskal's stress-1 after the best common scale: 0 is a true picture."""
    trustworthiness: float
    """From 0 to 1, over `neighbours` neighbours: 1 where all neighbours are true ones."""
    neighbours: int
    seed: int
    perplexity: float | None = None
    """Of t-SNE."""
    explained: tuple[float, float] | None = None
    """Of PCA: the components' shares of the variance."""


def distinct(vectors: Sequence[Vector]) -> list[int]:
    """For every vector the index of the first that equals it exactly, its own where none does."""
    first: dict[bytes, int] = {}
    return [first.setdefault((vector + 0.0).tobytes(), k) for k, vector in enumerate(vectors)]  # -0 is 0


def distance_matrix(vectors: Vector) -> Vector:
    """Euclidean distances [n, n] of the rows of [n, d], in float64 from the differences themselves.

    Not from inner products, which lose what is much shorter than the vectors: a step of training is.
    """
    from scipy.spatial.distance import pdist, squareform  # slow to load

    return squareform(pdist(np.asarray(vectors, dtype=np.float64)))


def embed(distances: Vector, by: str, *, seed: int = 0, perplexity: float | None = None) -> Embedding:
    """Points in two dimensions for `distances` [n, n], n >= 3; deterministic for a `seed`.

    PCA draws nothing; MDS starts from the principal components and at random, and keeps the lowest stress;
    t-SNE starts from the principal components (Kobak and Berens 2019), slightly stirred. Raises a UserError
    where there are too few different points, or the perplexity does not fit their number.
    """
    method = check_embedding(len(distances), by, perplexity)
    if not distances[np.triu_indices(len(distances), 1)].all():
        raise UserError("two of the points to embed are equal; equal parameters are one point")
    scale = float(distances.max())
    relative = distances / scale
    components, shares = principal_components(relative)
    used = chosen_perplexity(len(distances), perplexity) if method == "tsne" else None
    if method == "pca":
        positions = components
    elif method == "mds":
        positions = _least_stress(relative, components, seed)
    else:
        assert used is not None
        positions = _neighbour_embedding(relative, components, seed, used)
    positions = positions - positions.mean(axis=0)
    neighbours = min(NEIGHBOURS, (len(distances) - 1) // 2)
    return Embedding(
        method,
        positions * scale if method != "tsne" else positions,
        kruskal_stress(relative, positions),
        trustworthiness(relative, positions, neighbours),
        neighbours,
        seed,
        used,
        shares if method == "pca" else None,
    )


def check_embedding(points: int, by: str, perplexity: float | None = None) -> By:
    """The method by its name; UserError unless so many different points can be embedded by it."""
    method: By | None = next((known for known in get_args(By) if known == by), None)
    if method is None:
        raise UserError(f"--by must be one of {', '.join(get_args(By))}, got {by!r}")
    if points < 3:
        raise UserError(f"a projection needs at least 3 different checkpoints, got {points}")
    if by != "tsne":
        if perplexity is not None:
            raise UserError(f"--perplexity is of t-SNE; leave it out with --by {by}")
        return method
    most = (points - 1) / 3  # van der Maaten's own bound
    if most < LEAST_PERPLEXITY:
        raise UserError(f"t-SNE needs at least 7 different checkpoints, got {points}; use --by pca or mds")
    if perplexity is not None and not 1 < perplexity <= most:
        raise UserError(
            f"--perplexity must be above 1 and at most {most:.4g} for {points} different checkpoints "
            f"(a third of the others), got {perplexity:g}"
        )
    return method


def chosen_perplexity(points: int, given: float | None) -> float:
    """An eighth of the points, at least 2 and at most 30, if none is given."""
    return float(np.clip(SHARE * points, LEAST_PERPLEXITY, PERPLEXITY)) if given is None else given


def principal_components(distances: Vector) -> tuple[Vector, tuple[float, float]]:
    """Classical scaling of distances [n, n]: coordinates [n, 2] and their shares of the variance.

    For Euclidean distances these are the principal components of the points themselves (Gower 1966). The sign
    is such that the largest coordinate of each is positive.
    """
    centred = distances**2
    centred = centred - centred.mean(axis=0) - centred.mean(axis=1)[:, None] + centred.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    coordinates = vectors[:, :2] * np.sqrt(values[:2])
    largest = coordinates[np.abs(coordinates).argmax(axis=0), [0, 1]]
    first, second = values[:2] / values.sum()
    return coordinates * np.where(largest < 0, -1.0, 1.0), (float(first), float(second))


def kruskal_stress(distances: Vector, positions: Vector) -> float:
    """Kruskal's stress-1 of `positions` [n, 2] against true `distances` [n, n], after the best common scale.

    min over s of sqrt(sum (s d - delta)^2 / sum delta^2) over pairs, d the distances of the positions:
    sqrt(1 - cos^2) of the two as vectors, whichever of them the sum below is of. A common scale is no error,
    so pictures without units (t-SNE) compare with those that have them. 1 where all positions are equal.
    """
    from scipy.spatial.distance import pdist, squareform  # slow to load

    true, shown = squareform(distances, checks=False), pdist(positions)
    if not shown.any():
        return 1.0
    scale = (true @ shown) / (shown @ shown)
    return float(np.linalg.norm(scale * shown - true) / np.linalg.norm(true))


def trustworthiness(distances: Vector, positions: Vector, neighbours: int) -> float:
    """1 less the ranks by which false neighbours in the picture are too far away (Venna and Kaski 2001)."""
    from sklearn.manifold import trustworthiness as measured  # takes a second to import

    return float(measured(distances, positions, n_neighbors=neighbours, metric="precomputed"))


def _least_stress(distances: Vector, start: Vector, seed: int) -> Vector:
    """Metric MDS by SMACOF from the principal components and from random starts, the best of them."""
    from sklearn.manifold import smacof

    shared = {"n_components": 2, "max_iter": STEPS, "eps": TOLERANCE, "normalized_stress": False}
    found = [
        smacof(distances, init=start, n_init=1, **shared)[0],
        smacof(distances, n_init=STARTS, random_state=seed, **shared)[0],
    ]
    return min(found, key=lambda positions: kruskal_stress(distances, positions))


def _neighbour_embedding(distances: Vector, start: Vector, seed: int, perplexity: float) -> Vector:
    """t-SNE, all pairs, from principal components and some noise: points on a line must leave it."""
    from sklearn.manifold import TSNE

    noise = np.random.default_rng(seed).normal(0, 0.01, start.shape)
    init = START * (start / start[:, 0].std() + noise)
    method = TSNE(
        perplexity=perplexity, metric="precomputed", init=init, method="exact", random_state=seed
    )  # fmt: skip
    squared_in_place = distances.copy()  # scikit-learn squares what it is given
    return np.asarray(method.fit_transform(squared_in_place), dtype=np.float64)
