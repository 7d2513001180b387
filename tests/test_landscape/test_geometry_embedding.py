"""Embeddings against analytic answers, and principal components against scikit-learn's."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from landscape.geometry import distance_matrix, distinct, embed, kruskal_stress, principal_components
from smac.errors import UserError


def flat(seed: int = 0, points: int = 12, dimension: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Points in a plane [n, 2], and the same somewhere in many dimensions [n, dimension]."""
    rng = np.random.default_rng(seed)
    inside = rng.normal(size=(points, 2)) * [3.0, 1.0]
    axes = np.linalg.qr(rng.normal(size=(dimension, 2)))[0].T
    return inside, inside @ axes + rng.normal(size=dimension)


def clusters(seed: int = 0, each: int = 12, dimension: int = 30) -> np.ndarray:
    """Three clusters with centres about 60 apart and points about 8 from each other."""
    rng = np.random.default_rng(seed)
    centres = 8 * rng.normal(size=(3, dimension))
    return np.concatenate([centre + rng.normal(size=(each, dimension)) for centre in centres])


def turned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """`points` rotated or reflected, not scaled, to be nearest to `onto` (orthogonal Procrustes)."""
    a, b = points - points.mean(axis=0), onto - onto.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    return a @ u @ vt + onto.mean(axis=0)


