"""How often the statistics err, and how often they find what is there, on truths made for it.

`doctor` measures one path at a time on `truths`. Here are the other claims: depths on a second set of truths,
rare failures, looks of an adaptive evaluation, methods compared over training seeds, means over seeds, and
dips. A question is one truth in one setting; a sample of it answers one or more claims.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtrc, ndtr

from landscape.statistics.adaptive import analyse_stages
from landscape.statistics.comparison import Improvement, agreed, compare
from landscape.statistics.path import PathReport, analyse_path
from landscape.statistics.truths import TRUTHS, Truth
from smac.statistics.bounds import resampling_weights, simultaneous, verdict
from smac.statistics.contrasts import Array, families
from smac.statistics.depth import crossfit_falls
from smac.statistics.dip import crossfit_dip, dip_interval, raw_dip
from smac.statistics.monotonicity import drawdown
from smac.statistics.results import Result
from smac.statistics.seeds import bounded_mean
from smac.tables import markdown_table

ALPHAS = np.linspace(0, 1, 21)
NOMINAL, DRAWS = 0.05, 300
Rng = np.random.Generator

NOT_TRIED = (
    "failures that cost more than the score range and 20 margins, unless one was seen",
    "lower bounds where failures at the higher points alone went unseen: they do not allow for these, so a "
    "valley or a fall (not the p-value of one) may be claimed where none is",
    "episodes that depend on each other",
    "returns without a finite variance",
    "fewer than 10 episodes, more than 21 points, valleys narrower than the grid",
    "means over seeds without a known range (Student's t) where single runs collapse",
    "W, area, B_chord, B_mean and D_0 on truths other than those of `landscape doctor`",
    "planes and bent curves",
)


@dataclass(frozen=True)
class Outcome:
    """What one sample said about a claim."""

    error: bool
    """It missed the truth, or claimed what is not there."""
    found: bool | None = None
    """It found what is there; None where there is nothing to be found."""
    before: bool | None = None
    """So did the simultaneous bounds (max-T) for all contrasts at once."""


Trial = Callable[[Rng, int], Mapping[str, Outcome]]


@dataclass(frozen=True)
class Question:
    """A truth in a setting, and how to sample it."""

    truth: str
    setting: str
    trial: Trial
    quick: bool = False
    """Among those that `landscape doctor` asks always."""
    share: float = 1.0
    """Of the repeats: some samples take long."""


@dataclass(frozen=True)
class Row(Result):
    """Measured rates of one claim."""

    claim: str
    truth: str
    setting: str
    nominal: float
    error: float
    power: float | None
    before: float | None
    repeats: int

    @property
    def beyond_chance(self) -> bool:
        """So many errors have a probability below that of three standard errors, were they as promised."""
        errors = round(self.error * self.repeats)
        return bool(bdtrc(errors - 1, self.repeats, self.nominal) < ndtr(-3))


def measure(question: Question, repeats: int, seed: int) -> tuple[Row, ...]:
    """A row per claim; every sample has its own random stream, derived from `seed` and the question."""
    repeats = max(1, round(repeats * question.share))
    name = zlib.crc32(f"{question.truth}, {question.setting}".encode())
    found: dict[str, list[Outcome]] = {}
    for repeat in range(repeats):
        for claim, one in question.trial(np.random.default_rng([seed, name, repeat]), repeat).items():
            found.setdefault(claim, []).append(one)
    return tuple(
        Row(
            claim,
            question.truth,
            question.setting,
            NOMINAL,
            float(np.mean([one.error for one in many])),
            _share([one.found for one in many]),
            _share([one.before for one in many]),
            repeats,
        )
        for claim, many in found.items()
    )


def _share(found: Sequence[bool | None]) -> float | None:
    return None if any(one is None for one in found) else float(np.mean([bool(one) for one in found]))


# --- one path ---

SHAPES: dict[str, Array] = {
    "flat": np.zeros(21),
    "rise": ALPHAS,
    "broad valley": -np.exp(-(((ALPHAS - 0.5) / 0.25) ** 4)),
    "narrow valley": -(ALPHAS == 0.5).astype(float),
    "valley below unequal ends": 0.3 * ALPHAS - (ALPHAS == 0.5),
    "step down": -(ALPHAS > 0.5).astype(float),
}
NOISES: dict[str, Callable[[Rng, tuple[int, int]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "minus exponential": lambda rng, shape: 1 - rng.exponential(size=shape),
    "t with 3 degrees": lambda rng, shape: rng.standard_t(3, size=shape) / 3**0.5,
    "paired": lambda rng, shape: 3 * rng.normal(size=shape[1]) + 0.3 * rng.normal(size=shape),
}


def _misses(report: PathReport, name: str, truth: float) -> bool:
    found, slip = getattr(report, name), 1e-9 * (1 + abs(truth))
    return bool(found.lower > truth + slip or found.upper < truth - slip)


def path(sample: Callable[[Rng], Array], means: Array, margin: float) -> Trial:
    """V, DD and the test of monotonicity of one path with these mean returns [points]."""
    V, DD = max(0.0, float(min(means[0], means[-1]) - means.min())), float(drawdown(means))

    def trial(rng: Rng, repeat: int) -> dict[str, Outcome]:
        R = sample(rng)
        report = analyse_path(R, ALPHAS, margin=margin, draws=DRAWS, seed=repeat)
        weights = resampling_weights(R.shape[1], DRAWS, rng)
        old = {
            name: simultaneous(R, f.contrasts, weights, 0.95).interval(f)
            for name, f in families(ALPHAS).items()
            if name in ("V", "DD")
        }
        deep, falling = verdict(old["V"], margin) == "valley", verdict(old["DD"], margin) == "valley"
        rejected = report.p_monotone <= NOMINAL
        return {
            "V": Outcome(_misses(report, "V", V), *_if(margin < V, report.verdict == "valley", deep)),
            "DD": Outcome(
                _misses(report, "DD", DD), *_if(margin < DD, report.monotone == "not monotone", falling)
            ),
            "never falls": Outcome(rejected and DD == 0, *_if(DD > 0, rejected, None)),
        }

    return trial


def _if(there: bool, found: bool, before: bool | None) -> tuple[bool | None, bool | None]:
    return (found, before) if there else (None, None)


def _paths() -> list[Question]:
    def ask(shape: str, noise: str, episodes: int) -> Question:
        def sample(rng: Rng) -> Array:
            return np.asarray(SHAPES[shape][:, None] + NOISES[noise](rng, (21, episodes)))

        quick = (shape, noise, episodes) in (("broad valley", "normal", 20), ("flat", "normal", 20))
        setting = f"{noise}, {episodes} episodes, margin 0.25 sd"
        return Question(shape, setting, path(sample, SHAPES[shape], 0.25), quick)

    asked = [ask("broad valley", noise, n) for noise in NOISES for n in (10, 20, 50)]
    others = [shape for shape in SHAPES if shape != "broad valley"]
    asked += [ask(s, noise, n) for s in others for noise in ("normal", "minus exponential") for n in (20, 50)]

    def own(truth: Truth, episodes: int) -> Question:
        trial = path(lambda rng: truth.sample(episodes, rng), np.array(truth.means), 14.0)
        return Question(truth.name, f"{episodes} episodes, margin 14", trial)

    names = ("flat, success or failure", "stairs, independent", "valley, success or failure", "chasm, paired")
    return asked + [own(TRUTHS[name], n) for name in names for n in (20, 50)]


# --- rare failures ---

SOLVED, FAILED, MARGIN = -52.0, -300.0, 11.1


def one_bad_point(rate: float, episodes: int, base: float, rng: Rng) -> Array:
    """Returns [21, episodes] of an episode solved, or failed; the middle fails by `rate` more often."""
    rates = np.full(21, base)
    rates[10] += rate
    fails = rng.random((21, episodes)) < rates[:, None]
    return np.where(fails, FAILED, SOLVED + rng.normal(0, 3, fails.shape))


def rare(rate: float, episodes: int, base: float = 0.0, *, adaptive: bool = False) -> Trial:
    """Is a path connected whose middle fails more often?"""
    matters = rate * (SOLVED - FAILED) > MARGIN

    def trial(rng: Rng, repeat: int) -> dict[str, Outcome]:
        R = one_bad_point(rate, episodes, base, rng)
        if adaptive:
            report: PathReport = analyse_stages(
                lambda rows, n: R[list(rows), :n], ALPHAS, margin=MARGIN, draws=DRAWS, seed=repeat
            )
        else:
            report = analyse_path(R, ALPHAS, margin=MARGIN, draws=DRAWS, seed=repeat)
        yes = report.verdict == "connected"
        wrong = yes if matters else report.verdict == "valley"
        return {"connected": Outcome(wrong, None if matters else yes)}

    return trial


def catastrophes(episodes: int, share: float) -> Trial:
    """A flat truth; in a `share` of the episodes all points go wrong at once, some more than others."""
    cost = 60 * (1 + np.sin(7 * ALPHAS))

    def trial(rng: Rng, repeat: int) -> dict[str, Outcome]:
        wrong = rng.random(episodes) < share
        R = cost[:, None] * (share - wrong) + rng.normal(0, 1, (21, episodes))
        report = analyse_path(R, ALPHAS, margin=6.0, draws=DRAWS, seed=repeat)
        outside = not all(low <= 0 <= high for low, high in report.band)
        return {"band": Outcome(outside), "never falls": Outcome(report.p_monotone <= NOMINAL)}

    return trial


def _rare() -> list[Question]:
    asked = []
    for rate in (0.05, 0.1, 0.15, 0.0):
        truth = f"one point with {100 * rate:g} % failures" if rate else "no failures"
        for n in (20, 50, 75, 100, 200):
            asked.append(Question(truth, f"{n} episodes", rare(rate, n), quick=rate == 0.05 and n == 75))
        trial = rare(rate, 200, adaptive=True)
        asked.append(Question(truth, "adaptive, 10 to 200 episodes", trial, rate == 0.05, 0.3))
    asked.append(Question("2 % failures everywhere, 7 % at one", "200 episodes", rare(0.05, 200, 0.02)))
    for share in (0.02, 0.05, 0.1):
        truth = f"flat, catastrophes in {100 * share:g} %"
        for n in (10, 20, 50):
            quick = (share, n) == (0.05, 10)
            asked.append(Question(truth, f"{n} episodes", catastrophes(n, share), quick))
    return asked


def looks(truth: Truth, margin: float) -> Trial:
    """V by an adaptive evaluation."""
    V = truth.numbers(margin).V

    def trial(rng: Rng, repeat: int) -> dict[str, Outcome]:
        R = truth.sample(200, rng)
        report = analyse_stages(
            lambda rows, n: R[list(rows), :n], ALPHAS, margin=margin, draws=DRAWS, seed=repeat
        )
        return {"V": Outcome(_misses(report, "V", V), report.verdict != "undecided")}

    return trial


def _looks() -> list[Question]:
    names = ("flat, paired", "rise, success or failure", "valley, paired", "valley, independent")
    setting = "adaptive, 10 to 200 episodes, margin 14"
    return [
        Question(name, setting, looks(TRUTHS[name], 14.0), name == "valley, paired", 0.2) for name in names
    ]


# --- training seeds ---

DIP = -np.exp(-(((ALPHAS - 0.5) / 0.15) ** 2))


def compared(a: Array, b: Array, noise: float, seeds: int, episodes: int) -> Trial:
    """Drawdowns of two methods, b with `noise` times the noise of a: which is shallower?"""
    differ = float(drawdown(a)) != float(drawdown(b))

    def told(depths: tuple[Array, Array]) -> tuple[Improvement, ...]:
        return compare({name: {"": -x} for name, x in zip("ab", depths, strict=True)}, draws=300, seed=1)

    def trial(rng: Rng, _: int) -> dict[str, Outcome]:
        shape = (seeds, 21, episodes)
        runs = a[:, None] + rng.normal(size=shape), b[:, None] + noise * rng.normal(size=shape)
        plain = told((drawdown(runs[0].mean(axis=-1)), drawdown(runs[1].mean(axis=-1))))
        crossfit = told((crossfit_falls(runs[0], rng), crossfit_falls(runs[1], rng)))
        (found,) = agreed(plain, crossfit)
        rejected = found.p_value <= NOMINAL
        apart = not found.probability.lower <= 0.5 <= found.probability.upper
        return {
            "methods differ in DD": Outcome(rejected and not differ, rejected if differ else None),
            "P(shallower) is not one half": Outcome(apart and not differ, apart if differ else None),
        }

    return trial


RUNS: dict[str, tuple[Callable[[Rng, int], Array], float]] = {
    "success .98 in every run": (lambda rng, n: np.full(n, 0.98), 0.98),
    "success .98, one run in five collapses": (
        lambda rng, n: np.where(rng.random(n) < 0.8, 0.98, 0.0),
        0.784,
    ),
    "success Beta(2, 2) over runs": (lambda rng, n: np.asarray(rng.beta(2, 2, n)), 0.5),
}


def success(kind: str, seeds: int) -> Trial:
    """The mean success over training seeds, of 20 episodes each."""
    draw, truth = RUNS[kind]

    def trial(rng: Rng, _: int) -> dict[str, Outcome]:
        found = bounded_mean(rng.binomial(20, draw(rng, seeds)) / 20, 0.0, 1.0)
        missed = not found.lower <= truth <= found.upper
        return {"mean success": Outcome(missed or found.upper <= found.lower)}

    return trial


def dips(depth: float, seeds: int, episodes: int = 40) -> Trial:
    """The mean dip of learning curves of 20 evaluations by success or failure."""
    success = np.full(20, 0.6)
    success[8:12] -= depth

    def trial(rng: Rng, _: int) -> dict[str, Outcome]:
        curves = (rng.random((seeds, 20, episodes)) < success[:, None]).astype(float)
        found = dip_interval(crossfit_dip(curves), raw_dip(curves))
        missed = not found.lower <= depth <= found.upper
        return {"mean dip": Outcome(missed, found.lower > 0 if depth else None)}

    return trial


def _seeds() -> list[Question]:
    asked = []
    truths = {"DD 0, flat": (SHAPES["flat"],) * 2, "DD 0, rising": (5 * ALPHAS,) * 2}
    for truth, (a, b) in truths.items():
        for noise in (1.0, 3.0, 10.0):
            for n in (3, 5, 10):
                for N in (20, 100):
                    setting = f"noise 1 and {noise:g}, {n} seeds each, {N} episodes"
                    quick = (truth, noise, n, N) == ("DD 0, flat", 3.0, 5, 20)
                    asked.append(Question(truth, setting, compared(a, b, noise, n, N), quick))
    for n in (3, 5, 10):
        setting = f"noise 1 and 1, {n} seeds each, 20 episodes"
        trial = compared(SHAPES["flat"], DIP, 1.0, n, 20)
        asked.append(Question("DD 0 against 1 sd", setting, trial, n == 5))
    for kind in RUNS:
        for n in (3, 5, 10, 20):
            quick = n == 3
            asked.append(Question(kind, f"{n} seeds, 20 episodes", success(kind, n), quick))
    for depth in (0.0, 0.1, 0.3):
        for n in (3, 5, 10):
            trial = dips(depth, n)
            asked.append(Question(f"dip of {depth:g}", f"{n} seeds, 40 episodes", trial, n == 5))
    return asked


def questions(*, quick: bool = False) -> list[Question]:
    """All questions, or the few that `landscape doctor` always asks."""
    asked = [*_paths(), *_rare(), *_looks(), *_seeds()]
    return [one for one in asked if one.quick] if quick else asked


# --- the table ---


def markdown(rows: Sequence[Mapping[str, Any]], command: str) -> str:
    """The table of calibration, from rows as JSON."""

    def percent(share: float | None) -> str:
        return "–" if share is None else f"{100 * share:.1f}"

    worst = max((row["error"] for row in rows), default=0.0)
    lines = [
        "# How often the statistics err",
        "",
        f"    {command}",
        "",
        f"Nominal error {100 * NOMINAL:g} % everywhere; the largest measured is {percent(worst)} %. Rates",
        "are percent of the samples. Power: how often what is there was found; before: the same by bounds",
        "for all contrasts at once (max-T), as they were. An error of an interval is a truth outside of it,",
        "on either side; of a p-value, one of at most 5 % where there is nothing.",
        "",
    ]
    columns = ("claim", "truth", "setting", "nominal", "error", "power", "before", "samples")
    rates = ("nominal", "error", "power", "before")
    cells = [
        [
            row["claim"],
            row["truth"],
            row["setting"],
            *(percent(row[name]) for name in rates),
            str(row["repeats"]),
        ]
        for row in rows
    ]
    lines += [markdown_table(columns, cells), "", "Not tried:", "", *(f"- {one}" for one in NOT_TRIED), ""]
    return "\n".join(lines)
