"""`landscape interpolate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, AdaptiveOptions, EvaluationOptions, finish
from analysis_cli.studies.tables import print_numbers, print_points
from landscape.fields import FieldOptions
from landscape.statistics import AdaptiveReport
from landscape.study import fields_of, interpolate


@dataclass(frozen=True)
class Interpolate:
    """Evaluate the straight line between two checkpoints by rollouts: is there a valley between them?"""

    examples: ClassVar = (
        "landscape interpolate --from runs/finetune/seed-0/offline.safetensors "
        "--to runs/finetune/seed-0/online.safetensors --out runs/interpolate",
        "landscape interpolate --from bc.zip --to sac.zip --task Hopper-v5 --normaliser none --adaptive",
    )
    often: ClassVar = ("points", "adaptive", *OFTEN)
    verdict: ClassVar = True
    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint at alpha = 0, such as seed-0/offline.safetensors."""
    end: Annotated[Path, tyro.conf.arg(name="to")]
    """Checkpoint at alpha = 1, such as seed-0/online.safetensors."""
    points: int = 21
    """Number of points on the line, including both checkpoints."""
    margin: float | None = None
    """Margin: largest valley depth that counts as none, in units of return; default: 5 % of the score
    range."""
    extrapolate: float = 0.0
    """Extend the line beyond both checkpoints by this share of their distance."""
    confidence: float = 0.95
    """Confidence level of the intervals, the band and the verdict, e.g. 0.95."""
    move: tuple[str, ...] = ()
    """Interpolate only the actor's tensors that match these patterns, such as 'net.hidden.0.*'; default:
    all."""
    hold_at: Literal["from", "to"] = "from"
    """Checkpoint that provides the tensors which are not interpolated."""
    adaptive_evaluation: AdaptiveOptions = field(default_factory=AdaptiveOptions)
    fields: FieldOptions = field(default_factory=FieldOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        with self.evaluation.study(self) as out:
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
                    beside=self.fields,
                    adaptive=self.adaptive_evaluation.plan(),
                    evaluation=self.evaluation.settings(out),
                    progress=show,
                )
            title = f"{result.start.name} -> {result.end.name}"
            print_points(title, result.report, fields_of(result.task, result.rollouts))
            print_numbers({"": result.report}, result.margin)
            if isinstance(result.report, AdaptiveReport):
                print_stages(result.report)
            console.print(result.sentence, style="bold", markup=False)
            finish(result, out, command_line("landscape"))

    def planned(self) -> Planned:
        stages = self.adaptive_evaluation.plan()
        episodes = self.points * (stages.most if stages else self.evaluation.episodes)
        what = f"{self.points} points" + (", at most" if stages else "")
        return self.evaluation.plan(self.start, what, episodes)


def print_stages(report: AdaptiveReport) -> None:
    """Episodes and undecided points of every stage of an adaptive evaluation."""
    table = Table("stage", "episodes per point", "points played", "still open")
    for number, stage in enumerate(report.stages, start=1):
        table.add_row(str(number), str(stage.episodes), str(len(stage.points)), str(len(stage.open)))
    console.print(table)
    full = len(report.alphas) * report.stages[-1].episodes
    console.print(f"{report.episodes_total} episodes; {full} would give every point as many", markup=False)
