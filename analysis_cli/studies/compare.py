"""`landscape compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, progress
from analysis_cli.studies.played import InStages, Played, end, has_ended
from figures.draw import draw
from figures.report.tables import METHOD_COLUMNS, method_rows
from landscape.comparing import PAIRS, compare_said
from landscape.results import ReportResult
from landscape.study.patterns import Said, read_toml, read_words
from smac.errors import UserError
from smac.files import write_json


@dataclass(frozen=True)
class Compare:
    """Are two methods equally well connected? Runs of ours, or policies of any library; seeds are the unit.

    Runs against policies that Stable-Baselines3 saved, one folder a seed:
    `landscape compare MINE="runs/mine/*" THEIRS="theirs/seed*/{bc,sac}.zip" --task Hopper-v5
    --normaliser none`.

    One start for all seeds, and what their files do not say:
    `landscape compare MINE="runs/mine/*" THEIRS:from=theirs/bc.pt THEIRS:to="theirs/sac-seed*.pt"
    THEIRS:algorithm=bc,sac THEIRS:step=0,100000 --task Hopper-v5`.

    Files are a pair where the stars match the same text. The seed is what NAME.policy.json beside the file of
    the end says, else the last number in that text which tells all lines apart, else 0, 1, 2, ... by name.
    """

    methods: Annotated[tuple[str, ...], tyro.conf.Positional]
    """NAME=PATTERN of run directories or results, or of policies with braces {from,to} around what differs;
    or NAME:from=PATTERN and NAME:to=PATTERN. Of policies also NAME:algorithm, step, seeds (lists with
    commas), task, action_units, normaliser. Or one .toml file with a table [NAME] of these keys for each."""
    points: int = 21
    """Points on every line, both policies among them."""
    margin: float | None = None
    """Depth of a valley that does not matter, in units of return; default: 5 % of the task's score range."""
    confidence: float = 0.95
    """Of the intervals, the bands, and the verdicts."""
    stages: InStages = field(default_factory=InStages)
    played: Played = field(default_factory=Played)

    def run(self) -> None:
        said = said_methods(self.methods)
        if self.played.out and has_ended(self.played.out, "report.json"):
            raise UserError(
                f"{self.played.out}: holds a finished report, which `landscape plot` draws again; choose "
                "another --out for a new one"
            )
        with self.played.study(self) as out:
            playing = dict(vars(self.played.evaluation(out)))
            task = playing.pop("task")
            with progress("episodes") as show:
                found = compare_said(
                    said,
                    env=task,
                    out=out,
                    points=self.points,
                    margin=self.margin,
                    confidence=self.confidence,
                    adaptive=self.stages.plan() or False,
                    progress=show,
                    **playing,
                )
            for name, line in found.lines.items():  # those of runs
                if not (out / PAIRS / name).exists():
                    line.save(out / PAIRS / name)
            written = write_json(
                out / "report.json", found.to_json() | {"command": command_line("landscape")}
            )
            pictures = draw(out)
            _print(found)
            drawn = [path for path in sorted((out / PAIRS).glob("*/*")) if path.is_file()]
            end(out, [written, *pictures], inside=drawn)


def _print(found: ReportResult) -> None:
    """The method table, what to know, and the headline."""
    table = Table(*METHOD_COLUMNS, title=found.task)
    for row in method_rows(found.to_json()):
        table.add_row(*row)
    console.print(table)
    for flag in found.flags:
        console.print(f"note: {flag}", markup=False)
    console.print(found.sentence, style="bold", markup=False)


def said_methods(words: Sequence[str]) -> list[Said]:
    """Methods from the words of the command, or from the one file that they name."""
    if len(words) == 1 and words[0].endswith(".toml"):
        return read_toml(Path(words[0]))
    return read_words(words)
