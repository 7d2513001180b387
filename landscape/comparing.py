"""`landscape.compare`: methods by patterns of runs or of any library's policies, as one report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from landscape.api import interpolate, report, split, written
from landscape.evaluate import Evaluation, Progress
from landscape.gathering import PAIRS, kept
from landscape.results import PathResult, ReportResult
from landscape.statistics import Adaptive
from landscape.study import Incomplete
from landscape.study.common import one_of
from landscape.study.patterns import (
    Lines,
    PolicyLine,
    Said,
    defaulted,
    find_lines,
    read_mapping,
    read_toml,
    spoken,
)
from smac.api import Place
from smac.errors import UserError


def compare(
    methods: Mapping[str, Any] | Place,
    *,
    env: str | None = None,
    points: int = 21,
    margin: float | None = None,
    confidence: float = 0.95,
    adaptive: Adaptive | bool = False,
    progress: Progress | None = None,
    **playing: Any,
) -> ReportResult:
    """Two methods or more, each by a pattern of its runs or of its policies' files, as one report.

        theirs = {"from": "theirs/bc.zip", "to": "theirs/seed*.zip", "normaliser": "none"}
        landscape.compare({"mine": "runs/mine/*", "theirs": theirs}, env="Hopper-v5")

    `methods` may be a TOML file with a table for each. How files are paired and seeded, and what can be said
    of them, is in `landscape.study.patterns`. Every file is read before an episode is played; UserError for
    one that cannot be, for a method without lines, and for whatever `report` refuses.
    """
    said = read_mapping(methods) if isinstance(methods, Mapping) else read_toml(Path(methods))
    asked: dict[str, Any] = {"points": points, "margin": margin, "confidence": confidence}
    asked |= {"adaptive": adaptive, **playing}
    found = compare_said(said, env=env, progress=progress, **asked)
    told = written(compare, {one.name: spoken(one) for one in said}, env=env, **asked)
    return ReportResult({**found.result, "command": told}, lines=found.lines)


def compare_said(
    said: Sequence[Said],
    *,
    env: str | None = None,
    out: Path | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ReportResult:
    """`compare` of methods as `landscape.study.patterns` reads them; `options` are its others.

    With `out` lines and the report are written there as they come, and lines that are there are read, so
    that a killed command can be resumed; `command` is what the report says it was made by.
    """
    written_to: dict[str, Any] = {"out": out, "command": command}
    own, playing = split(options, ("points", "margin", "confidence", "adaptive"), Evaluation)
    found = lines_of(said, env, **playing)

    lines = [(method, line) for method in found for line in method.policies]

    def play(line: PolicyLine, k: int) -> PathResult:
        shown = one_of(progress, k, len(lines))
        return interpolate(line.start, line.end, progress=shown, **own, **playing)

    members: dict[str, list[Place | PathResult]] = {one.name: list(one.directories) for one in found}
    shares: list[Incomplete] = []
    for k, (method, line) in enumerate(lines):
        try:
            members[method.name].append(_line(method, line, partial(play, line, k), out))
        except Incomplete as share:
            shares.append(share)
    if shares:  # the runs have their share, too
        runs = {name: many for name, many in members.items() if many}
        if runs:
            report(runs, progress=progress, **written_to, **own, **playing)
        raise shares[0]
    compared = report(members, progress=progress, **written_to, **own, **playing)
    absent = [name for name in members if name not in compared.verdicts]
    if absent:
        told = "; ".join(_missing(compared))
        raise UserError(f"{absent[0]}: has no finished line{f' ({told})' if told else ''}")
    return compared


def lines_of(said: Sequence[Said], env: str | None = None, **playing: Any) -> list[Lines]:
    """What the methods turn out to be; the policies of those that are not runs are read."""
    if len(said) < 2:
        raise UserError("a comparison is of two methods or more; `landscape report` takes one")
    how = {"task": env, "action_units": None, "normaliser": None} | playing
    return [find_lines(defaulted(one, how)) for one in said]


def _line(
    method: Lines, line: PolicyLine, play: Callable[[], PathResult], out: Path | None
) -> Place | PathResult:
    """The line between two policies: played, or where it is written in `out`."""
    if out is None:
        return play()
    name = re.sub(r"[^\w.=-]+", "-", method.name)
    return kept(out / PAIRS / f"{name}-seed-{line.seed}", play)


def _missing(compared: ReportResult) -> Iterator[str]:
    for one in compared.result["missing"]:
        yield f"{one['place']}: {one['reason']}"
