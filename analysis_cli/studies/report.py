"""`landscape report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress, tell
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, AdaptiveOptions, EvaluationOptions, check_no_report, end
from figures.draw import draw
from figures.report.tables import METHOD_COLUMNS, depth_unit, method_rows
from landscape.api import report
from landscape.gathering import PAIRS
from smac.errors import UserError


@dataclass(frozen=True)
class Report:
    """How well are offline and online checkpoints of some methods connected, over training seeds?

    Runs of `smac finetune` are interpolated first, seed by seed; results that exist are read. The options
    about episodes are for these runs.
    """

    examples: ClassVar = (
        "landscape report runs/finetune --episodes 50 --out runs/report",
        "landscape report runs/transfer --adaptive --workers 8",
    )
    often: ClassVar = ("points", "adaptive", *OFTEN)
    verdict: ClassVar = True
    inputs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Results of `landscape interpolate` (also of trajectory, curve, align and plane, for the same pairs),
    runs of `smac finetune`, or matrices of `smac transfer`."""
    points: int = 21
    """Number of points on every line, including both checkpoints."""
    margin: float | None = None
    """Margin: largest valley depth that counts as none, in units of return; default: 5 % of the score
    range."""
    confidence: float = 0.95
    """Confidence level of the intervals, the bands and the verdicts, e.g. 0.95."""
    adaptive_evaluation: AdaptiveOptions = field(default_factory=AdaptiveOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        if not self.inputs:
            raise UserError("name at least one result of `landscape interpolate` or run of `smac finetune`")
        self.adaptive_evaluation.plan()  # refuses wrong options before anything is written
        check_no_report(self.evaluation.out)
        with self.evaluation.study(self) as out:
            with progress("episodes of the lines") as show:
                found = report(
                    list(self.inputs),
                    points=self.points,
                    margin=self.margin,
                    confidence=self.confidence,
                    adaptive=self.adaptive_evaluation.plan() or False,
                    out=out,
                    command=command_line("landscape"),
                    progress=show,
                    **vars(self.evaluation.settings(out)),
                )
            pictures = draw(out)
            print_report(found.result)
            tell(said_report(found.result) | {"out": str(out)})
            lines = [path for path in sorted((out / PAIRS).glob("*/*")) if path.is_file()]
            end(out, [out / "report.json", *pictures], inside=lines)

    def planned(self) -> Planned:
        ends = [end for path in self.inputs for end in sorted(path.glob("seed-*/online.safetensors"))]
        stages = self.adaptive_evaluation.plan()
        episodes = len(ends) * self.points * (stages.most if stages else self.evaluation.episodes)
        what = f"{len(ends)} lines of {self.points} points, and results that exist"
        if not ends:
            return Planned(what, {"episodes": 0}, 0.0)
        return self.evaluation.plan(ends[0], what, episodes)


def said_report(found: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints of a report: the headline, and verdicts and depths of every method."""
    unit = depth_unit(found)
    methods = {
        method["name"]: {
            "seeds": len(method["seeds"]),
            "verdicts": method["verdicts"],
            "monotone": method["monotone"],
            **{name: method[unit][name] for name in ("V", "DD") if name in method[unit]},
        }
        for method in found["methods"]
    }
    shared = {name: found[name] for name in ("kind", "task", "margin", "unit", "headline")}
    return shared | {"methods": methods}


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
