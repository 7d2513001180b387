"""`landscape curve`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from analysis_cli.console import command_line, console, progress
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, EvaluationOptions, finish
from analysis_cli.studies.tables import print_numbers, print_points
from landscape.study import Search, curve, fields_of
from smac.errors import UserError
from smac.files import write_atomically

STATE = "search.npz"


@dataclass(frozen=True)
class Curve:
    """Look for a path without a valley: bend a curve between two checkpoints to keep the return high."""

    examples: ClassVar = (
        "landscape curve --from runs/finetune/seed-0/offline.safetensors "
        "--to runs/finetune/seed-0/online.safetensors",
        "landscape curve --from a.safetensors --to b.safetensors --kind chain --bends 2 --workers 8",
    )
    often: ClassVar = ("kind", "bends", "align", "points", "steps", *OFTEN)
    verdict: ClassVar = True
    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint where the curve begins."""
    end: Annotated[Path, tyro.conf.arg(name="to")]
    """Checkpoint where it ends."""
    kind: Literal["bezier", "chain"] = "bezier"
    """Quadratic Bezier curve, or a polygonal chain."""
    bends: int = 1
    """Number of bends of a chain."""
    align: bool = False
    """First permute the hidden units of --to to match those of --from; its outputs stay the same."""
    points: int = 21
    """Number of points on the curve and on the straight line, equally spaced in arc length."""
    margin: float | None = None
    """Margin: largest valley depth that counts as none, in units of return; default: 5 % of the score
    range."""
    confidence: float = 0.95
    """Confidence level of the intervals, the band and the verdict, e.g. 0.95."""
    search_from: Path | None = None
    """Result directory of an earlier curve with the same options, whose bends are used instead of a new
    search."""
    search: Search = field(default_factory=Search)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        with self.evaluation.study(self) as out:
            state = out / STATE
            if self.search_from is not None and not state.exists():
                earlier = self.search_from / STATE
                if not earlier.exists():
                    raise UserError(f"{earlier}: no such search; name the --out of an earlier curve")
                write_atomically(state, partial(shutil.copy, earlier))
            with progress("search") as show_search, progress("episodes") as show:
                result = curve(
                    self.start,
                    self.end,
                    kind=self.kind,
                    bends=self.bends,
                    search=self.search,
                    align=self.align,
                    points=self.points,
                    margin=self.margin,
                    confidence=self.confidence,
                    evaluation=self.evaluation.settings(out),
                    state=state,
                    progress=show,
                    search_progress=show_search,
                )
            title = f"{result.start.name} -> {result.end.name}, along the {result.curve.kind} curve"
            print_points(title, result.report, fields_of(result.task, result.rollouts))
            print_numbers({"straight": result.straight_report, "curve": result.report}, result.margin)
            console.print(result.sentence, style="bold", markup=False)
            finish(result, out, command_line("landscape"))

    def planned(self) -> Planned:
        search = self.search
        searched = 0 if self.search_from else 2 * search.steps * search.pairs * search.step_episodes
        what = f"a search of {search.steps} steps, then 2 x {self.points} points"
        return self.evaluation.plan(self.start, what, searched + 2 * self.points * self.evaluation.episodes)
