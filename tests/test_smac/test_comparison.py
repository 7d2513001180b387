"""Numbers over training seeds."""

import json

import numpy as np
import pytest
from scipy import stats

from smac.errors import UserError
from smac.statistics.dip import crossfit_dip
from smac.training.comparison import (
    Mean,
    common_dip,
    evaluated,
    min_max,
    min_max_regret,
    offline_numbers,
    online_numbers,
    over_seeds,
    told_raw,
)
from smac.training.episodes import Evaluations, read_evaluations
from smac.training.run import read_metrics
from smac.training.summary import summarise


def test_without_a_range_the_interval_is_students_t():
    values = [0.9, 0.7, 1.0, 0.8, 0.85]
    mean = over_seeds(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean.mean, mean.low, mean.high) == pytest.approx((0.85, low, high))
    assert mean.text(2, 5) == f"0.85 [{low:.2f}, {high:.2f}]"
    assert over_seeds(values[:3]).text(1, 3) == "0.9 (n = 3: no interval)"
    assert np.isnan(over_seeds([2.0] * 6).low)  # never of zero width


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_runs_that_always_succeed_have_the_exact_interval(runs):
    """Clopper and Pearson: with alpha / 2 per side, p^n = 0.025."""
    mean = over_seeds([1.0] * runs, (0, 1))
    assert (mean.mean, mean.high) == (1, pytest.approx(1))
    assert mean.low == pytest.approx(0.025 ** (1 / runs), abs=0.01)
    assert mean.high <= 1


COLLAPSES = {
    "even": lambda rng, shape: np.full(shape, 0.98),
    "collapse": lambda rng, s: 0.98 * (rng.random(s) < 0.8),
}


def missed(kind, runs, repeats):
    rng = np.random.default_rng(runs)
    truth = {"even": 0.98, "collapse": 0.98 * 0.8}[kind]
    successes = rng.binomial(20, COLLAPSES[kind](rng, (repeats, runs))) / 20
    found = [over_seeds(one, (0, 1)) for one in successes]
    assert all(0 <= one.low < one.high <= 1 + 1e-12 for one in found)
    return np.mean([not one.low <= truth <= one.high for one in found])


@pytest.mark.parametrize("kind", COLLAPSES)
def test_intervals_over_few_runs_hold_small(kind):
    assert missed(kind, 3, 40) <= 0.075


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5, 10, 20])
@pytest.mark.parametrize("kind", COLLAPSES)
def test_intervals_over_few_runs_hold(kind, runs):
    """Before, with 3, 5, 10 runs: 31, 13, 9 % missed; 53, 33, 12 % where one run in five collapses."""
    assert missed(kind, runs, 500) <= 0.05


def test_what_a_seed_does_not_have_is_left_out_and_said():
    mean = over_seeds([1.0, np.nan, 3.0])
    assert (mean.mean, mean.seeds) == (2.0, 2)
    assert mean.text(0, 3).endswith("(n = 2: no interval) (2 of 3)")
    assert over_seeds([5.0]).text(1, 1) == "5.0 (n = 1: no interval)"
    assert over_seeds([np.nan]).seeds == 0


METRICS = """phase,step,seed,eval/return,eval/score,eval/success
offline,10,3,-9,0.5,0.25
offline,10,4,-8,0.6,0.75
offline,20,3,-7,0.7,0.5
offline,20,4,-5,0.9,1
"""


