"""The table of error and power: counted by hand, resumed, and no claim errs more than promised."""

import json

import numpy as np
import pytest

from landscape.statistics.calibration import (
    SHAPES,
    Outcome,
    Question,
    Row,
    markdown,
    measure,
    path,
    questions,
)
from landscape.study.calibration import calibration_table
from landscape.study.doctor import Check, Diagnosis
from smac.errors import UserError


def third(rng, repeat):
    """Errs in every third sample, finds every second."""
    return {"claim": Outcome(repeat % 3 == 0, repeat % 2 == 0), "other": Outcome(False)}


def test_rates_are_counted_by_hand() -> None:
    first, other = measure(Question("truth", "setting", third, share=0.5), 12, seed=0)
    assert (first.error, first.power, first.before, first.repeats) == (pytest.approx(1 / 3), 0.5, None, 6)
    assert (other.error, other.power) == (0, None)
    assert not first.beyond_chance  # two of six have a probability of 3 %
    assert measure(Question("truth", "setting", third), 60, seed=0)[0].beyond_chance


def test_an_interval_that_misses_is_an_error() -> None:
    truth = SHAPES["broad valley"]
    right = path(lambda rng: truth[:, None] + 0.01 * rng.normal(size=(21, 30)), truth, 0.25)
    wrong = path(lambda rng: 0 * truth[:, None] + 0.01 * rng.normal(size=(21, 30)), truth, 0.25)
    found = right(np.random.default_rng(0), 0)
    assert found["V"] == Outcome(False, True, True)
    assert found["DD"] == Outcome(False, True, True)
    assert wrong(np.random.default_rng(0), 0)["V"].found is False


def test_every_question_has_its_own_name_and_doctor_asks_of_every_kind() -> None:
    names = [(one.truth, one.setting) for one in questions()]
    assert len(set(names)) == len(names) > 100
    quick = questions(quick=True)
    claims = {claim for one in quick for claim in one.trial(np.random.default_rng(0), 0)}
    assert claims >= {"V", "DD", "connected", "band", "methods differ in DD", "mean success", "mean dip"}


def test_a_killed_calibration_goes_on_and_other_samples_are_refused(tmp_path) -> None:
    asked = [Question(f"truth {k}", "setting", third) for k in range(3)]
    seen: list[tuple[int, int]] = []

    def killed(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    out = tmp_path / "c.md"
    with pytest.raises(KeyboardInterrupt):
        calibration_table(out, repeats=6, asked=asked, progress=killed)
    assert not out.exists()
    before = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert len(before) == 2
    rows = calibration_table(out, repeats=6, asked=asked, command="landscape doctor --calibration")
    assert len(rows) == 6
    fresh = calibration_table(
        tmp_path / "d.md", repeats=6, asked=asked, command="landscape doctor --calibration"
    )
    assert rows == fresh
    text = out.read_text()
    assert text == (tmp_path / "d.md").read_text()
    assert "| claim | truth 0 | setting | 5.0 | 33.3 | 50.0 | – | 6 |" in text
    assert "Not tried:" in text
    with pytest.raises(UserError, match="--repeats 7"):
        calibration_table(out, repeats=7, asked=asked)
    for wrong in ({"out": tmp_path / "c.json"}, {"out": out, "repeats": 0}):
        with pytest.raises(UserError):
            calibration_table(**{"asked": asked} | wrong)


def test_doctor_fails_where_a_claim_errs() -> None:
    from landscape.statistics import calibrate
    from landscape.statistics.doctor import QUICK

    calibration = calibrate(QUICK[:1], (10,), repeats=2, draws=20)
    row = Row("connected", "a bad point", "20 episodes", 0.05, 0.5, None, None, 40)
    ill = Diagnosis(calibration, (Check("same", True, ""),), (row,))
    assert "connected: wrong in 50.0 % of samples of a bad point, 20 episodes" in ill.sentence
    assert ill.to_json()["not_tried"]
    assert "1 other claims" in Diagnosis(calibration, (), (measure(questions()[0], 1, 0)[0],)).sentence
    assert "| – |" in markdown([row.to_json()], "landscape doctor")


@pytest.mark.slow
@pytest.mark.parametrize("episodes", [10, 20, 50])
@pytest.mark.parametrize("shape", ["broad valley", "narrow valley", "valley below unequal ends", "flat"])
def test_depths_hold_and_are_found(shape: str, episodes: int) -> None:
    """Truths of one standard deviation, margin a quarter: errors, and half of the undecided decided."""
    rng_of = np.random.default_rng

    def sample(rng: np.random.Generator) -> np.ndarray:
        return SHAPES[shape][:, None] + rng.normal(size=(21, episodes))

    trial = path(sample, SHAPES[shape], 0.25)
    found = [trial(rng_of([7, episodes, k]), k) for k in range(200)]
    for claim in ("V", "DD", "never falls"):
        assert np.mean([one[claim].error for one in found]) <= 0.07
    if (shape, episodes) == ("broad valley", 20):
        power, before = (np.mean([getattr(one["V"], name) for one in found]) for name in ("found", "before"))
        assert before < 0.35
        assert power >= before + 0.45 * (1 - before)
