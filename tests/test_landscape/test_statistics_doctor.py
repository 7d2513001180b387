"""Synthetic truths are what they say, and the statistics are right about them as often as promised."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from landscape.statistics import TRUTHS, Truth, analyse_path, calibrate, path_numbers
from landscape.statistics.doctor import QUICK, beyond_chance, measure
from landscape.statistics.truths import HIGH, LOW, truths
from smac.errors import UserError


@pytest.mark.parametrize("name", TRUTHS)
def test_samples_have_the_means_of_their_truth(name: str) -> None:
    truth = TRUTHS[name]
    R = truth.sample(4000, np.random.default_rng(0))
    assert R.shape == (21, 4000)
    error = R.std(axis=1) / math.sqrt(4000)
    assert np.all(np.abs(R.mean(axis=1) - truth.means) < 4.5 * error)
    if truth.noise.name == "success or failure":
        assert set(np.unique(R)) == {LOW, HIGH}


def test_luck_is_shared_where_the_name_says_so() -> None:
    for noise, least, most in (("paired", 0.94, 0.98), ("independent", -0.1, 0.1)):
        R = TRUTHS[f"flat, {noise}"].sample(2000, np.random.default_rng(1))
        correlation = np.corrcoef(R)[np.triu_indices(21, 1)]
        assert least < correlation.min() <= correlation.max() < most
    # two points draw the same uniform number with probability 0.7^2, and independent ones otherwise
    R = TRUTHS["flat, success or failure"].sample(4000, np.random.default_rng(1))
    assert np.corrcoef(R)[np.triu_indices(21, 1)].mean() == pytest.approx(0.49, abs=0.02)


def test_truths_are_monotone_or_not_as_their_names_say() -> None:
    monotone = {name.split(",")[0] for name, truth in TRUTHS.items() if truth.monotone}
    assert monotone == {"flat", "rise", "stairs"}
    fall, chasm = (TRUTHS[f"{shape}, paired"].numbers(7) for shape in ("fall", "chasm"))
    depths = (fall.V, fall.DD, chasm.V)
    assert depths == pytest.approx((0, 0.6 * 140, 0.8 * 140), rel=1e-3)
    assert all(LOW < mean < HIGH for truth in TRUTHS.values() for mean in truth.means)
    assert len(truths(5)["rise, paired"].means) == 5


def test_rates_are_counted_by_hand() -> None:
    """Three reports, one of them of another landscape, whose bounds miss this one's truth."""
    truth = TRUTHS["valley, paired"]
    alphas = np.array(truth.alphas)

    def report(other: Truth, seed: int):
        R = other.sample(50, np.random.default_rng(seed))
        return analyse_path(R, alphas, margin=7, draws=200, seed=seed)

    reports = [report(truth, 0), report(truth, 1), report(TRUTHS["chasm, paired"], 2)]
    case = measure(truth, 50, reports)
    assert (case.V, case.DD) == (truth.numbers(7).V, truth.numbers(7).DD)
    assert case.band == pytest.approx(2 / 3)
    assert case.coverage == pytest.approx(dict.fromkeys(case.coverage, 2 / 3))
    assert (case.false_valley, case.false_connected) == pytest.approx((1 / 3, 0))
    assert (case.false_not_monotone, case.false_monotone) == pytest.approx((1 / 3, 0))
    assert case.rejected == 1
    assert case.verdicts == {"connected": 0, "valley": 1, "undecided": 0}
    plain = [path_numbers(np.array(r.means), alphas, 7).V for r in reports]
    assert case.V_bias == pytest.approx(np.mean(plain) - case.V)
    found = beyond_chance(case, allowed=0.3)
    assert "valley, paired, 50 episodes: a valley is invented in 33.3 % of samples" in found
    assert beyond_chance(replace(case, DD=0.0), allowed=0.99)[-1].endswith(
        "monotone path in 100.0 % of samples"
    )
    assert not beyond_chance(case, allowed=0.4)


def test_doctor_finds_a_healthy_installation_healthy() -> None:
    seen = []
    found = calibrate(QUICK[:1], (10, 12), repeats=8, draws=50, progress=lambda *at: seen.append(at))
    assert found.failures == ()
    assert [(case.truth, case.episodes) for case in found.cases] == [
        ("flat, paired", 10),
        ("flat, paired", 12),
    ]
    assert seen == [(1, 2), (2, 2)]
    assert found.allowed == pytest.approx(0.05 + 3 * math.sqrt(0.05 * 0.95 / 8))
    assert found == calibrate(QUICK[:1], (10, 12), repeats=8, draws=50)
    assert found != calibrate(QUICK[:1], (10, 12), repeats=8, draws=50, seed=1)
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "wrong", [{"repeats": 0}, {"episodes": (0,)}, {"truths": ()}, {"margin": -1.0}, {"confidence": 1.0}]
)
def test_senseless_options_are_refused(wrong: dict) -> None:
    with pytest.raises(UserError):
        calibrate(**wrong)


def test_the_same_in_every_process() -> None:
    """Trap: `hash(str)` as a seed is salted per process; this number was written down by another one."""
    case = calibrate([TRUTHS["valley, paired"]], [5], repeats=2, draws=20).cases[0]
    assert case.V_bias == pytest.approx(-7.753991148435432)


def test_a_margin_of_exactly_zero_is_accepted() -> None:
    """Trap: a bound of exactly 0 is rejected."""
    truth = TRUTHS["chasm, paired"]
    R = truth.sample(20, np.random.default_rng(0))
    assert analyse_path(R, np.array(truth.alphas), margin=0, draws=100).verdict == "valley"
    assert calibrate(QUICK[:1], (5,), repeats=1, margin=0, draws=10).margin == 0


REPEATS = {10: 250, 20: 250, 50: 200, 200: 120}


@pytest.mark.slow
@pytest.mark.parametrize("episodes", REPEATS)
@pytest.mark.parametrize("shape", ["flat", "rise", "stairs", "fall", "valley", "chasm"])
def test_this_installation_is_right_as_often_as_promised(shape: str, episodes: int) -> None:
    """Coverage, false alarms and verdicts at 95 %; figures: `landscape.statistics.doctor`."""
    of_shape = [truth for name, truth in TRUTHS.items() if name.startswith(shape)]
    found = calibrate(of_shape, (episodes,), repeats=REPEATS[episodes], draws=300, seed=episodes)
    assert found.failures == ()
    for case in found.cases:
        assert case.false_valley <= 0.05
        assert case.false_connected <= 0.05
        # what is left of the bias is small beside the noise
        assert abs(case.V_crossfit_bias) <= 1.3 * case.V_crossfit_sd
    paired = found.cases[0]
    if shape in ("valley", "chasm"):
        assert paired.verdicts["valley"] > 0.7
        # ten episodes do not exclude that a small fall is made up by a failure that none of them showed
        assert paired.rejected > 0.99 or episodes == 10
    if shape in ("fall", "valley", "chasm"):
        assert paired.monotone["not monotone"] > 0.7