def test_a_run_is_read_at_its_last_evaluation(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    numbers = offline_numbers(tmp_path)
    assert numbers["seeds"]["4"] == {"return": -5.0, "score": 0.9, "success": 1.0}
    assert Mean(**numbers["over_seeds"]["score"]).mean == pytest.approx(0.8)
    (tmp_path / "metrics.csv").write_text(METRICS.replace("offline", "online"))
    (tmp_path / "summary.json").write_text('{"3": {"switch/dip": 0.1}, "4": {"switch/dip": 0.3}}')
    online = online_numbers(tmp_path)
    assert online["seeds"]["3"] == {
        "final_return": -7.0,
        "final_score": 0.7,
        "final_success": 0.5,
        "switch/dip_raw": 0.1,  # an older version wrote it without episodes, so that is what it is
    }
    assert online["over_seeds"]["switch/dip_raw"]["mean"] == pytest.approx(0.2)
    assert "switch/dip" not in online["over_seeds"]
    assert "monotone" not in online


def test_dips_with_and_without_episodes_are_never_mixed():
    old = {"over_seeds": {"switch/dip": {"mean": 0.3}}}
    new = {"over_seeds": {"switch/dip": {"mean": 0.1}, "switch/dip_raw": {"mean": 0.2}}}
    assert told_raw(old["over_seeds"]) == {"switch/dip_raw": {"mean": 0.3}}
    assert told_raw(new["over_seeds"]) == new["over_seeds"]
    assert common_dip([new, new]) == "switch/dip"
    assert common_dip([new, old]) == "switch/dip_raw"


def test_min_max_regret_is_a_share_of_the_way_from_the_best_to_the_worst():
    assert min_max({"a": 0.2, "b": 0.5, "c": 0.3}) == pytest.approx({"a": 0.0, "b": 1.0, "c": 1 / 3})
    assert min_max({"a": 0.4, "b": 0.4}) == {"a": 0.0, "b": 0.0}  # none is worse than the best
    assert min_max({}) == {}
    cells = {
        name: {"over_seeds": {"regret/eval": {"mean": regret}}} for name, regret in (("x", -1.0), ("y", 3.0))
    }
    assert min_max_regret(cells | {"without a score": {"over_seeds": {}}}) == {"x": 0.0, "y": 1.0}


def test_a_run_that_kept_its_episodes_has_an_unbiased_dip_and_a_verdict(tmp_path):
    """Three seeds fall by 0.4 of the score and come back; two of them are told so by their episodes."""
    rng = np.random.default_rng(0)
    means = np.array([0.8, 0.4, 0.9])
    scores = means[:, None, None] + 0.1 * rng.standard_normal((3, 3, 40))
    lines = [
        f"online,{step},{seed},{x},{x},0.5,9"
        for step, row in zip((0, 10, 20), scores.mean(axis=2), strict=True)
        for seed, x in enumerate(row)
    ]
    header = "phase,step,seed,eval/return,eval/score,eval/success,eval/length"
    (tmp_path / "metrics.csv").write_text("\n".join([header, *lines]) + "\n")
    (tmp_path / "config.json").write_text('{"command": "finetune", "online": {"dip_within": 20}}')
    kept = Evaluations(
        np.array([0, 10, 20]), np.arange(3), np.arange(40), scores, scores, np.zeros((3, 3, 40), np.float32)
    )
    kept.write(tmp_path)
    summary = summarise(read_metrics(tmp_path), dip_within=20, evaluations=read_evaluations(tmp_path))
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    found = online_numbers(tmp_path)
    dips = np.array([own["switch/dip"] for own in found["seeds"].values()])
    np.testing.assert_allclose(dips, crossfit_dip(np.moveaxis(scores, 0, 1)))
    mean = Mean(**found["over_seeds"]["switch/dip"])
    half = stats.t.ppf(0.975, 2) * stats.sem(dips)
    raw = found["over_seeds"]["switch/dip_raw"]["mean"]
    assert (mean.mean, mean.low) == pytest.approx((dips.mean(), dips.mean() - half))
    assert mean.high == pytest.approx(max(raw, dips.mean()) + half)
    assert found["monotone"]["seeds"] == {"monotone": 0, "not monotone": 3, "undecided": 0}
    assert found["monotone"]["mean"]["verdict"] == "undecided"  # three seeds bound nothing
    partial = kept.first(2)
    again = summarise(read_metrics(tmp_path), dip_within=20, evaluations=partial)
    assert "switch/dip" not in again["0"]  # the episodes of an evaluation are missing
    assert again["0"]["switch/dip_raw"] == summary["0"]["switch/dip_raw"]


def test_damaged_episodes_are_told(tmp_path):
    assert read_evaluations(tmp_path) is None
    (tmp_path / "evaluations.npz").write_bytes(b"half")
    with pytest.raises(UserError, match=r"evaluations\.npz: cannot be read"):
        read_evaluations(tmp_path)


def test_evaluations_of_seeds_have_their_means_and_an_interval_over_seeds():
    results = {
        seed: {"success": {"mean": value, "standard_error": 0.1}} for seed, value in ((5, 0.2), (6, 0.6))
    }
    numbers = evaluated(results)
    assert numbers["seeds"] == {"5": {"success": 0.2}, "6": {"success": 0.6}}
    mean = Mean(**numbers["over_seeds"]["success"])
    assert (mean.mean, mean.seeds) == (pytest.approx(0.4), 2)
    assert 0 < mean.low < 0.1  # two runs say little
    assert 0.9 < mean.high < 1
