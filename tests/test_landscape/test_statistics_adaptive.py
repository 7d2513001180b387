"""Adaptive evaluation: nothing is played that is settled, and verdicts are right as often as promised."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest

from landscape.statistics import TRUTHS, Adaptive, PathReport, analyse_path, analyse_stages
from smac.errors import UserError

ALPHAS = np.linspace(0, 1, 21)
FIRST_STAGE = (
    "DD",
    "B_chord",
    "B_mean",
    "D_0",
    "W",
    "area",
    "p_monotone",
    "p_trend",
    "V_crossfit",
    "monotone",
)


def sample(name: str, seed: int = 0, episodes: int = 200) -> np.ndarray:
    return TRUTHS[name].sample(episodes, np.random.default_rng(seed))


class Recorder:
    """Plays from a matrix and remembers what it was asked for."""

    def __init__(self, R: np.ndarray) -> None:
        self.R, self.asked, self.played = R, [], np.zeros(len(R), int)

    def __call__(self, rows, episodes):
        self.asked.append((list(rows), episodes))
        self.played[list(rows)] = episodes
        return self.R[list(rows), :episodes]

    @property
    def kept(self) -> np.ndarray:
        """The matrix with nan where nobody asked."""
        columns = np.arange(self.R.shape[1])
        return np.where(columns < self.played[:, None], self.R, np.nan)


def analyse(R: np.ndarray, alphas: np.ndarray = ALPHAS, **options):
    play = Recorder(R)
    return analyse_stages(play, alphas, **{"margin": 14.0, "draws": 300} | options), play


def test_stages_grow_to_the_budget() -> None:
    assert Adaptive().sizes == (10, 22, 49, 108, 200)
    assert Adaptive(first=3, most=6, growth=1.01).sizes == (3, 4, 5, 6)
    assert Adaptive(first=5, most=5).sizes == (5,)


@pytest.mark.parametrize("wrong", [{"first": 1}, {"first": 30, "most": 20}, {"growth": 1.0}])
def test_senseless_stages_are_refused(wrong: dict) -> None:
    with pytest.raises(UserError):
        Adaptive(**wrong)


def test_only_open_points_and_both_ends_are_played_on() -> None:
    report, play = analyse(sample("flat, paired"))
    assert play.asked[0] == (list(range(21)), 10)
    before = set(range(1, 20))
    for (rows, episodes), stage in zip(play.asked[1:], report.stages[1:], strict=True):
        assert {0, 20} < set(rows)
        assert set(rows) - {0, 20} <= before
        assert stage.episodes == episodes
        before = {i for i in range(21) if ALPHAS[i] in stage.open}
    assert report.episodes == tuple(play.played.tolist())
    assert report.episodes_total == sum(report.episodes) < 0.6 * 21 * 200
    assert report.verdict == "connected"
    assert report.stages[-1].open == ()
    assert report.V.upper <= 14


def test_the_stages_spend_one_minus_the_confidence_together() -> None:
    report, _ = analyse(sample("flat, independent"), confidence=0.9)
    assert len(report.stages) == 5
    assert sum(stage.level for stage in report.stages) == pytest.approx(0.1)


def test_a_valley_ends_it_at_once() -> None:
    report, play = analyse(sample("chasm, paired"))
    assert report.verdict == "valley"
    assert report.episodes_total == 210
    assert report.V.lower > 14
    assert len(play.asked) == 1


def test_what_was_played_gives_the_same_report_again() -> None:
    report, play = analyse(sample("valley, paired", 1))
    assert np.isnan(play.kept).any()
    again, _ = analyse(play.kept)
    assert again == report


def test_everything_but_the_valley_is_of_the_first_stage() -> None:
    """Questions that the choice of points could bias are asked of the episodes before any choice."""
    R = sample("rise, paired", 2)
    report, _ = analyse(R)
    first = analyse_path(R[:, :10], ALPHAS, margin=14.0, draws=300)
    for name in FIRST_STAGE:
        assert getattr(report, name) == getattr(first, name), name
    # the valley has more episodes, of which some were spent on other stages' level
    assert report.V.upper < first.V.upper


def test_a_report_can_be_drawn_like_any_other() -> None:
    report, _ = analyse(sample("valley, success or failure"))
    keys = report.to_json()
    assert {f.name for f in fields(PathReport)} < keys.keys()
    assert len(keys["means"]) == len(keys["band"]) == len(keys["episodes"]) == 21
    json.dumps(keys, allow_nan=False)
    assert all(low <= mean <= high for (low, high), mean in zip(report.band, report.means, strict=True))
    assert report.V.lower <= report.V.estimate <= report.V.upper


def test_luck_shared_with_the_ends_is_taken_out_of_points_that_stopped_early() -> None:
    """Trap: a mean over the first 10 lucky episodes beside one over 200 looks like a hill."""
    corrected, plain = [], []
    for seed in range(6):
        R = sample("flat, paired", seed)
        report, play = analyse(R, margin=7.0, seed=seed)
        truth = np.array(TRUTHS["flat, paired"].means)
        # the ends' own error is common to all points and no hill
        now = np.array(report.means) - (report.means[0] + report.means[-1]) / 2
        own = np.nanmean(play.kept, axis=1)
        own = own - (own[0] + own[-1]) / 2
        corrected.append(np.mean((now - truth + truth[0]) ** 2))
        plain.append(np.mean((own - truth + truth[0]) ** 2))
    assert np.mean(corrected) < 0.5 * np.mean(plain)


def test_one_repeated_number_decides_nothing() -> None:
    report, play = analyse(np.full((21, 200), -300.0))
    assert report.verdict == "undecided"
    assert report.V.upper == math.inf
    assert "carry no information" in report.reason
    assert play.played.tolist() == [200] * 21


def test_failed_episodes_are_never_connected() -> None:
    R = sample("flat, paired")
    R[4, 3] = np.nan
    report, _ = analyse(R)
    assert (report.verdict, report.episodes_dropped) == ("undecided", 1)
    assert "hide a valley" in report.reason


def test_a_point_where_nothing_finished_is_left_out() -> None:
    R = sample("flat, paired")
    R[4] = np.nan
    report, play = analyse(R)
    assert report.verdict == "undecided"
    assert report.failed == (ALPHAS[4],)
    assert play.played[4] == 10
    assert math.isnan(report.means[4])


def test_points_beyond_the_ends_play_the_first_stage() -> None:
    alphas = np.linspace(-0.25, 1.25, 31)
    R = np.random.default_rng(1).normal(-80, 5, (31, 200))
    report, play = analyse(R, alphas, margin=4.0)
    outside = (alphas < 0) | (alphas > 1)
    assert set(play.played[outside]) == {10}
    assert play.played[~outside].max() > 10
    assert np.isfinite(report.band).all()


def lone_valley() -> np.ndarray:
    """Nineteen points, of which only the one in the middle stays open after the first stage."""
    R = np.random.default_rng(3).normal(0, 10, (21, 40))
    R[10] -= 12
    R[[i for i in range(1, 20) if i != 10]] += 60
    return R


def test_the_lower_bound_of_few_open_points_is_that_of_many() -> None:
    """Trap: points left open are the ones luck made look deep, so they are not a family of their own.

    With q of m points open a stage spends alpha q / m. A single open point of nineteen has a lower bound as
    low as Bonferroni's, below that of the same point on a path of three.
    """
    two = {"margin": 10.0, "failure": 0.0, "adaptive": Adaptive(10, 40, 4), "draws": 4000}
    R = lone_valley()
    report, _ = analyse(R, **two)
    assert len(report.stages[0].open) == 1
    alone, _ = analyse(R[[0, 10, 20]], np.array([0, 0.5, 1]), **two)
    assert report.V.estimate == pytest.approx(alone.V.estimate)
    assert alone.V.estimate - alone.V.lower < 0.85 * (report.V.estimate - report.V.lower)


def test_the_upper_bound_is_that_of_one_point() -> None:
    """A path is wrongly called connected only if its deepest point is settled, which is one point."""
    two = {"margin": 10.0, "failure": 0.0, "adaptive": Adaptive(10, 40, 4), "draws": 4000}
    R = lone_valley()
    report, _ = analyse(R, **two)
    assert report.V.upper - report.V.estimate < 0.95 * (report.V.estimate - report.V.lower)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["flat", "rise", "stairs", "fall", "valley", "chasm"])
def test_verdicts_are_right_as_often_as_promised(shape: str) -> None:
    """Coverage and false alarms at 5 %, and what it saves; figures: `landscape.statistics.adaptive`."""
    repeats = 60
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    for name, truth in TRUTHS.items():
        if not name.startswith(f"{shape},"):
            continue
        V = truth.numbers(14.0).V
        wrong = "valley" if V <= 14 else "connected"
        reports = [analyse(sample(name, 100 + k), seed=k)[0] for k in range(repeats)]
        assert np.mean([r.verdict == wrong for r in reports]) <= allowed
        assert np.mean([r.V.lower > V + 1e-9 for r in reports]) <= allowed
        assert np.mean([r.V.upper < V - 1e-9 for r in reports]) <= allowed
        curve = np.array(truth.means)
        misses = [not all(lo <= m <= hi for (lo, hi), m in zip(r.band, curve, strict=True)) for r in reports]
        assert np.mean(misses) <= allowed
        if truth.noise.name == "paired":
            assert np.mean([r.verdict != "undecided" for r in reports]) > 0.95
            assert np.mean([r.episodes_total for r in reports]) < 0.75 * 21 * 200
