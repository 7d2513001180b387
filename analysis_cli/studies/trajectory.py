"""`landscape trajectory`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, EvaluationOptions, finish
from analysis_cli.studies.tables import print_numbers
from landscape.study import Trajectory as Result
from landscape.study import fields_of, trajectory
from landscape.study.runs import in_order
from smac.errors import UserError


@dataclass(frozen=True)
class Trajectory:
    """Evaluate the checkpoints of a fine-tuning run: does the return fall along the way?"""

    examples: ClassVar = (
        "landscape trajectory --run runs/finetune/seed-0",
        "landscape trajectory --checkpoints a.safetensors b.safetensors c.safetensors --episodes 50",
    )
    often: ClassVar = ("run_folder", "checkpoints", "along", "every", *OFTEN)
    verdict: ClassVar = True
    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """The `seed-K` folder of a fine-tuning run that kept a trajectory."""
    checkpoints: tuple[Path, ...] = ()
    """Alternative to --run: checkpoints in the order of training, the offline one first."""
    along: Literal["steps", "distance"] = "steps"
    """Unit of the path coordinate alpha: environment steps, or distance travelled in parameter space."""
    every: int = 1
    """Use only every N-th checkpoint, and the last."""
    margin: float | None = None
    """Margin: largest valley depth that counts as none, in units of return; default: 5 % of the score
    range."""
    confidence: float = 0.95
    """Confidence level of the intervals, the band and the verdict, e.g. 0.95."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        with self.evaluation.study(self) as out:
            with progress("episodes") as show:
                result = trajectory(
                    self._named(),
                    along=self.along,
                    every=self.every,
                    margin=self.margin,
                    confidence=self.confidence,
                    evaluation=self.evaluation.settings(out),
                    progress=show,
                )
            print_trajectory(result)
            finish(result, out, command_line("landscape"))

    def planned(self) -> Planned:
        files = in_order(self._named())
        count = len({*range(0, len(files), max(1, self.every)), len(files) - 1})
        return self.evaluation.plan(files[0], f"{count} checkpoints", count * self.evaluation.episodes)

    def _named(self) -> list[Path]:
        if (self.run_folder is None) == (not self.checkpoints):
            raise UserError("name either the seed-K folder of a run with --run, or --checkpoints")
        return list(self.checkpoints) if self.run_folder is None else [self.run_folder]


def print_trajectory(result: Result) -> None:
    """The checkpoints with their returns, the numbers with their intervals, and the sentence."""
    report, fields = result.report, fields_of(result.task, result.rollouts)
    shown = [name for name in ("success", "score") if name in fields]
    table = Table("checkpoint", "alpha", "travelled", "return", "band", *shown)
    rows = zip(result.names, report.alphas, result.path.travelled, report.means, report.band, strict=True)
    for k, (name, alpha, travelled, mean, (low, high)) in enumerate(rows):
        others = [f"{fields[field][k]:.2f}" for field in shown]
        table.add_row(
            name, f"{alpha:.2f}", f"{travelled:.3g}", f"{mean:.1f}", f"{low:.1f} to {high:.1f}", *others
        )
    console.print(table)
    print_numbers({"": report}, result.margin)
    if result.path.plane:
        console.print(result.path.plane.sentence, markup=False)
    console.print(result.sentence, style="bold", markup=False)
