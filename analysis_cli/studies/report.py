"""`landscape report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.studies.played import InStages, Played, end, has_ended
from figures.draw import draw
from figures.report.tables import METHOD_COLUMNS, method_rows
from landscape.api import report
from landscape.gathering import PAIRS
from smac.errors import UserError


@dataclass(frozen=True)
class Report:
    """How well are offline and online checkpoints of some methods connected, over training seeds?

    Runs of `smac finetune` are interpolated first, seed by seed; results that exist are read. The options
    about episodes are for these runs.
    """

    inputs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Results of `landscape interpolate` (also of trajectory, curve, align and plane, for the same pairs),
    runs of `smac finetune`, or matrices of `smac transfer`."""
    points: int = 21
    """Points on every line, both checkpoints among them."""
    margin: float | None = None
    """Depth of a valley that does not matter, in units of return; default: 5 % of the task's score range."""
    confidence: float = 0.95
    """Of the intervals, the bands, and the verdicts."""
    stages: InStages = field(default_factory=InStages)
    played: Played = field(default_factory=Played)

    def run(self) -> None:
        if not self.inputs:
            raise UserError("name at least one result of `landscape interpolate` or run of `smac finetune`")
        self.stages.plan()  # refuses wrong options before anything is written
        if self.played.out and has_ended(self.played.out, "report.json"):
            raise UserError(
                f"{self.played.out}: holds a finished report, which `landscape plot` draws again; choose "
                "another --out for a new one"
            )
        with self.played.study(self) as out:
            with progress("episodes of the lines") as show:
                found = report(
                    list(self.inputs),
                    points=self.points,
                    margin=self.margin,
                    confidence=self.confidence,
                    adaptive=self.stages.plan() or False,
                    out=out,
                    command=command_line("landscape"),
                    progress=show,
                    **vars(self.played.evaluation(out)),
                )
            pictures = draw(out)
            print_report(found.result)
            lines = [path for path in sorted((out / PAIRS).glob("*/*")) if path.is_file()]
            end(out, [out / "report.json", *pictures], inside=lines)


def print_report(found: Mapping[str, Any]) -> None:
    """The method table, what to know, and the headline."""
    table = Table(*METHOD_COLUMNS, title=found["task"])
    table.columns[0].no_wrap = True
    for row in method_rows(found):
        table.add_row(*row)
    console.print(table)
    for flag in found["flags"]:
        console.print(f"note: {flag}", markup=False)
    console.print(found["headline"], style="bold", markup=False)
