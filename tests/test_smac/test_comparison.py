"""Numbers over training seeds."""

import numpy as np
import pytest
from scipy import stats

from smac.training.comparison import Mean, evaluated, offline_numbers, online_numbers, over_seeds


def test_the_interval_is_students_t():
    values = [0.9, 0.7, 1.0, 0.8]
    mean = over_seeds(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (mean.mean, mean.low, mean.high) == pytest.approx((0.85, low, high))
    assert mean.text(2, 4) == f"0.85 [{low:.2f}, {high:.2f}]"


def test_what_a_seed_does_not_have_is_left_out_and_said():
    mean = over_seeds([1.0, np.nan, 3.0])
    assert (mean.mean, mean.seeds) == (2.0, 2)
    assert mean.text(0, 3).endswith("(2 of 3)")
    assert over_seeds([5.0]).text(1, 1) == "5.0"
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
        "switch/dip": 0.1,
    }
    assert online["over_seeds"]["switch/dip"]["mean"] == pytest.approx(0.2)


def test_evaluations_of_seeds_have_their_means_and_a_t_interval_over_seeds():
    results = {
        seed: {"success": {"mean": value, "standard_error": 0.1}} for seed, value in ((5, 0.2), (6, 0.6))
    }
    numbers = evaluated(results)
    assert numbers["seeds"] == {"5": {"success": 0.2}, "6": {"success": 0.6}}
    mean = Mean(**numbers["over_seeds"]["success"])
    assert (mean.mean, mean.seeds) == (pytest.approx(0.4), 2)
    assert mean.high - mean.mean == pytest.approx(12.7062 * 0.2, rel=1e-4)  # t of one degree of freedom
