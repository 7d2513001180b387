"""`landscape compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from analysis_cli.console import command_line, progress, tell
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import OFTEN, AdaptiveOptions, EvaluationOptions, check_no_report, end
from analysis_cli.studies.report import print_report, said_report
from figures.draw import draw
from landscape.comparing import compare_said, lines_of
from landscape.gathering import PAIRS
from landscape.study.pairs import look_up
from landscape.study.patterns import Said, read_toml, read_words
from landscape.study.runs import Source


@dataclass(frozen=True)
class Compare:
    """Are two methods equally well connected? Runs of ours, or policies of any library; seeds are the unit.

    Runs against policies that Stable-Baselines3 saved, one folder a seed:
    `landscape compare MINE="runs/mine/*" THEIRS="theirs/seed*/{bc,sac}.zip" --task Hopper-v5
    --normaliser none`.

    One start for all seeds, and what their files do not say:
    `landscape compare MINE="runs/mine/*" THEIRS:from=theirs/bc.pt THEIRS:to="theirs/sac-seed*.pt"
    THEIRS:algorithm=bc,sac THEIRS:step=0,100000 --task Hopper-v5`.

    Files are a pair where the stars match the same text. The seed is what NAME.policy.json next to the end's
    file says, else the last number in that text which tells all lines apart, else 0, 1, 2, ... by name.
    """

    examples: ClassVar = (
        'landscape compare SMAC="runs/transfer/finetune/smac-*" IQL="runs/transfer/finetune/iql-*"',
        "landscape compare methods.toml --points 11",
    )
    often: ClassVar = ("points", "adaptive", "normaliser", *OFTEN)
    verdict: ClassVar = True
    methods: Annotated[tuple[str, ...], tyro.conf.Positional]
    """NAME=PATTERN of run directories or results, or of policies with braces {from,to} around what differs;
    or NAME:from=PATTERN and NAME:to=PATTERN. Of policies also NAME:algorithm, step, seeds (lists with
    commas), task, action_units, normaliser. Or one .toml file with a table [NAME] of these keys for each."""
    points: int = 21
    """Number of points on every line, including both policies."""
    margin: float | None = None
    """Margin: largest valley depth that counts as none, in units of return; default: 5 % of the score
    range."""
    confidence: float = 0.95
    """Confidence level of the intervals, the bands and the verdicts, e.g. 0.95."""
    adaptive_evaluation: AdaptiveOptions = field(default_factory=AdaptiveOptions)
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        said = said_methods(self.methods)
        check_no_report(self.evaluation.out)
        with self.evaluation.study(self) as out:
            playing = dict(vars(self.evaluation.settings(out)))
            task = playing.pop("task")
            with progress("episodes") as show:
                found = compare_said(
                    said,
                    env=task,
                    out=out,
                    command=command_line("landscape"),
                    points=self.points,
                    margin=self.margin,
                    confidence=self.confidence,
                    adaptive=self.adaptive_evaluation.plan() or False,
                    progress=show,
                    **playing,
                )
            pictures = draw(out)
            print_report(found.result)
            tell(said_report(found.result) | {"out": str(out)})
            drawn = [path for path in sorted((out / PAIRS).glob("*/*")) if path.is_file()]
            end(out, [out / "report.json", *pictures], inside=drawn)

    def planned(self) -> Planned:
        check_no_report(self.evaluation.out)
        asked = self.evaluation
        how = {"action_units": asked.action_units, "normaliser": asked.normaliser}
        found = lines_of(said_methods(self.methods), asked.task, **how)
        runs = [line.start for method in found for line in look_up(method.directories).lines]
        starts: list[Source] = [*(line.start for method in found for line in method.policies), *runs]
        stages = self.adaptive_evaluation.plan()
        episodes = len(starts) * self.points * (stages.most if stages else asked.episodes)
        what = f"{len(starts)} lines of {self.points} points, and results that exist"
        return asked.plan(starts[0], what, episodes) if starts else Planned(what, {"episodes": 0}, 0.0)


def said_methods(words: Sequence[str]) -> list[Said]:
    """Methods from the words of the command, or from the one file that they name."""
    if len(words) == 1 and words[0].endswith(".toml"):
        return read_toml(Path(words[0]))
    return read_words(words)
