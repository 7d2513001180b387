"""The command `landscape`: reward landscapes between checkpoints."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from analysis_cli.console import call, command_line, console, default_directory, progress, wrote
from analysis_cli.demo import Demo
from figures.line import draw_line
from landscape.statistics import Interval
from landscape.study import Interpolation, interpolate
from smac.files import new_directory


@dataclass(frozen=True)
class Interpolate:
    """Evaluate the straight line between two checkpoints by rollouts: is there a valley between them?"""

    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint at alpha = 0, such as seed-0/offline.safetensors."""
    end: Annotated[Path, tyro.conf.arg(name="to")]
    """Checkpoint at alpha = 1, such as seed-0/online.safetensors."""
    points: int = 21
    """Points on the line, both checkpoints among them."""
    episodes: int = 20
    """Episodes per point; every point plays the same ones."""
    workers: int = 1
    """Processes; the result does not depend on their number."""
    margin: float | None = None
    """Depth of a valley that does not matter, in units of return; default: 5 % of the task's score range."""
    stochastic: bool = False
    """Sample actions instead of taking the mean."""
    extrapolate: float = 0.0
    """How far beyond both checkpoints the line goes, as a share of their distance."""
    confidence: float = 0.95
    """Of the intervals, the band, and the verdict."""
    seed: int = 0
    """Seed of the episodes and of the bootstrap."""
    out: Path | None = None
    """Directory of the result; default: a new one in runs/."""

    def run(self) -> None:
        if self.out is not None:
            check_free(self.out)
        with progress("episodes") as show:
            result = interpolate(
                self.start,
                self.end,
                points=self.points,
                episodes=self.episodes,
                extrapolate=self.extrapolate,
                margin=self.margin,
                stochastic=self.stochastic,
                seed=self.seed,
                workers=self.workers,
                confidence=self.confidence,
                progress=show,
            )
        out = new_directory(self.out or default_directory("interpolate", result.task.name))
        result.write(out, command_line("landscape"))
        pictures = draw_line(out)
        print_interpolation(result)
        for path in (out / "returns.npz", out / "result.json", *pictures):
            wrote(path)


def print_interpolation(result: Interpolation) -> None:
    """The curve, the numbers with their intervals, and the sentence."""
    report = result.report
    curve = Table("alpha", "return", "band", "success", title=f"{result.start.name} -> {result.end.name}")
    successes = result.rollouts.successes.mean(axis=1)
    for alpha, mean, (low, high), success in zip(
        report.alphas, report.means, report.band, successes, strict=True
    ):
        curve.add_row(f"{alpha:.2f}", f"{mean:.1f}", f"{low:.1f} to {high:.1f}", f"{success:.2f}")
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


def check_free(out: Path) -> None:
    """Refuse an --out that holds something before hours are spent, without creating it."""
    if out.exists():
        new_directory(out)


def parse(arguments: Sequence[str]) -> Any:
    """The command that the arguments name, with its options filled in."""
    commands: Any = Annotated[Interpolate, subcommand("interpolate")] | Annotated[Demo, subcommand("demo")]
    config = (OmitSubcommandPrefixes, OmitArgPrefixes)
    return tyro.cli(commands, args=list(arguments), prog="landscape", description=__doc__, config=config)


def main() -> None:
    call("landscape", lambda: parse(sys.argv[1:]).run())


if __name__ == "__main__":
    main()
