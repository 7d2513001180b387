"""Numbers over training seeds, methods compared, and what counts as a sample."""

import json
import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from landscape.statistics import (
    aggregate,
    compare,
    holm,
    improvement,
    improvement_p_value,
    iqm,
    probability_of_improvement,
    profile,
    wilson,
)
from landscape.statistics.seeds import expanded_tail
from smac.errors import UserError

# --- one method ---


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11, 30])
def test_iqm_is_the_trimmed_mean_of_rliable(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(6, n)) - 100
    np.testing.assert_allclose(iqm(values), [trim_mean(row, 0.25) for row in values])


def test_iqm_by_hand() -> None:
    assert iqm(np.array([-1000.0, -3, -1, 2, 50])) == pytest.approx(-2 / 3)


def test_aggregate_reads_expanded_percentiles_of_resampled_seeds() -> None:
    values = np.array([-3.0, 1, 4, 9, 11, 30])
    found = aggregate({"door": values}, lambda x: x.mean(axis=-1), draws=50_000)
    assert found.estimate == pytest.approx(values.mean())
    # for a mean: t_5 sqrt(6 / 5) bootstrap errors, and these are too small by just that sqrt(6 / 5)
    t_interval = 2.5706 * values.std(ddof=1) / math.sqrt(6)
    assert found.upper - found.lower == pytest.approx(2 * t_interval, rel=0.1)
    assert expanded_tail([6], 0.95) == pytest.approx(0.5 * math.erfc(2.5706 * math.sqrt(0.6)), rel=1e-3)


