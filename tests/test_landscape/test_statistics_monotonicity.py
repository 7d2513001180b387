"""Tests of monotonicity and trend against hand computations, the definition, and simulated truths."""

import math

import numpy as np
import pytest
from scipy.stats import page_trend_test, rankdata

from landscape.statistics import (
    drawdown,
    monotone_p_value,
    resampling_weights,
    trend_p_value,
)

GRID = np.linspace(0, 1, 21)


def paired(means: np.ndarray, episodes: int, rng: np.random.Generator, own: float = 10.0) -> np.ndarray:
    return means[:, None] + 50 * rng.normal(size=episodes) + own * rng.normal(size=(len(means), episodes))


def pooled_adjacent_violators(values: np.ndarray) -> np.ndarray:
    """The isotonic fit by its definition: f_k = max_{i <= k} min_{j >= k} mean(values[i..j])."""
    n = len(values)
    return np.array(
        [max(min(values[i : j + 1].mean() for j in range(k, n)) for i in range(k + 1)) for k in range(n)]
    )


def test_without_slack_this_is_the_isotonic_null_bootstrap_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    R = rng.normal(size=(7, 9)) + np.linspace(0, 1, 7)[:, None]
    weights = resampling_weights(9, 400, rng)
    means = R.mean(axis=1)
    E = (R - means[:, None]) * math.sqrt(9 / 8)
    curves = pooled_adjacent_violators(means) + weights @ E.T
    p = (1 + np.count_nonzero(drawdown(curves) >= drawdown(means))) / 401
    assert monotone_p_value(R, weights, slack=0) == p


def test_slack_only_ever_raises_the_p_value() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        R = paired(30 * GRID, 12, rng)
        weights = resampling_weights(12, 200, rng)
        p = [monotone_p_value(R, weights, slack) for slack in (0, 1, 3, 1e9)]
        assert p == sorted(p)


def test_a_path_without_any_fall_has_p_one_and_one_episode_none() -> None:
    rng = np.random.default_rng(0)
    R = np.arange(5.0)[:, None] + np.zeros((1, 8)) + rng.normal(size=8)
    assert monotone_p_value(R, resampling_weights(8, 100, rng)) == 1
    assert math.isnan(monotone_p_value(R[:, :1], resampling_weights(1, 10, rng)))
    assert math.isnan(trend_p_value(R[:, :1]))


def test_negative_returns_change_nothing() -> None:
    rng = np.random.default_rng(2)
    R, weights = paired(20 * GRID, 10, rng), resampling_weights(10, 200, rng)
    assert monotone_p_value(R - 1000, weights) == monotone_p_value(R, weights)
    assert trend_p_value(R - 1000) == trend_p_value(R)


def test_page_statistic_by_hand() -> None:
    """L = sum of rank * predicted rank; mean m n (n+1)^2 / 4, variance m n^2 (n+1)^2 (n-1) / 144."""
    R = np.random.default_rng(0).normal(size=(8, 15)) + 0.1 * np.arange(8)[:, None]
    n, m = R.shape
    L = float(np.arange(1, n + 1) @ rankdata(R, axis=0).sum(axis=1))
    z = (L - m * n * (n + 1) ** 2 / 4) / math.sqrt(m * n**2 * (n + 1) ** 2 * (n - 1) / 144)
    assert trend_p_value(R) == pytest.approx(math.erfc(z / math.sqrt(2)) / 2)


def test_trend_agrees_with_permutations_within_episodes() -> None:
    rng = np.random.default_rng(3)
    R = paired(3 * np.linspace(0, 1, 4), 6, rng)
    weights = np.arange(4)

    def page(R: np.ndarray) -> float:
        return float(weights @ rankdata(R, axis=0).sum(axis=1))

    p = np.mean([page(rng.permuted(R, axis=0)) >= page(R) - 1e-9 for _ in range(1000)])
    exact = trend_p_value(R)
    assert 0.02 < exact < 0.98
    assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / 1000)


@pytest.mark.parametrize(
    ("points", "episodes"), [(3, 20), (3, 21), (4, 12), (5, 2), (5, 12), (5, 13), (21, 9)]
)
def test_trend_is_that_of_scipy_also_with_ties(points: int, episodes: int) -> None:
    rng = np.random.default_rng(points * episodes)
    for R in (
        paired(np.linspace(0, 30, points), episodes, rng),
        rng.integers(0, 3, (points, episodes)) * 1.0,
    ):
        expected = page_trend_test(R.T, method="auto" if points <= 5 else "asymptotic").pvalue
        assert trend_p_value(R) == pytest.approx(expected, rel=1e-9)


def test_a_trend_is_no_proof_of_monotonicity() -> None:
    """docs/landscape.md §10: trend tests reject "no trend"; they do not certify "no dip"."""
    rng = np.random.default_rng(4)
    R = paired(200 * GRID - 80 * (np.abs(GRID - 0.5) < 0.1), 20, rng)
    assert trend_p_value(R) < 1e-6
    assert monotone_p_value(R, resampling_weights(20, 300, rng)) < 0.01
    falling = paired(-200 * GRID, 20, rng)
    assert trend_p_value(falling) > 0.99


def stairs(steps: int) -> np.ndarray:
    return 40 * np.floor(steps * 0.999 * GRID)


@pytest.mark.slow
@pytest.mark.parametrize("episodes", [10, 20, 50, 200])
def test_monotone_paths_are_rejected_no_more_often_than_promised(episodes: int) -> None:
    """Measured: see `monotone_p_value`; the plain bootstrap rejected stairs in up to 8 %."""
    repeats = 250 if episodes == 200 else 400
    rng = np.random.default_rng(5)
    for means in (np.zeros(21), 10 * GRID, stairs(4), stairs(2)):
        p = []
        for _ in range(repeats):
            weights = resampling_weights(episodes, 300, rng)
            p.append(monotone_p_value(paired(means, episodes, rng), weights))
        rejected = np.mean(np.array(p) <= 0.05)
        assert rejected <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.slow
@pytest.mark.parametrize(("episodes", "at_2", "at_4"), [(10, 0.25, 0.9), (50, 0.4, 0.95)])
def test_power_against_a_dip_of_k_standard_errors(episodes: int, at_2: float, at_4: float) -> None:
    """Measured: 0.45 and 1.00 at N = 10, 0.58 and 1.00 at N = 50 (150 samples)."""
    rng = np.random.default_rng(6)
    for k, least in ((2, at_2), (4, at_4)):
        dip = np.where(np.abs(GRID - 0.5) < 0.06, k * 10 * math.sqrt(2 / episodes), 0)
        p = []
        for _ in range(100):
            weights = resampling_weights(episodes, 300, rng)
            p.append(monotone_p_value(paired(-dip, episodes, rng), weights))
        assert np.mean(np.array(p) <= 0.05) >= least


@pytest.mark.slow
def test_trend_test_keeps_its_size_with_and_without_ties() -> None:
    """Measured: 5.5 % (21 points, 10 episodes), 4.3 % (3 episodes), 0 % with ties (3000 and 1500 samples)."""
    rng = np.random.default_rng(7)
    gaussian = [trend_p_value(paired(np.zeros(21), 10, rng)) for _ in range(1000)]
    luck = [rng.random(20) for _ in range(500)]
    sparse = [trend_p_value((np.where(rng.random((21, 20)) < 0.7, x, rng.random((21, 20))) < 0.9) * 1.0)
              for x in luck]  # fmt: skip
    assert np.mean(np.array(gaussian) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert np.mean(np.array(sparse) <= 0.05) <= 0.05
