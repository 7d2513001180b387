"""`landscape interpolate`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.studies.played import Played, finish
from figures.line import draw_line
from landscape.statistics import Interval
from landscape.study import Interpolation, fields_of, interpolate


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
                    evaluation=self.played.evaluation(out),
                    progress=show,
                )
            print_interpolation(result)
            finish(result, out, command_line("landscape"), draw_line)


def print_interpolation(result: Interpolation) -> None:
    """The curve, the numbers with their intervals, and the sentence."""
    report = result.report
    fields = fields_of(result.task, result.rollouts)
    shown = [name for name in ("success", "score") if name in fields]
    curve = Table("alpha", "return", "band", *shown, title=f"{result.start.name} -> {result.end.name}")
    for k, (alpha, mean, (low, high)) in enumerate(
        zip(report.alphas, report.means, report.band, strict=True)
    ):
        others = [f"{fields[name][k]:.2f}" for name in shown]
        curve.add_row(f"{alpha:.2f}", f"{mean:.1f}", f"{low:.1f} to {high:.1f}", *others)
    console.print(curve)
    numbers = Table("", "estimate", f"{100 * report.confidence:g} % interval")
    for name, meaning in (
        ("V", "valley depth V"),
        ("DD", "drawdown DD"),
        ("B_chord", "barrier B_chord"),
        ("B_mean", "barrier B_mean"),
    ):
        interval: Interval = getattr(report, name)
        upper = f"{interval.upper:.1f}" if math.isfinite(interval.upper) else "∞"
        numbers.add_row(meaning, f"{interval.estimate:.1f}", f"{interval.lower:.1f} to {upper}")
    numbers.add_row("margin", f"{report.margin:.1f}", result.margin.source)
    console.print(numbers)
    console.print(result.sentence, style="bold", markup=False)