def test_seeds_are_resampled_within_their_task() -> None:
    """Two tasks on different scales: what differs between tasks is no uncertainty."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=10), 1000 + rng.normal(size=10)
    found = aggregate({"a": a, "b": b}, lambda x: x.mean(axis=-1))
    assert found.upper - found.lower < 2
    pooled = aggregate({"all": np.concatenate([a, b])}, lambda x: x.mean(axis=-1))
    assert pooled.upper - pooled.lower > 400
    assert found.seeds == {"a": 10, "b": 10}


def test_few_or_equal_seeds_bound_nothing() -> None:
    for values in ({"a": np.arange(4.0)}, {"a": np.arange(9.0), "b": np.zeros(1)}, {"a": np.full(8, 3.0)}):
        found = aggregate(values, draws=100)
        assert (found.lower, found.upper) == (-math.inf, math.inf)
        assert json.loads(json.dumps(found.to_json(), allow_nan=False))["upper"] is None


def test_a_run_that_failed_is_an_error_and_not_left_out() -> None:
    """Trap: NaN replaced by the mean."""
    with pytest.raises(UserError, match=r"kitchen: the values of seeds number \[1\]"):
        aggregate({"door": np.arange(5.0), "kitchen": np.array([1, np.nan, 3])})
    with pytest.raises(UserError, match="shape"):
        aggregate({"door": np.ones((5, 2))})
    with pytest.raises(UserError, match="no run"):
        aggregate({})


def test_two_aggregates_are_identical_and_seeds_differ() -> None:
    values = {"a": np.random.default_rng(0).normal(size=7)}
    assert aggregate(values, draws=200) == aggregate(values, draws=200)
    assert aggregate(values, draws=200).lower != aggregate(values, draws=200, seed=1).lower


def test_performance_profile_counts_runs_above_each_threshold() -> None:
    depths = {"a": np.array([0.0, 3, 10]), "b": np.array([5.0, 20])}
    found = profile(depths, np.array([-1, 0, 4, 20]))
    assert found.shares == (1, 0.8, 0.6, 0)
    assert found.seeds == 5
    assert (found.lower[2], found.upper[2]) == wilson(3, 5)
    assert found.lower[-1] == 0 < found.upper[-1] < 0.5


def test_wilson_by_its_defining_equation() -> None:
    """The limits p solve |share - p| = z sqrt(p (1 - p) / n)."""
    for limit in wilson(3, 17):
        assert abs(3 / 17 - limit) == pytest.approx(1.959964 * math.sqrt(limit * (1 - limit) / 17), rel=1e-5)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10) == (pytest.approx(10 / (10 + 1.959964**2)), 1)


# --- methods compared ---


def test_probability_of_improvement_is_mann_whitney() -> None:
    rng = np.random.default_rng(0)
    a, b = np.round(rng.normal(size=9), 1), np.round(rng.normal(size=6), 1)
    assert probability_of_improvement(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / 54)
    assert probability_of_improvement(np.array([-5.0, -1]), np.array([-5.0, -9])) == 0.875
    assert probability_of_improvement(a, b) + probability_of_improvement(b, a) == pytest.approx(1)


def test_permutation_p_value_is_the_exact_mann_whitney_one() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=5) + 1, rng.normal(size=6)
    exact = mannwhitneyu(a, b, method="exact").pvalue
    p = improvement_p_value([(a, b)], 20_000, rng)
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))


def test_interval_has_a_width_where_every_run_wins() -> None:
    """The percentile bootstrap says 1 to 1 here, from five runs each."""
    a, b = np.arange(5.0) + 100, np.arange(5.0)
    found = improvement([(a, b)], 0.95, 2000, np.random.default_rng(0))
    assert (found.estimate, found.upper) == (1, 1)
    assert 0.4 < found.lower < 0.8
    two = improvement([(a, b), (a, b)], 0.95, 2000, np.random.default_rng(0))
    assert found.lower < two.lower < 0.9
    assert improvement([(a[:1], b)], 0.95, 100, np.random.default_rng(0)).lower == 0


def test_improvement_bounds_lie_symmetrically_for_swapped_methods() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=20) + 0.5, rng.normal(size=20)
    ab, ba = (improvement([pair], 0.9, 20_000, np.random.default_rng(0)) for pair in ((a, b), (b, a)))
    assert ab.estimate == pytest.approx(1 - ba.estimate)
    assert ab.lower == pytest.approx(1 - ba.upper, abs=0.02)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_comparisons_against_a_reference_or_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    methods = {
        name: {task: shift + rng.normal(size=6) for task in ("door", "kitchen")}
        for name, shift in (("smac", 5), ("cal_ql", 0), ("iql", 0))
    }
    pairs = compare(methods, draws=2000)
    assert [(one.a, one.b) for one in pairs] == [("smac", "cal_ql"), ("smac", "iql"), ("cal_ql", "iql")]
    assert pairs[0].probability.estimate == 1
    assert pairs[0].p_holm < 0.05 < pairs[2].p_holm
    assert [one.p_holm for one in pairs] == holm([one.p_value for one in pairs])
    against = compare(methods, reference="iql", draws=500)
    assert [(one.a, one.b) for one in against] == [("smac", "iql"), ("cal_ql", "iql")]
    json.dumps([one.to_json() for one in against], allow_nan=False)
    with pytest.raises(UserError, match="no method 'sac'"):
        compare(methods, reference="sac")
    with pytest.raises(UserError, match="not run on the same tasks: kitchen"):
        compare(methods | {"iql": {"door": np.ones(3)}})


# --- coverage ---

RUNS = {
    "gaussian": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: -rng.exponential(size=shape),
    "zero-inflated": lambda rng, shape: rng.exponential(size=shape) * (rng.random(shape) < 0.6),
    "bimodal": lambda rng, shape: 10.0 * (rng.random(shape) < 0.5) + rng.normal(size=shape),
}


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "seeds"), [(1, 5), (1, 10), (3, 5), (6, 5), (6, 10)])
@pytest.mark.parametrize("kind", RUNS)
def test_iqm_intervals_cover(kind: str, tasks: int, seeds: int) -> None:
    """Measured: see `landscape.statistics.seeds`. One task with 5 seeds falls short: up to 9 % missed."""
    rng, repeats = np.random.default_rng(tasks * seeds), 300
    levels = 0.7 * np.arange(tasks)[:, None]
    truth = float(iqm((RUNS[kind](rng, (tasks, 100_000)) + levels).ravel()))
    missed = 0
    for repeat in range(repeats):
        values = RUNS[kind](rng, (tasks, seeds)) + levels
        found = aggregate(dict(zip("abcdef", values, strict=False)), draws=1000, seed=repeat)
        missed += not found.lower <= truth <= found.upper
    promised = 0.09 if (tasks, seeds) == (1, 5) else 0.05
    assert missed / repeats <= promised + 3 * math.sqrt(promised * (1 - promised) / repeats)


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "seeds"), [(1, 5), (1, 10), (3, 5), (6, 10)])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_improvement_intervals_cover_and_p_values_keep_their_size(
    shift: float, tasks: int, seeds: int
) -> None:
    rng, repeats = np.random.default_rng(tasks * seeds), 300
    truth = 0.5 * math.erfc(-shift / 2)  # P(N(shift, 1) > N(0, 1)) = Phi(shift / sqrt(2))
    missed, rejected = 0, 0
    for _ in range(repeats):
        cells = [(shift + rng.normal(size=seeds), rng.normal(size=seeds)) for _ in range(tasks)]
        found = improvement(cells, 0.95, 500, rng)
        missed += not found.lower <= truth <= found.upper
        rejected += improvement_p_value(cells, 200, rng) <= 0.05
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert missed / repeats <= allowed
    if shift == 0:
        assert rejected / repeats <= allowed
    if shift == 2:
        assert rejected / repeats >= 0.5
