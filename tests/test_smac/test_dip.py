"""The dip and the monotonicity of learning curves, where the truth is known."""

import numpy as np
import pytest
from scipy import stats

from smac.statistics.curve import monotone_curve, monotone_mean_curve
from smac.statistics.dip import crossfit_dip, dip_interval, raw_dip

SAMPLES, RUNS = 1000, 5
SIZES = [(10, 40), (10, 50), (20, 40), (20, 50)]  # evaluations, episodes


def played(kind: str, means: np.ndarray, episodes: int, samples: int = SAMPLES) -> np.ndarray:
    """[samples, runs, evaluations, episodes] of success or failure, or Gaussian with deviation 0.5."""
    rng = np.random.default_rng(len(means) + episodes)
    shape = (samples, RUNS, len(means), episodes)
    if kind == "success":
        return (rng.random(shape, dtype=np.float32) < means[:, None]).astype(np.float32)
    return means[:, None] + 0.5 * rng.standard_normal(shape, dtype=np.float32)


def intervals(values: np.ndarray):
    return dip_interval(crossfit_dip(values), raw_dip(values))


@pytest.mark.parametrize("kind", ["success", "gaussian"])
@pytest.mark.parametrize(("evaluations", "episodes"), SIZES)
def test_a_constant_truth_has_no_dip(kind, evaluations, episodes):
    """And the old number, the start minus the lowest evaluation, nearly always has one."""
    values = played(kind, np.full(evaluations, 0.6), episodes)
    found = intervals(values)
    assert np.mean(found.lower > 0) <= 0.05
    assert np.mean(found.upper < 0) <= 0.05
    assert abs(found.estimate.mean()) < 4 * found.estimate.std() / np.sqrt(SAMPLES)
    raw = raw_dip(values)
    low, _ = stats.t.interval(0.95, RUNS - 1, loc=raw.mean(axis=-1), scale=stats.sem(raw, axis=-1))
    assert 0.6 < np.mean(low > 0) < 0.92
    assert raw.mean() > 0.1


@pytest.mark.parametrize("kind", ["success", "gaussian"])
@pytest.mark.parametrize(("evaluations", "episodes"), SIZES)
def test_a_dip_of_three_tenths_is_found_in_most_samples(kind, evaluations, episodes):
    """From 0.6 to 0.3 at once; then half of what is left comes back from evaluation to evaluation."""
    means = 0.6 - 0.3 * 0.5 ** np.arange(-1, evaluations - 1)
    means[0] = 0.6
    found = intervals(played(kind, means, episodes, samples=200))
    assert np.mean(found.lower > 0) > 0.7
    assert 0.2 < found.estimate.mean() < 0.3
    assert np.mean(found.lower > 0.3) <= 0.05
    assert np.mean(found.upper < 0.3) <= 0.05


def test_a_dip_without_noise_is_exact_and_a_rise_is_none():
    falls, rises = np.array([1.0, 0.4, 0.8]), np.array([0.2, 0.4, 0.8])
    values = np.stack([falls, rises])[..., None] + np.array([0.0, 3.0, -1.0, 7.0])  # luck of episodes cancels
    np.testing.assert_allclose(crossfit_dip(values), [0.6, 0.0], atol=1e-12)
    np.testing.assert_allclose(raw_dip(values), [0.6, 0.0], atol=1e-12)
    assert np.isnan(crossfit_dip(values[..., :1])).all()


def test_what_was_found_on_a_half_is_measured_on_the_other():
    """Two episodes: the lowest of each is the highest of the other, so the dip is as far below zero."""
    values = np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])
    assert crossfit_dip(values) == pytest.approx(-0.5)
    assert raw_dip(values) == 0.0


def curves(means, runs=RUNS, episodes=50, between=0.02):
    rng = np.random.default_rng(3)
    luck = rng.standard_normal((1, 1, episodes))  # common to all runs and evaluations
    own = between * rng.standard_normal((runs, len(means), 1))
    return (
        np.asarray(means)[None, :, None]
        + own
        + 0.3 * luck
        + 0.05 * rng.standard_normal((runs, len(means), episodes))
    )


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ([0.2, 0.4, 0.6, 0.8], "monotone"),
        ([0.8, 0.2, 0.6, 0.9], "not monotone"),
        ([0.8, 0.75, 0.8, 0.9], "undecided"),
    ],
)
def test_curves_of_runs_and_their_mean_are_judged(means, verdict):
    values = curves(means)
    mean = monotone_mean_curve(values, 0.05)
    assert mean.verdict == verdict
    low, high = mean.DD.lower, mean.DD.upper
    truth = max(0.0, max(means[i] - means[j] for i in range(4) for j in range(i, 4)))
    assert low <= truth <= high
    if verdict != "undecided":
        assert {monotone_curve(one, 0.05).verdict for one in values} == {verdict}
    assert (monotone_curve(values[0], 0.05).p_value < 0.05) == (verdict != "monotone")


def test_nothing_is_called_monotone_on_too_little():
    rising = curves([0.2, 0.4, 0.6, 0.8])
    assert monotone_mean_curve(rising[:1], 0.05).verdict == "undecided"
    assert monotone_mean_curve(rising[:3], 0.05).verdict == "undecided"
    assert monotone_curve(rising[0][:, :1], 0.05).verdict == "undecided"
    assert monotone_curve(np.ones((4, 10)), 0.05).verdict == "undecided"  # nothing varied
    rising[0, 2, 7] = np.nan  # what was left out may be the fall
    assert monotone_curve(rising[0], 0.05).verdict == "undecided"
    assert monotone_mean_curve(rising, 0.05).verdict == "undecided"
    rising[0, 2] = np.nan
    found = monotone_curve(rising[0], 0.05)
    assert (found.verdict, found.DD.estimate) == ("undecided", 0.0)


def test_a_fall_beyond_the_margin_is_seldom_called_monotone():
    """The mean curve falls by 0.06 at a margin of 0.05, where every "monotone" is an error."""
    rng, wrong = np.random.default_rng(11), 0
    for _ in range(60):
        fall = 0.06 + 0.03 * rng.standard_normal((RUNS, 1))  # runs differ
        values = np.array([0.8, 0.8, 0.9]) - fall * [0, 1, 0]
        noisy = values[..., None] + 0.05 * rng.standard_normal((RUNS, 3, 30))
        wrong += monotone_mean_curve(noisy, 0.05, draws=300).verdict == "monotone"
    assert wrong <= 6


def test_a_constant_truth_is_seldom_called_not_monotone():
    """At margin 0, where every sample that is judged not monotone is an error."""
    values = played("success", np.full(10, 0.6), 40, samples=60)
    judged = [monotone_mean_curve(one, 0.0, draws=300).verdict for one in values]
    assert judged.count("not monotone") <= 6  # 5 % of 60, and two standard deviations