@pytest.mark.parametrize("by", ["pca", "mds"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_points_in_a_plane_are_recovered_up_to_rotation(by: str, seed: int) -> None:
    inside, points = flat(seed)
    found = embed(distance_matrix(points), by, seed=seed)
    np.testing.assert_allclose(turned(found.positions, inside), inside, atol=1e-6)
    assert found.stress == pytest.approx(0.0, abs=1e-7)
    assert found.trustworthiness == 1.0
    assert found.neighbours == 5
    np.testing.assert_allclose(found.positions.mean(axis=0), 0.0, atol=1e-12)


def test_principal_components_are_those_of_the_points() -> None:
    points = clusters()
    other = PCA(2).fit(points)
    mine, shares = principal_components(distance_matrix(points))
    np.testing.assert_allclose(np.abs(mine), np.abs(other.transform(points)), atol=1e-8)
    np.testing.assert_allclose(shares, other.explained_variance_ratio_)
    assert (mine.max(axis=0) == np.abs(mine).max(axis=0)).all()


def test_mds_has_no_more_stress_than_pca_and_keeps_the_units() -> None:
    """Where the raw stress is least, no common scale makes it less: sum d delta = sum d^2."""
    distances = distance_matrix(clusters())
    pca, mds = embed(distances, "pca"), embed(distances, "mds", seed=3)
    assert 0.01 < mds.stress < pca.stress
    shown, true = pdist(mds.positions), squareform(distances)
    assert shown @ true == pytest.approx(shown @ shown, rel=1e-4)


def test_tsne_finds_the_clusters_and_repeats_for_a_seed() -> None:
    distances = distance_matrix(clusters())
    one, again, other = (embed(distances, "tsne", seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert not np.array_equal(one.positions, other.positions)
    assert one.perplexity == 4.5  # an eighth of 36
    nearest = np.argsort(squareform(pdist(one.positions)), axis=1)[:, 1]
    np.testing.assert_array_equal(nearest // 12, np.arange(36) // 12)
    assert one.trustworthiness > 0.8
    assert one.stress > 0.01


@pytest.mark.parametrize("by", ["pca", "mds", "tsne"])
def test_the_numbers_are_of_the_distances_that_were_given(by: str) -> None:
    """scikit-learn's t-SNE squares a matrix of distances in place."""
    distances = distance_matrix(clusters(each=5))
    found = embed(distances, by)
    np.testing.assert_array_equal(distances, distance_matrix(clusters(each=5)))
    assert found.stress == pytest.approx(kruskal_stress(distances, found.positions), rel=1e-9)
    assert found.trustworthiness == trustworthiness(
        distances, found.positions, n_neighbors=5, metric="precomputed"
    )


def test_tsne_spreads_points_on_a_line_over_the_plane() -> None:
    """The gradient across a line is zero: from principal components alone they would stay on it for ever."""
    found = embed(distance_matrix(np.arange(12.0)[:, None] * np.ones(5)), "tsne", perplexity=3)
    assert (found.positions.std(axis=0) > 1).all()


def test_points_on_a_line_are_a_line() -> None:
    for by in ("pca", "mds"):
        found = embed(distance_matrix(np.array([[0.0, 0], [1, 1], [3, 3]])), by)
        np.testing.assert_allclose(np.ptp(found.positions[:, 0]), 3 * np.sqrt(2))
        np.testing.assert_allclose(found.positions[:, 1], 0.0, atol=1e-6)
        assert found.neighbours == 1


def test_stress_by_hand() -> None:
    """A right triangle with sides 3, 4, 5 drawn as an equilateral one: s = 4, sqrt((1 + 0 + 1) / 50)."""
    true = squareform(np.array([3.0, 4.0, 5.0]))
    drawn = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    assert kruskal_stress(true, drawn) == pytest.approx(0.2)
    assert kruskal_stress(true, 17 * drawn) == pytest.approx(0.2)
    assert kruskal_stress(true, np.zeros((3, 2))) == 1.0
    assert kruskal_stress(true, np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])) == pytest.approx(0, abs=1e-12)


def test_trustworthiness_by_hand() -> None:
    """Four points on a line in truth; shown with the ends swapped, each nearest neighbour is a false one.

    Over k = 1 of n = 4: 1 - 2 / (n k (2 n - 3 k - 1)) * sum (rank - k), see below.
    """
    from landscape.geometry.embedding import trustworthiness as measured

    true = distance_matrix(np.array([[0.0], [1.0], [2.1], [3.3]]))
    assert measured(true, np.array([[0.0, 0], [1, 0], [2.1, 0], [3.3, 0]]), 1) == 1.0
    # nearest shown: 0 -> 3 (true rank 3), 1 -> 2 (2; truly 0), 2 -> 1 (1), 3 -> 0 (3): 2 + 1 + 0 + 2 too far
    shown = np.array([[0.0, 0], [5, 0], [6, 0], [0.5, 0]])
    assert measured(true, shown, 1) == pytest.approx(1 - 2 / (4 * (8 - 3 - 1)) * 5)


def test_distances_are_of_differences_and_symmetric() -> None:
    """A step of 1e-9 beside vectors of length 1e3 is lost in inner products."""
    start = np.full(100, 100.0)
    step = start.copy()
    step[0] += 1e-9
    found = distance_matrix(np.array([start, step, -start]))
    assert found[0, 1] == pytest.approx(1e-9, rel=1e-4)
    assert found[0, 2] == pytest.approx(2000.0)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 0.0)
    assert found.dtype == np.float64


def test_equal_vectors_are_found() -> None:
    a, b = np.arange(3.0), np.arange(3.0) + 1e-12
    assert distinct([a, b, a.copy(), b, np.zeros(3), -np.zeros(3)]) == [0, 1, 0, 1, 4, 4]


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (1, {"by": "pca"}, "at least 3 different checkpoints, got 1"),
        (6, {"by": "tsne"}, "at least 7 different checkpoints, got 6"),
        (10, {"by": "tsne", "perplexity": 3.1}, "at most 3 for 10 different checkpoints"),
        (10, {"by": "tsne", "perplexity": 1.0}, "above 1"),
        (10, {"by": "tsne", "perplexity": np.nan}, "above 1"),
        (10, {"by": "mds", "perplexity": 3.0}, "leave it out with --by mds"),
        (10, {"by": "umap"}, "one of tsne, pca, mds, got 'umap'"),
    ],
)
def test_impossible_embeddings_are_refused(points: int, options: dict, message: str) -> None:
    distances = distance_matrix(np.random.default_rng(0).normal(size=(points, 9)))
    with pytest.raises(UserError, match=message):
        embed(distances, **options)


def test_equal_points_are_refused() -> None:
    with pytest.raises(UserError, match="equal parameters are one point"):
        embed(distance_matrix(np.array([[0.0], [1.0], [1.0], [2.0]])), "pca")
