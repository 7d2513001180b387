"""`landscape reproduce`: the paper's figures and tables from runs of one's own."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from analysis_cli.console import as_typed, command_line, console, wrote
from analysis_cli.reproduce.plan import STEPS, Step
from analysis_cli.reproduce.presets import POLICIES, PRESETS
from analysis_cli.studies.evaluation import REQUEST
from analysis_cli.studies.evaluation import has_ended as study_has_ended
from analysis_cli.transfer import PLAN as MATRIX
from figures.paper import FIGURES
from landscape.backends import Backend, connect
from smac.errors import UserError
from smac.files import new_directory, read_json, write_json, write_text
from smac.provenance import versions
from smac.training.run import finished, run_config

PLAN = "reproduction.json"
PROTOCOL = "protocol"
CONFIG = "config.json"  # of a run of training
ON_CLUSTERS = ("transfer", "trajectory", "report", "plane", "project")
TAKES_WORKERS = ("data collect", *ON_CLUSTERS)


@dataclass(frozen=True)
class Reproduce:
    """Run what a figure of the paper needs, and draw it. The same command again resumes it."""

    examples: ClassVar = (
        "landscape reproduce transfer --preset smoke",
        "landscape reproduce all --preset cpu --workers 8",
    )
    often: ClassVar = ("preset", "workers", "out")
    name: Annotated[str, tyro.conf.Positional]
    """Of the figure: transfer, connectivity, fig1, tsne, fig2, ablation, retain, switch, or all. `protocol`
    runs nothing: it tabulates what every method of the preset is given."""
    preset: Literal["smoke", "cpu", "gpu"] = "cpu"
    """How large: `smoke` shows in minutes that all of it runs and means nothing else, `cpu` takes hours on a
    few cores, `gpu` is for a machine with one."""
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

    def run(self) -> None:
        if self.name not in ("all", PROTOCOL, *FIGURES):
            known = ", ".join(FIGURES)
            raise UserError(f"there is no figure {self.name!r}; there are {known}, all, and {PROTOCOL}")
        if self.workers < 1:
            raise UserError(f"--workers must be at least 1, got {self.workers}")
        if self.backend or self.address:
            connect(self.backend, self.address)
        if self.policies is not None and not self.policies.is_dir():
            raise UserError(f"--policies {self.policies}: no such folder")
        whole = PRESETS[self.preset]
        root = self.out or Path("runs") / f"reproduce-{self.preset}"
        if self.name == PROTOCOL:
            from analysis_cli.reproduce.protocol import (
                protocol_page,  # which imports the commands of the plan
            )

            page = f"`{command_line('landscape')}`\n\n{protocol_page(whole)}"
            folder = new_directory(self.out or Path("runs") / f"protocol-{self.preset}")
            wrote(write_text(folder / "protocol.md", page))
            return
        preset = whole.available(policies=self.policies is not None)
        for benchmark in whole.benchmarks:
            if benchmark not in preset.benchmarks:
                console.print(f"{benchmark.label} is left out: name the folder of policies with --policies")
        _begin(root, self.preset)
        figures = list(FIGURES.values()) if self.name == "all" else [FIGURES[self.name]]
        for figure in figures:
            console.print(f"[bold]{figure.name}[/bold]: {figure.shows}")
            steps = STEPS[figure.name](preset)
            for k, step in enumerate(steps, 1):
                if not has_ended(root / step.done):
                    self._carry_out(step, root, f"{figure.name} {k}/{len(steps)}")
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

    def _carry_out(self, step: Step, root: Path, place: str) -> None:
        """Run a command in this process, as it would run if it were typed."""
        words = [str(root / word[2:]) if word.startswith("./") else word for word in step.words]
        words = [word.replace(POLICIES, str(self.policies)) for word in words]
        out = root / step.done.rpartition("/")[0]
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


def has_ended(done: Path) -> bool:
    """Whether the command that leaves this file has ended: some write it before the last of their files.

    Datasets come with all of their files at once, and a matrix writes its `transfer.json` last.
    """
    if not done.exists():
        return False
    folder = done.parent
    if (folder / CONFIG).exists():  # a run of training
        return finished(folder, run_config(folder))
    if (folder / REQUEST).exists():
        return study_has_ended(folder, done.name)
    if (folder / MATRIX).exists():
        return all(
            finished(folder / cell, run_config(folder / cell)) for cell in read_json(folder / MATRIX)["cells"]
        )
    return True


def _begin(root: Path, preset: str) -> None:
    """UserError if the directory belongs to something else or to another preset."""
    plan = root / PLAN
    if plan.exists():
        before = read_json(plan)["preset"]
        if before != preset:
            raise UserError(f"{root}: holds the preset {before}, not {preset}; choose another --out")
    else:
        new_directory(root)
        write_json(plan, {"preset": preset})
