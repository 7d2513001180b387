"""`landscape report`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.studies.played import InStages, Played, end, has_ended
from figures.draw import draw
from figures.line import PICTURES
from figures.report.tables import METHOD_COLUMNS, method_rows
from landscape.study import Incomplete, interpolate
from landscape.study.pairs import Found, Line, Missing, Pair, look_up, read_pair
from landscape.study.report import report
from smac.errors import UserError

PAIRS = "pairs"


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
            found = look_up(self.inputs)
            _check_once(found)
            pairs, failed = self._interpolate(found.lines, out)
            result = report(
                [*found.pairs, *pairs],
                beside=found.beside,
                missing=[*found.missing, *failed],
                seed=self.played.seed,
            )
            written = result.write(out, command_line("landscape"))
            pictures = draw(out)
            print_report(result.to_json())
            drawn = [path for path in sorted((out / PAIRS).glob("*/*")) if path.is_file()]
            end(out, [written, *pictures], inside=drawn)

    def _interpolate(self, lines: Sequence[Line], out: Path) -> tuple[list[Pair], list[Missing]]:
        """The lines of runs, but for those an earlier attempt has left; what failed is told, not dropped."""
        pairs, failed, shares = [], list[Missing](), list[Incomplete]()
        for line, directory in zip(lines, _directories(lines, out), strict=True):
            try:
                if not (directory / "result.json").exists():
                    self._evaluate(line, directory, out)
                if not all((directory / name).exists() for name in PICTURES):
                    draw(directory)
                pairs.append(read_pair(directory))
            except Incomplete as share:
                shares.append(share)
            except UserError as error:
                failed.append(Missing(str(line.run / f"seed-{line.seed}"), str(error)))
        if shares:
            raise shares[0]
        return pairs, failed

    def _evaluate(self, line: Line, directory: Path, out: Path) -> None:
        with progress(f"{line.run.name}, seed {line.seed}") as show:
            result = interpolate(
                line.start,
                line.end,
                points=self.points,
                margin=self.margin,
                confidence=self.confidence,
                adaptive=self.stages.plan(),
                evaluation=self.played.evaluation(out),
                progress=show,
            )
        result.write(directory, command_line("landscape"))


def _check_once(found: Found) -> None:
    """UserError for a run or a result that is named twice, also as a cell of its matrix."""
    lines = [line.run / f"seed-{line.seed}" for line in found.lines]
    places = [
        *lines,
        *(pair.directory for pair in found.pairs),
        *(beside.directory for beside in found.beside),
    ]
    for place, times in Counter(path.resolve() for path in places).items():
        if times > 1:
            raise UserError(f"{place}: is named {times} times; name it once")


def _directories(lines: Sequence[Line], out: Path) -> list[Path]:
    """Where the result of each line goes; runs of one name also bear their parent's, and a number."""
    runs = list(dict.fromkeys(line.run for line in lines))
    count = Counter(run.name for run in runs)
    names = {
        run: run.name if count[run.name] == 1 else f"{run.resolve().parent.name}-{run.name}-{k}"
        for k, run in enumerate(runs, start=1)
    }
    return [out / PAIRS / f"{names[line.run]}-seed-{line.seed}" for line in lines]


def print_report(found: dict[str, Any]) -> None:
    """The method table, what to know, and the headline."""
    table = Table(*METHOD_COLUMNS, title=found["task"])
    table.columns[0].no_wrap = True
    for row in method_rows(found):
        table.add_row(*row)
    console.print(table)
    for flag in found["flags"]:
        console.print(f"note: {flag}", markup=False)
    console.print(found["headline"], style="bold", markup=False)
