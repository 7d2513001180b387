"""`landscape interpolate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.studies.played import InStages, Played, finish
from analysis_cli.studies.tables import print_numbers, print_points
from landscape.fields import FieldOptions
from landscape.statistics import AdaptiveReport
from landscape.study import fields_of, interpolate


@dataclass(frozen=True)
class Interpolate:
    """Evaluate the straight line between two checkpoints by rollouts: is there a valley between them?"""

    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint at alpha = 0, such as seed-0/offline.safetensors."""
    end: Annotated[Path, tyro.conf.arg(name="to")]
    """Checkpoint at alpha = 1, such as seed-0/online.safetensors."""
    points: int = 21
    """Points on the line, both checkpoints among them."""
    margin: float | None = None
    """Depth of a valley that does not matter, in units of return; default: 5 % of the task's score range."""
    extrapolate: float = 0.0
    """How far beyond both checkpoints the line goes, as a share of their distance."""
    confidence: float = 0.95
    """Of the intervals, the band, and the verdict."""
    move: tuple[str, ...] = ()
    """Only the actor's tensors that match these patterns move, such as 'net.hidden.0.*'; default: all."""
    hold_at: Literal["from", "to"] = "from"
    """Which checkpoint the tensors that do not move are taken from."""
    stages: InStages = field(default_factory=InStages)
    beside: FieldOptions = field(default_factory=FieldOptions)
    played: Played = field(default_factory=Played)

    def run(self) -> None:
        with self.played.study(self) as out:
            with progress("episodes") as show:
                result = interpolate(
                    self.start,
                    self.end,
                    points=self.points,
                    extrapolate=self.extrapolate,
                    margin=self.margin,
                    confidence=self.confidence,
                    moving=self.move,
                    held_at=self.hold_at,
                    beside=self.beside,
                    adaptive=self.stages.plan(),
                    evaluation=self.played.evaluation(out),
                    progress=show,
                )
            title = f"{result.start.name} -> {result.end.name}"
            print_points(title, result.report, fields_of(result.task, result.rollouts))
            print_numbers({"": result.report}, result.margin)
            if isinstance(result.report, AdaptiveReport):
                print_stages(result.report)
            console.print(result.sentence, style="bold", markup=False)
            finish(result, out, command_line("landscape"))


def print_stages(report: AdaptiveReport) -> None:
    """What every stage of an adaptive evaluation played, and what it left open."""
    table = Table("stage", "episodes per point", "points played", "still open")
    for number, stage in enumerate(report.stages, start=1):
        table.add_row(str(number), str(stage.episodes), str(len(stage.points)), str(len(stage.open)))
    console.print(table)
    full = len(report.alphas) * report.stages[-1].episodes
    console.print(f"{report.episodes_total} episodes; {full} would give every point as many", markup=False)
