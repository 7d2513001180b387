"""What a report shows, read from `report.json`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.files import damaged, floats, read_as
from figures.style import Look, interval_text, look, monotone_words
from landscape.results import ReportResult
from landscape.statistics import falls
from landscape.study.pairs import bounded, falls_in

Report = dict[str, Any]
Floats = NDArray[np.float64]
DASHES: tuple[tuple[float, ...], ...] = ((), (4.5, 1.4), (1.2, 1.2), (6, 1.4, 1.2, 1.4))


@dataclass(frozen=True)
class Panel:
    """One small multiple: the path of a training seed, or the mean path over seeds."""

    title: str
    verdict: str
    monotone: str
    """monotone | not monotone | undecided."""
    falls: bool
    alphas: Floats
    means: Floats
    lower: Floats
    """NaN where nothing bounds the mean."""
    upper: Floats
    level: float
    """The lower end minus the margin."""
    depth: str
    fall: str
    note: str
    behind: tuple[Floats, ...] = ()
    """Mean paths of single seeds, drawn thin behind the mean over seeds."""

    def monotone_words(self, *, short: bool = False) -> str:
        """Beside the verdict on the valley."""
        return monotone_words(self.monotone, falls=self.falls, short=short)

    @property
    def ends(self) -> list[int]:
        """Indices of the two checkpoints."""
        return [int(np.argmin(np.abs(self.alphas - end))) for end in (0, 1)]


@dataclass(frozen=True)
class Comparison:
    """What pictures and pages show of a report."""

    report: Report
    """The contents of `report.json`."""
    looks: dict[str, Look]
    """The line of every method, by name."""
    panels: dict[str, list[Panel]]
    """By name of the method: the mean path over seeds, where there is one, and then that of every seed."""

    @property
    def single(self) -> bool:
        """Whether every method has one seed."""
        return all(len(group) == 1 for group in self.panels.values())

    @property
    def limits(self) -> tuple[float, float]:
        """Of the returns in all panels."""
        return y_limits([panel for group in self.panels.values() for panel in group])


def read_report(directory: Path) -> Comparison:
    """The contents of `report.json`; UserError if it is missing, damaged, or of another kind."""
    result = read_as(ReportResult, directory)
    with damaged(directory):
        return report_data(result)


def report_data(result: ReportResult) -> Comparison:
    """Gather what is drawn."""
    report = dict(result.result)
    panels = {method["name"]: panels_of(report, method) for method in report["methods"]}
    return Comparison(report, looks(report), panels)


def looks(report: Report) -> dict[str, Look]:
    """The line of every method: the offline algorithm's colour, with other dashes where that one is taken."""
    found: dict[str, Look] = {}
    for method in report["methods"]:
        own = look(method["from"])
        taken = [one.dashes for one in found.values() if one.color == own.color]
        free = [dashes for dashes in (own.dashes, *DASHES) if dashes not in taken]
        found[method["name"]] = replace(own, name=method["name"], dashes=free[0] if free else own.dashes)
    return found


def panels_of(report: Report, method: Report) -> list[Panel]:
    """The mean path over seeds, where there is one, and then the path of every seed."""
    pairs = [pair for pair in report["pairs"] if pair["method"] == method["name"]]
    delta = report["margin"]["delta"]
    found = [_seed_panel(pair, delta) for pair in pairs]
    path = method["path"]
    if path is None:
        return found
    alphas, means = floats(path["alphas"]), floats(path["means"])
    lower, upper = floats(path["band"]).T
    bounded = bool(np.isfinite(lower).any())
    note = f"band over {path['seeds']} seeds" if bounded else f"{path['seeds']} seeds: no band over seeds"
    inner = [(one.alphas >= 0) & (one.alphas <= 1) for one in found]
    mean = Panel(
        title=f"mean of {path['seeds']} seeds",
        verdict=path["verdict"],
        monotone=monotone_of(path, delta),
        falls=falls_in(path, delta),
        alphas=alphas,
        means=means,
        lower=lower,
        upper=upper,
        level=min(means[0], means[-1]) - delta,
        depth=f"V = {interval_text(path['V'])}",
        fall=f"DD = {interval_text(path['DD'])}",
        note=note,
        behind=tuple(one.means[rows] for one, rows in zip(found, inner, strict=True)),
    )
    return [mean, *found]


def _seed_panel(pair: Report, delta: float) -> Panel:
    alphas, means = floats(pair["alphas"]), floats(pair["means"])
    lower, upper = floats(pair["band"]).T
    episodes = pair["episodes"]
    fewest, most = min(episodes), max(episodes)
    played = f"{most} episodes" if fewest == most else f"{fewest} to {most} episodes"
    return Panel(
        title=f"seed {pair['seed']}",
        verdict=pair["verdict"],
        monotone=pair["monotone"],
        falls=pair_falls(pair, delta),
        alphas=alphas,
        means=means,
        lower=lower,
        upper=upper,
        level=min(pair["offline_return"], pair["online_return"]) - delta,
        depth=f"V = {interval_text(pair['V'])}",
        fall=f"DD = {interval_text(pair['DD'])}",
        note=f"{played} per point",
    )


def monotone_of(path: Report, delta: float) -> str:
    """The verdict on the mean path; reports of older versions have only the interval that it follows from."""
    if "monotone" in path:
        return str(path["monotone"])
    lower, upper = path["DD"]["lower"], path["DD"]["upper"]
    if upper is not None and upper <= delta and not path["episodes_dropped"]:
        return "monotone"
    return "not monotone" if (lower or 0.0) > delta else "undecided"


def pair_falls(pair: Report, delta: float) -> bool:
    """Whether the online end of a pair lies below the offline one by more than the margin."""
    return falls(pair["offline_return"], pair["online_return"], bounded(pair["DD"]), delta)


def y_limits(many: Sequence[Panel]) -> tuple[float, float]:
    """One scale for all panels, with room for a line of text below.

    A band more than three times as wide as the usual one runs out of its panel, so that it does not flatten
    the others.
    """
    widths = np.array([np.max([p.means - p.lower, p.upper - p.means]) for p in many])
    known = widths[np.isfinite(widths) & (widths > 0)]
    most = 3 * float(np.median(known)) if len(known) else np.inf
    bands = [
        np.clip(band, p.means - most, p.means + most)[np.isfinite(band)]
        for p in many
        for band in (p.lower, p.upper)
    ]
    curves = [np.asarray(curve) for p in many for curve in (p.means, [p.level], *p.behind)]
    values = np.concatenate([*bands, *(curve[np.isfinite(curve)] for curve in curves)])
    room = float(np.ptp(values)) or 1.0
    return float(values.min()) - 0.28 * room, float(values.max()) + 0.05 * room


@dataclass(frozen=True)
class Whiskers:
    """The limits of a performance profile at a few thresholds, other ones for each method."""

    xs: Floats
    shares: Floats
    below: Floats
    """How far each reaches down from its share."""
    above: Floats


def whiskers(profile: Report, index: int, count: int, places: int = 4) -> Whiskers:
    """The whiskers of the `index`-th of `count` methods; all of a report have the same thresholds."""
    thresholds = floats(profile["thresholds"])
    share = (np.arange(places) + (index + 1) / (count + 1)) / places  # of the axis
    rows = np.searchsorted(thresholds, share * thresholds[-1], side="right") - 1
    shares = floats(profile["shares"])[rows]
    lower, upper = floats(profile["lower"])[rows], floats(profile["upper"])[rows]
    xs = share * thresholds[-1]
    return Whiskers(xs, shares, np.maximum(shares - lower, 0), np.maximum(upper - shares, 0))
