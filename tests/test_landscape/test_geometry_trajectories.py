"""Principal components of a trajectory, and the random walk they are judged by."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape import geometry
from smac.errors import UserError


def named(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {f"step {i}": row for i, row in enumerate(rows)}


def walk(seed: int, steps: int, dimension: int) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal((steps, dimension))
    return np.concatenate([np.zeros((1, dimension)), np.cumsum(draws, axis=0)])


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(2, 12), about=st.sampled_from(["final", "mean"]))
def test_components_are_those_of_a_singular_value_decomposition(seed: int, steps: int, about: str) -> None:
    rows = np.random.default_rng(seed).normal(size=(steps + 1, 30))
    found = geometry.plane_of_trajectory(named(rows), seed=0, about=about, draws=2)
    centred = rows[:-1] - rows[-1] if about == "final" else rows - rows.mean(axis=0)
    _, sizes, right = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.explained, (sizes**2 / np.sum(sizes**2))[:steps], atol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(found.plane.basis * right[:2], axis=1)), 1, atol=1e-6)
    assert found.share == pytest.approx(found.explained[:2].sum())
    assert found.explained.sum() == pytest.approx(1)
    x, y = found.coordinates.T
    assert x[0] > 0
    assert y[np.argmax(np.abs(y))] > 0
    # Variance on the plane plus variance off it is all of it.
    on = np.sum(found.coordinates**2)
    off = sum(p.residual**2 for p in found.checkpoints.values())
    assert on + off == pytest.approx(np.sum(centred**2))
    assert on / (on + off) == pytest.approx(found.share)


def test_a_spiral_in_a_plane_is_wholly_on_it_and_beyond_chance() -> None:
    t = np.linspace(0, 2, 15)
    e = geometry.random_orthogonal_directions(2, 500, seed=0)
    rows = np.stack([t * np.cos(3 * t), t * np.sin(3 * t)], axis=1) @ e + 1.0
    found = geometry.plane_of_trajectory(named(rows), seed=0)
    assert found.share == pytest.approx(1)
    assert found.beyond_null
    assert max(p.residual for p in found.checkpoints.values()) < 1e-6
    np.testing.assert_array_equal(found.plane.point(0, 0), rows[-1])
    x, y = found.coordinates.T
    assert x[0] > 0
    assert y[np.argmax(np.abs(y))] > 0
    np.testing.assert_allclose(
        np.linalg.norm(found.coordinates[1:] - found.coordinates[:-1], axis=1),
        np.linalg.norm(np.diff(rows, axis=0), axis=1),
    )
    grid = found.grid(20)
    assert grid.xs[0] < x.min() < x.max() < grid.xs[-1]
    assert grid.ys[0] < y.min() < y.max() < grid.ys[-1]
    assert found.to_json()["plane"]["aspect"] == pytest.approx(grid.aspect)
    assert grid.aspect == pytest.approx(np.ptp(y) / np.ptp(x))
    assert 0 in grid.xs
    assert 0 in grid.ys
    assert "points of it are the trajectory's own" in found.sentence
    assert json.loads(json.dumps(found.to_json()))["beyond_null"] is True


def test_a_random_walk_is_not_beyond_itself_although_two_components_hold_nine_tenths() -> None:
    found = [
        geometry.plane_of_trajectory(named(walk(seed, 30, 2000)), seed=1000 + seed, draws=100)
        for seed in range(40)
    ]
    assert min(one.share for one in found) > 0.88
    assert sum(one.beyond_null for one in found) <= 6  # 5 % of 40 is 2; P(more than 6) = 0.3 %
    calm = next(one for one in found if not one.beyond_null)
    assert calm.sentence.endswith("the plane shows no more order than chance.")


def test_long_walks_have_the_shares_of_the_literature() -> None:
    k = np.arange(1, 6)
    mean = geometry.random_walk(np.ones(300), 10**7, seed=0, about="mean", draws=1)
    np.testing.assert_allclose(mean.explained[:5], 6 / (np.pi * k) ** 2, rtol=0.01)
    assert mean.explained[0] == pytest.approx(0.61, abs=5e-3)
    assert mean.explained[1] == pytest.approx(0.15, abs=5e-3)
    final = geometry.random_walk(np.ones(300), 10**7, seed=0, about="final", draws=1)
    np.testing.assert_allclose(final.explained[:5], 2 / (np.pi * (k - 0.5)) ** 2, rtol=0.01)


@settings(deadline=None)
@given(steps=st.integers(2, 40))
def test_short_walks_have_the_eigenvalues_of_their_differences(steps: int) -> None:
    k = np.arange(1, steps + 1)
    final = 1 / np.sin((2 * k - 1) * np.pi / (2 * (2 * steps + 1))) ** 2
    mean = 1 / np.sin(k * np.pi / (2 * (steps + 1))) ** 2
    for about, eigenvalues in (("final", final), ("mean", mean)):
        null = geometry.random_walk(np.full(steps, 3.0), 10, seed=0, about=about, draws=1)
        np.testing.assert_allclose(null.explained, eigenvalues / eigenvalues.sum(), rtol=1e-9)


@pytest.mark.parametrize("about", ["final", "mean"])
@pytest.mark.parametrize("dimension", [3, 8, 9, 40])
def test_simulated_walks_are_distributed_as_real_ones(about: str, dimension: int) -> None:
    steps, lengths = 8, np.linspace(1, 3, 8)
    null = geometry.random_walk(lengths, dimension, seed=0, about=about, draws=1000)
    shares = []
    for seed in range(1000):
        rows = np.cumsum(
            np.random.default_rng(seed).standard_normal((steps, dimension)) * lengths[:, None], axis=0
        )
        rows = np.concatenate([np.zeros((1, dimension)), rows])
        rows = rows[:-1] - rows[-1] if about == "final" else rows - rows.mean(axis=0)
        sizes = np.linalg.svd(rows, compute_uv=False) ** 2
        shares.append(sizes[:2].sum() / sizes.sum())
    simulated = null.simulated[:, 1]
    error = np.sqrt((np.var(shares) + np.var(simulated)) / 1000)
    assert np.mean(shares) == pytest.approx(simulated.mean(), abs=4 * error)
    assert np.quantile(shares, 0.95) == pytest.approx(null.upper(2), abs=0.02)
    np.testing.assert_allclose(null.simulated[:, -1], 1)


def test_the_null_is_repeatable_and_its_seed_recorded() -> None:
    a, b, c = (geometry.random_walk(np.ones(5), 50, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.simulated, b.simulated)
    assert not np.array_equal(a.simulated, c.simulated)
    assert (a.seed, c.seed) == (3, 4)


def test_the_null_has_the_steps_and_the_moving_dimensions_of_the_trajectory() -> None:
    rows = np.zeros((5, 100))
    rows[:, 10:50] = walk(0, 4, 40)
    null = geometry.plane_of_trajectory(named(rows), seed=0).null
    assert null.dimension == 40
    np.testing.assert_allclose(null.step_lengths, np.linalg.norm(np.diff(rows, axis=0), axis=1))


def test_uneven_steps_have_their_own_null() -> None:
    lengths = np.array([1.0, 1.0, 1.0, 100.0])  # one leap: nearly everything is one component
    null = geometry.random_walk(lengths, 10**6, seed=0, draws=20)
    assert null.explained[0] > 0.999
    np.testing.assert_allclose(null.simulated[:, 0], np.cumsum(null.explained)[0], atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.eye(5)[:2], "at least 3"),
        (np.outer([0, 1, 3], np.arange(4)), "straight line"),
        (np.eye(5)[[0, 1, 1]], "'step 1' and 'step 2' are equal"),
    ],
)
def test_trajectories_without_a_plane_are_refused(rows: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        geometry.plane_of_trajectory(named(rows.astype(float)), seed=0)


def test_another_centre_is_refused() -> None:
    with pytest.raises(UserError, match="final point or its mean, not 'first'"):
        geometry.plane_of_trajectory(named(walk(0, 4, 9)), seed=0, about="first")
