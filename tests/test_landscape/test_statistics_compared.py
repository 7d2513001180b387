"""Depths of methods compared: noise of the episodes alone makes no method deeper or shallower."""

import math

import numpy as np
import pytest

from landscape.statistics import Interval, agreed, compare
from landscape.statistics.comparison import no_more_than, smallest_p_value
from smac.statistics.depth import crossfit_falls
from smac.statistics.monotonicity import drawdown

GRID = np.linspace(0, 1, 21)
FLAT, RISE, DIP = 0 * GRID, 5 * GRID, -np.exp(-(((GRID - 0.5) / 0.15) ** 2))


def depths(truth: np.ndarray, noise: float, episodes: int, samples: int, rng: np.random.Generator):
    """Plain and cross-fitted drawdowns [samples] of runs with this truth [points]."""
    R = truth[:, None] + noise * rng.normal(size=(samples, len(truth), episodes))
    return drawdown(R.mean(axis=-1)), crossfit_falls(R, rng, splits=10)


def rejected(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], seeds: int, repeats: int
) -> tuple[float, float]:
    """How often p <= .05: by what plain and cross-fitted depths agree on, and by the plain ones."""
    rng, found = np.random.default_rng(seeds), np.zeros((repeats, 2))
    for row in found:
        rows = [rng.integers(len(one[0]), size=seeds) for one in (a, b)]
        told = [
            compare({"a": {"": -x[rows[0]]}, "b": {"": -y[rows[1]]}}, draws=300, seed=1)
            for x, y in zip(a, b, strict=True)
        ]
        row[:] = agreed(*told)[0].p_value <= 0.05, told[0][0].p_value <= 0.05
    agree, plain = found.mean(axis=0)
    return float(agree), float(plain)


def test_cross_fitted_falls_by_hand_and_without_bias_on_a_flat_truth() -> None:
    R = np.tile(np.array([5.0, 8, -3, 4])[:, None], (2, 1, 6))
    assert crossfit_falls(R, np.random.default_rng(0)).tolist() == [11, 11]
    assert np.isnan(crossfit_falls(R[..., :1], np.random.default_rng(0))).all()
    plain, crossfit = depths(FLAT, 1.0, 20, 800, np.random.default_rng(0))
    assert abs(crossfit.mean()) < 4 * crossfit.std() / math.sqrt(800)
    assert plain.mean() > 0.7


def test_noise_alone_makes_no_difference_small() -> None:
    rng = np.random.default_rng(0)
    quiet, loud = (depths(FLAT, noise, 20, 100, rng) for noise in (1.0, 3.0))
    agree, plain = rejected(quiet, loud, 5, 40)
    assert agree <= 0.07
    assert plain == 1.0


def test_a_difference_in_depth_is_found() -> None:
    rng = np.random.default_rng(1)
    assert rejected(depths(FLAT, 1, 20, 100, rng), depths(2 * DIP, 1, 20, 100, rng), 5, 10)[0] == 1.0


def test_three_against_three_support_no_claim() -> None:
    a, b = np.arange(3.0) + 10, np.arange(3.0)
    assert smallest_p_value([(a, b)]) == pytest.approx(0.1)
    (found,) = compare({"a": {"": a}, "b": {"": b}}, draws=200)
    assert (found.probability.lower, found.probability.upper) == (0, 1)


def test_an_interval_leaves_out_one_half_only_where_the_p_value_does() -> None:
    assert no_more_than(Interval(0.9, 0.6, 1), 0.2, 0.95) == Interval(0.9, 0.5, 1)
    assert no_more_than(Interval(0.1, 0, 0.4), 0.2, 0.95) == Interval(0.1, 0, 0.5)
    assert no_more_than(Interval(0.9, 0.6, 1), 0.04, 0.95) == Interval(0.9, 0.6, 1)


@pytest.mark.slow
@pytest.mark.parametrize("episodes", [20, 100])
@pytest.mark.parametrize("truth", [FLAT, RISE], ids=["flat", "rise"])
def test_noise_alone_makes_no_difference(truth: np.ndarray, episodes: int) -> None:
    """Size of 3, 5 and 10 seeds a side, noise 1 against 1, 3, 10; before: up to 100 %."""
    rng = np.random.default_rng(episodes)
    found = {noise: depths(truth, noise, episodes, 1000, rng) for noise in (1.0, 3.0, 10.0)}
    for seeds in (3, 5, 10):
        for noise in found:
            assert rejected(found[1.0], found[noise], seeds, 200)[0] <= 0.07
