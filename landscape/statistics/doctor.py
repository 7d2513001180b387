"""How often this installation is right, measured on landscapes whose every number is known.

Error and power on many truths and settings, other claims among them, are in the table of
`landscape.statistics.calibration`, results/landscape/calibration.md.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from landscape.statistics.path import PathReport, analyse_path, check_options
from landscape.statistics.truths import TRUTHS, Truth
from smac.errors import UserError
from smac.statistics.results import Result

QUICK = tuple(
    TRUTHS[f"{shape}, {noise}"]
    for shape in ("flat", "rise", "valley")
    for noise in ("paired", "success or failure")
)
BOUNDED = ("V", "DD", "B_chord", "B_mean", "D_0", "W", "area", "crossfit")
LENIENCE = 3.0  # standard errors of a measured rate that count as chance


@dataclass(frozen=True)
class Case:
    """One truth with one number of episodes, sampled again and again. All rates are shares of the samples."""

    truth: str
    episodes: int
    V: float
    """The true valley depth."""
    DD: float
    """The true drawdown; 0 means that the truth is monotone."""
    band: float
    """Coverage of the simultaneous band: the whole true curve lies inside."""
    coverage: dict[str, float]
    """Coverage of the intervals of V, DD, B_chord, B_mean, D_0, W, area and of the cross-fitted V."""
    false_valley: float
    """Lower bounds of V above the truth: "valley" at the margin where that is only just wrong."""
    false_connected: float
    """Upper bounds of V below the truth: "connected" at the margin where that is only just wrong."""
    false_not_monotone: float
    false_monotone: float
    """The same two for DD."""
    rejected: float
    """p_monotone <= 1 - confidence: the false alarms of a monotone truth, the power at any other."""
    verdicts: dict[str, float]
    """Of V against the margin."""
    monotone: dict[str, float]
    """Of DD against the margin."""
    V_bias: float
    """Mean error of the plain valley depth."""
    V_crossfit_bias: float
    """Mean error of the cross-fitted valley depth."""
    V_crossfit_sd: float
    """Its standard deviation."""


@dataclass(frozen=True)
class Calibration(Result):
    """What `calibrate` measured."""

    cases: tuple[Case, ...]
    failures: tuple[str, ...]
    """Rates that are worse than promised by more than chance; empty if this installation is sound."""
    confidence: float
    allowed: float
    """Largest rate of errors that counts as chance: 1 - confidence + 3 Monte Carlo standard errors."""
    margin: float
    repeats: int
    draws: int
    seed: int


def calibrate(
    truths: Sequence[Truth] = QUICK,
    episodes: Sequence[int] = (20,),
    *,
    repeats: int = 200,
    margin: float = 7.0,
    confidence: float = 0.95,
    draws: int = 400,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Measured coverage, false alarms, power and bias of `analyse_path` on simulated return matrices.

    `margin` is what the verdicts are counted for (5 % of the range of the truths); coverage and the false
    rates do not depend on it, but W does. Every sample has its own random stream, derived from `seed`.
    """
    check_options(margin, confidence, draws)
    if repeats < 1 or not truths or not episodes or min(episodes) < 1:
        raise UserError("at least one repeat, one truth and one episode are needed to measure anything")
    allowed = 1 - confidence + LENIENCE * math.sqrt(confidence * (1 - confidence) / repeats)
    cases = []
    for i, truth in enumerate(truths):
        for n in episodes:
            reports = []
            for repeat in range(repeats):
                R = truth.sample(n, np.random.default_rng([seed, i, n, repeat]))
                alphas = np.array(truth.alphas)
                reports.append(
                    analyse_path(
                        R, alphas, margin=margin, confidence=confidence, draws=draws, seed=seed + repeat
                    )
                )
            cases.append(measure(truth, n, reports))
            if progress:
                progress(len(cases), len(truths) * len(episodes))
    failures = [text for case in cases for text in beyond_chance(case, allowed)]
    return Calibration(tuple(cases), tuple(failures), confidence, allowed, margin, repeats, draws, seed)


def measure(truth: Truth, episodes: int, reports: Sequence[PathReport]) -> Case:
    """Compare the reports on samples of one truth, made with the same options, with the truth."""
    margin, alpha = reports[0].margin, 1 - reports[0].confidence
    numbers = truth.numbers(margin)
    true = {name: getattr(numbers, name) for name in BOUNDED if name != "crossfit"} | {"crossfit": numbers.V}
    slip = 1e-9 * max(map(abs, truth.means))  # rounding

    def rate(holds: Callable[[PathReport], bool]) -> float:
        return float(np.mean([holds(report) for report in reports]))

    def above(name: str) -> float:
        return rate(lambda report: getattr(report, name).lower > true[name] + slip)

    def under(name: str) -> float:
        return rate(lambda report: getattr(report, name).upper < true[name] - slip)

    def holds_curve(report: PathReport) -> bool:
        curve = zip(report.band, truth.means, strict=True)
        return all(low - slip <= mean <= high + slip for (low, high), mean in curve)

    plain = np.array([report.numbers.V for report in reports])
    crossfit = np.array([report.V_crossfit for report in reports])
    return Case(
        truth=truth.name,
        episodes=episodes,
        V=numbers.V,
        DD=numbers.DD,
        band=rate(holds_curve),
        coverage={name: 1 - above(name) - under(name) for name in BOUNDED},
        false_valley=above("V"),
        false_connected=under("V"),
        false_not_monotone=above("DD"),
        false_monotone=under("DD"),
        rejected=rate(lambda report: report.p_monotone <= alpha),
        verdicts=_shares([r.verdict for r in reports], ("connected", "valley", "undecided")),
        monotone=_shares([r.monotone for r in reports], ("monotone", "not monotone", "undecided")),
        V_bias=float(plain.mean() - numbers.V),
        V_crossfit_bias=float(crossfit.mean() - numbers.V),
        V_crossfit_sd=float(crossfit.std()),
    )


def beyond_chance(case: Case, allowed: float) -> list[str]:
    """What is worse than promised in a case, in words; `allowed` is the largest acceptable rate of errors."""
    errors = {"the band misses the curve": 1 - case.band}
    errors |= {f"the interval of {name} misses the truth": 1 - c for name, c in case.coverage.items()}
    errors |= {"a valley is invented": case.false_valley, "a valley is denied": case.false_connected}
    errors |= {"a fall is invented": case.false_not_monotone, "a fall is denied": case.false_monotone}
    if case.DD == 0:
        errors["the test rejects a monotone path"] = case.rejected
    where = f"{case.truth}, {case.episodes} episodes"
    return [
        f"{where}: {what} in {100 * rate:.1f} % of samples" for what, rate in errors.items() if rate > allowed
    ]


def _shares(found: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    return {name: found.count(name) / len(found) for name in names}
