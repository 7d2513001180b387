"""`landscape reproduce`: the paper's figures and tables from runs of one's own."""

from __future__ import annotations

import difflib
import os
import shlex
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from analysis_cli.console import as_typed, command_line, console, duration, wrote
from analysis_cli.dry import Planned, together
from analysis_cli.ended import has_ended
from analysis_cli.rehearsal import rehearsal
from analysis_cli.reproduce.benchmarks import POLICIES
from analysis_cli.reproduce.plan import STEPS, Step
from analysis_cli.reproduce.presets import PRESETS, Preset
from figures.output import Format, StyleName, asked_for, written_as
from figures.paper import FIGURES, PaperFigure
from landscape.backends import Backend, connect
from smac.errors import UserError
from smac.files import check_free, new_directory, read_json, write_json, write_text
from smac.provenance import versions

PLAN = "reproduction.json"
PROTOCOL = "protocol"
CONFIG = "config.json"  # of a run of training
ON_CLUSTERS = ("transfer", "trajectory", "report", "plane", "project")
TAKES_WORKERS = ("data collect", *ON_CLUSTERS)


@dataclass(frozen=True)
class Reproduce:
    """Run what a figure of the paper needs, and draw it. The same command again resumes it."""

    examples: ClassVar = (
        "landscape reproduce all --preset mini --dry-run",
        "landscape reproduce transfer --preset smoke --style paper --width 3.25in --formats pdf",
    )
    often: ClassVar = ("preset", "tasks", "workers", "out")
    name: Annotated[str, tyro.conf.Positional]
    """Of the figure: transfer, connectivity, fig1, tsne, fig2, ablation, retain, switch, or all. `protocol`
    runs nothing: it tabulates what every method of the preset is given."""
    preset: Literal["smoke", "mini", "cpu", "gpu"] = "cpu"
    """How large: `smoke` shows in minutes that all of it runs and means nothing else, `mini` shows one maze
    in some twenty minutes of two cores, `cpu` takes hours on a few cores, `gpu` is for a machine with one."""
    tasks: tuple[str, ...] = ()
    """Those of the preset to run and to draw, such as pen-binary; default: all."""
    workers: int = os.cpu_count() or 1
    """Processes at a time."""
    backend: Backend | None = None
    """Train the cells of tables and play landscapes on the workers of a cluster, see `smac transfer`."""
    address: str | None = None
    """HOST:PORT of the cluster's scheduler (for dask also the path of its scheduler file)."""
    policies: Path | None = None
    """Folder with the published policies, in folders by their source, as for `smac tasks measure`. Without it
    tasks whose data they collect are left out."""
    out: Path | None = None
    """Directory of all runs of this preset, shared by the figures; default: runs/reproduce-<preset>."""

    style: StyleName = "screen"
    """Of the figures' pictures; `paper`: letters as in most papers' text, thinner lines."""
    width: str | None = None
    """Of a column of the paper, such as 3.25in, 8.2cm or 234pt; pictures of many panels span two. Default:
    each picture's own."""
    formats: tuple[Format, ...] = ("png", "pdf")
    """What is written of every picture."""
    latex: bool = False
    """With --style paper: have LaTeX set the letters, in its own fonts; it must be installed."""

    def run(self) -> None:
        self._check()
        if self.name == PROTOCOL:
            self._tabulate()
            return
        output = asked_for(self.style, self.width, self.formats, self.latex)
        preset, root = self._preset(), self._root()
        if not self._begun(root):
            write_json(new_directory(root) / PLAN, {"preset": self.preset})
        for figure in self._figures():
            console.print(f"[bold]{figure.name}[/bold]: {figure.shows}")
            steps = STEPS[figure.name](preset)
            if not steps:
                console.print(f"{figure.name}: shows none of these tasks")
                continue
            for k, step in enumerate(steps, 1):
                if not has_ended(root / step.done):
                    self._carry_out(step, root, f"{figure.name} {k}/{len(steps)}")
            with written_as(output):
                pictures = figure.draw(root, preset)
            about = {
                "figure": figure.name,
                "shows": figure.shows,
                "preset": self.preset,
                "command": command_line("landscape"),
                "commands": [shlex.join(step.words) for step in steps],
                "versions": versions(),
            }
            write_json(root / "figures" / figure.name / "made.json", about)
            for path in pictures:
                wrote(path)

    def planned(self) -> Planned:
        self._check()
        if self.name == PROTOCOL:
            return Planned(f"nothing; the protocol of the preset {self.preset} would be written", {}, 0.0)
        asked_for(self.style, self.width, self.formats, self.latex)
        preset, root = self._preset(), self._root()
        self._begun(root)
        seen: set[str] = set()  # figures share commands
        left: list[Planned] = []
        parts = []
        with rehearsal(self.workers) as rehearsed:
            for figure in self._figures():
                steps = STEPS[figure.name](preset)
                fresh = [step for step in steps if step.done not in seen]
                seen |= {step.done for step in fresh}
                plans = {step: rehearsed.planned(self._words(step, root)) for step in fresh}
                own = [plan for step, plan in plans.items() if not has_ended(root / step.done)]
                seconds = duration(sum(plan.seconds for plan in own))
                parts.append(f"{figure.name}: {len(own)} of its {len(steps)} commands, about {seconds}")
                left += own
        what = f"{len(left)} {'command' if len(left) == 1 else 'commands'} of the preset {self.preset}"
        return together(what, left, parts)

    def _check(self) -> None:
        if self.name not in ("all", PROTOCOL, *FIGURES):
            close = difflib.get_close_matches(self.name, [*FIGURES, "all", PROTOCOL], n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            known = ", ".join(FIGURES)
            raise UserError(f"there is no figure {self.name!r}: {hint}there are {known}, all, and {PROTOCOL}")
        if self.workers < 1:
            raise UserError(f"--workers must be at least 1, got {self.workers}")
        if self.backend or self.address:
            connect(self.backend, self.address)
        if self.policies is not None and not self.policies.is_dir():
            raise UserError(f"--policies {self.policies}: no such folder")

    def _root(self) -> Path:
        return self.out or Path("runs") / f"reproduce-{self.preset}"

    def _preset(self) -> Preset:
        """The preset, without tasks for whose data there is no policy."""
        whole = PRESETS[self.preset].of_tasks(self.tasks)
        preset = whole.available(policies=self.policies is not None)
        left_out = [b.label for b in whole.benchmarks if b not in preset.benchmarks]
        if left_out:
            told = f"{', '.join(left_out)}: left out, name the folder of policies with --policies"
            if not preset.benchmarks:
                raise UserError(told)
            console.print(told, markup=False)
        return preset

    def _figures(self) -> list[PaperFigure]:
        return list(FIGURES.values()) if self.name == "all" else [FIGURES[self.name]]

    def _tabulate(self) -> None:
        from analysis_cli.reproduce.protocol import protocol_page  # which imports the commands of the plan

        preset = PRESETS[self.preset].of_tasks(self.tasks)
        page = f"`{command_line('landscape')}`\n\n{protocol_page(preset)}"
        folder = new_directory(self.out or Path("runs") / f"protocol-{self.preset}")
        wrote(write_text(folder / "protocol.md", page))

    def _begun(self, root: Path) -> bool:
        """Whether a directory holds runs of this preset; UserError if it holds something else."""
        if not (root / PLAN).exists():
            check_free(root)
            return False
        before = read_json(root / PLAN)["preset"]
        if before != self.preset:
            raise UserError(f"{root}: holds the preset {before}, not {self.preset}; choose another --out")
        return True

    def _words(self, step: Step, root: Path) -> list[str]:
        """Of the command, with the directories that it means."""
        words = [str(root / word[2:]) if word.startswith("./") else word for word in step.words]
        return [word.replace(POLICIES, str(self.policies)) for word in words]

    def _carry_out(self, step: Step, root: Path, place: str) -> None:
        """Run a command in this process, as it would run if it were typed."""
        words, out = self._words(step, root), root / step.done.rpartition("/")[0]
        if (out / CONFIG).exists():  # a run that was interrupted
            words = ["smac", "resume", str(out)]
        else:
            command = " ".join(words[1:])
            if command.startswith(TAKES_WORKERS):
                words += ["--workers", str(self.workers)]
            if command.startswith(ON_CLUSTERS) and self.backend and self.address:
                words += ["--backend", self.backend, "--address", self.address]
        console.print(f"{place}: {shlex.join(words)}", markup=False)
        program, *arguments = words
        parse = import_module(f"analysis_cli.{program}").parse  # which import this module in turn
        try:
            with as_typed(words):
                parse(arguments).run()
        except UserError as error:
            raise UserError(f"`{shlex.join(words)}`: {error}") from error
