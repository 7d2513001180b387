"""`smac resume`, `smac status`: runs that were interrupted, are going, or have ended."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import tyro
from rich.table import Table

from analysis_cli.console import console
from analysis_cli.train import carry_out as carry_out_job
from analysis_cli.transfer import PLAN, carry_out, show_cells, state_of_run
from landscape.backends import Backend
from smac.errors import UserError
from smac.files import read_json
from smac.training.jobs import job_of
from smac.training.run import FINAL_CHECKPOINT, METRICS, finished, read_metrics, run_config
from smac.training.summary import curve


@dataclass(frozen=True)
class Resume:
    """Continue an interrupted run from its last saved state; its files end up as if it never stopped."""

    examples: ClassVar = (
        "smac resume runs/smac",
        "smac resume runs/transfer --workers 8",
    )
    often: ClassVar = ("workers",)
    directory: tyro.conf.Positional[Path]
    """Run directory, or that of `smac transfer`."""
    workers: int = os.cpu_count() or 1
    """Cells of `smac transfer` trained at a time."""
    backend: Backend | None = None
    """Of a cluster that trains the cells of `smac transfer`."""
    address: str | None = None
    """HOST:PORT of the cluster's scheduler."""

    def run(self) -> None:
        if (self.directory / PLAN).exists():
            carry_out(self.directory, self.workers, self.backend, self.address)
            return
        if self.backend or self.address:
            raise UserError(
                f"{self.directory}: --backend is for the cells of `smac transfer`, this is one run"
            )
        config = run_config(self.directory)
        if finished(self.directory, config):
            console.print(f"{self.directory} has ended: there is nothing to resume", markup=False)
        else:
            carry_out_job(job_of(config, self.directory), interrupted=self.directory)


@dataclass(frozen=True)
class Status:
    """How far a run is, and its last evaluations."""

    examples: ClassVar = (
        "smac status runs/smac",
        "smac status runs/transfer",
    )
    often: ClassVar = ()
    directory: tyro.conf.Positional[Path]
    """Run directory, or that of `smac transfer`."""

    def run(self) -> None:
        if (self.directory / PLAN).exists():
            show_cells(self.directory)
            return
        config = run_config(self.directory)
        table = Table("", "", show_header=False, title=str(self.directory))
        table.add_row("command", config["command_line"])
        table.add_row("state", state_of_run(self.directory))
        rows = read_metrics(self.directory) if (self.directory / METRICS).exists() else []
        kind = FINAL_CHECKPOINT[config["command"]]
        for seed in sorted({row["seed"] for row in rows}, key=int):
            own = [row for row in rows if row["seed"] == seed]
            for metric in ("eval/return", "eval/success"):
                steps, values = curve(own, metric, kind)
                if len(steps):
                    shown = "  ".join(
                        f"{step:g}: {value:.3g}" for step, value in zip(steps[-4:], values[-4:], strict=True)
                    )
                    table.add_row(f"seed {seed}, {metric}", shown)
        summary = self.directory / "summary.json"
        for seed, numbers in (read_json(summary) if summary.exists() else {}).items():
            table.add_row(f"seed {seed}, summary", "  ".join(f"{k} {_shown(v)}" for k, v in numbers.items()))
        console.print(table)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"
