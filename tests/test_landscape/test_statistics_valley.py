"""Width, area and cross-fitted depth against hand-computed landscapes."""

import math

import numpy as np
import pytest

from landscape.statistics import (
    analyse_path,
    crossfit,
    path_numbers,
    relative_depth,
    width_and_area,
)
from smac.statistics.bounds import Bounds

GRID = np.linspace(0, 1, 21)
BUMP = np.exp(-(((GRID - 0.4) / 0.15) ** 2))


def noisy(means: np.ndarray, episodes: int, seed: int = 0, own: float = 10.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return means[:, None] + 50 * rng.normal(size=episodes) + own * rng.normal(size=(len(means), episodes))


# --- width and area ---


def test_width_and_area_of_a_v_shaped_valley_with_known_bounds() -> None:
    t, means = np.array([0, 0.5, 1]), np.array([0.0, -10, 0])
    V = Bounds(np.zeros(2), half_width=4.0, error=1.0, units=9)
    width, area = width_and_area(means, t, V, margin=5)
    # the bottom lies 10 below the ends, or 6 to 14: a triangle is below -5 on a share 1 - 5 / depth
    assert (width.estimate, area.estimate) == pytest.approx((0.5, 5))
    # flattest: each end may lie up to 8 above the lower end, so sunk on 6 / (6 + 8), below 5 on 1 / 14
    assert (width.lower, area.lower) == pytest.approx((1 / 14, 6 * (6 / 14) / 2))
    assert (width.upper, area.upper) == pytest.approx((1 - 5 / 14, 7))


def test_a_path_that_falls_has_no_width_but_may_have_one() -> None:
    t, means = np.array([0, 0.5, 1]), np.array([20.0, 10, 0])
    width, area = width_and_area(means, t, Bounds(np.zeros(2), 4.0, 1.0, 9), margin=0)
    assert (width.estimate, width.lower, area.estimate, area.lower, area.upper) == (0, 0, 0, 0, 0)
    width, area = width_and_area(means, t, Bounds(np.zeros(2), 12.0, 1.0, 9), margin=0)
    assert (width.estimate, area.estimate) == (0, 0)
    # the middle may lie 2 below the lower end, and the ends, known within 24, may be level
    assert (width.upper, area.upper) == pytest.approx((1, 1))


def test_bounds_that_bound_nothing_allow_every_width() -> None:
    width, area = width_and_area(np.array([0.0, -10, 0]), np.array([0, 0.5, 1]), _nothing(), margin=5)
    assert (width.estimate, width.lower, width.upper) == (0.5, 0, 1)
    assert (area.estimate, area.lower, area.upper) == (5, 0, math.inf)


def _nothing() -> Bounds:
    return Bounds(np.zeros(2), math.inf, math.inf, 1)


def test_report_has_the_width_and_area_of_its_numbers() -> None:
    report = analyse_path(noisy(-100 * BUMP - 200, 20), GRID, margin=9)
    assert report.W.estimate == report.numbers.W
    assert report.area.estimate == report.numbers.area
    truth = path_numbers(-100 * BUMP - 200, GRID, 9)
    assert report.W.lower < truth.W < report.W.upper
    assert report.area.lower < truth.area < report.area.upper
    assert report.W.lower > 0.2


# --- cross-fitted depth ---


def test_crossfit_interval_is_students_on_a_valley_that_cannot_be_missed() -> None:
    """Both halves always find the same bottom and end, so this is the t interval of one paired difference."""
    rng = np.random.default_rng(0)
    R = np.array([0.0, -1000, 500])[:, None] + rng.normal(size=(3, 12))
    found = crossfit(R, rng, splits=400)
    difference = R[0] - R[1]
    assert found.estimate == pytest.approx(difference.mean())
    assert (found.bottom, found.agreement) == (1, 1)
    assert found.optimism == pytest.approx(0, abs=1e-9)
    # within halves of 6 of 12 the variance is that of the whole, on average over splits
    assert found.error == pytest.approx(difference.std(ddof=1) / math.sqrt(12), rel=0.02)
    assert found.upper - found.estimate == pytest.approx(2.2281 * found.error, rel=1e-4)  # t, 10 d.f.
    assert found.estimate - found.lower == pytest.approx(found.upper - found.estimate)


def test_optimism_is_what_the_plain_depth_gains_from_noise() -> None:
    R = np.random.default_rng(1).normal(size=(21, 10))
    found = crossfit(R, np.random.default_rng(0))
    plain = path_numbers(R.mean(axis=1), GRID, 0).V
    assert found.optimism == pytest.approx(plain - found.estimate)
    assert found.optimism > 0.2
    assert found.agreement < 0.5
    assert found.lower < 0 < found.upper
    half = found.estimate - found.lower
    assert found.upper == pytest.approx(plain + half)  # above the plain depth, whose bias is upward


@pytest.mark.parametrize("episodes", [1, 2, 3])
def test_too_few_episodes_bound_nothing(episodes: int) -> None:
    """Trap: the standard deviation of one episode is nan."""
    found = crossfit(noisy(-100 * BUMP, episodes), np.random.default_rng(0))
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert math.isnan(found.error)
    assert math.isnan(found.estimate) == (episodes == 1)
    assert found.to_json()["error"] is None


def test_agreeing_episodes_are_not_exact_knowledge() -> None:
    R = np.tile(np.array([1.0, 0, 1])[:, None], (1, 10))
    found = crossfit(R, np.random.default_rng(0))
    unseen = 1 - (0.05 / 6) ** (1 / 10)
    assert (found.estimate, found.lower, found.upper) == pytest.approx((1, 1 - unseen, 1 + unseen))
    silent = crossfit(np.zeros((3, 10)), np.random.default_rng(0))
    assert (silent.estimate, silent.lower, silent.upper) == (0, -math.inf, math.inf)
    same = crossfit(np.tile(np.arange(10.0), (3, 1)), np.random.default_rng(0))
    assert (same.estimate, same.lower, same.upper) == (0, 0, 0)


# --- averages and shares ---


def test_relative_depth_never_divides_by_the_rise() -> None:
    assert relative_depth(30, J_0=-60, J_1=-60, J_random=-120) == 0.5  # ends are equal
    assert relative_depth(30, J_0=-90, J_1=-60, J_random=-120) == 0.5
    assert math.isnan(relative_depth(30, J_0=-200, J_1=-150, J_random=-120))
