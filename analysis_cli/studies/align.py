"""`landscape align`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from analysis_cli.console import command_line, console, progress
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, EvaluationOptions, finish
from analysis_cli.studies.tables import print_numbers
from landscape.study import align
from smac.policies import save_policy


@dataclass(frozen=True)
class Align:
    """Permute the hidden units of one policy to match another's: is there still a valley between them?"""

    examples: ClassVar = (
        "landscape align --from runs/smac/seed-0/offline.safetensors "
        "--to runs/smac/seed-1/offline.safetensors",
        "landscape align --from a.safetensors --to b.safetensors --points 11 --episodes 50",
    )
    often: ClassVar = ("points", *OFTEN)
    verdict: ClassVar = True
    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint at alpha = 0, the reference."""
    end: Annotated[Path, tyro.conf.arg(name="to")]
    """Checkpoint at alpha = 1, whose hidden units are permuted; its outputs stay the same."""
    points: int = 21
    """Number of points on each line, including both checkpoints."""
    margin: float | None = None
    """Margin: largest valley depth that counts as none, in units of return; default: 5 % of the score
    range."""
    confidence: float = 0.95
    """Confidence level of the intervals, the band and the verdict, e.g. 0.95."""
    rescale: bool = True
    """Also match the scales of ReLU units."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        with self.evaluation.study(self) as out:
            with progress("episodes") as show:
                result = align(
                    self.start,
                    self.end,
                    rescale=self.rescale,
                    points=self.points,
                    margin=self.margin,
                    confidence=self.confidence,
                    evaluation=self.evaluation.settings(out),
                    progress=show,
                )
            print_numbers({"as trained": result.straight_report, "aligned": result.report}, result.margin)
            console.print(result.sentence, style="bold", markup=False)
            aligned = save_policy(out / "aligned.safetensors", result.aligned)
            finish(result, out, command_line("landscape"), aligned)

    def planned(self) -> Planned:
        episodes = 2 * self.points * self.evaluation.episodes
        return self.evaluation.plan(self.start, f"two lines of {self.points} points", episodes)
