"""`smac resume`, `smac status`: runs that were interrupted, are going, or have ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.table import Table

from analysis_cli.console import console
from analysis_cli.train import Finetune, Pretrain
from smac.agents import agent_class
from smac.errors import UserError
from smac.files import from_plain, read_json
from smac.training.offline import OfflineOptions
from smac.training.online import OnlineOptions
from smac.training.run import METRICS, STATE, read_metrics
from smac.training.summary import curve

MOMENTS = {"pretrain": "offline", "finetune": "online"}


@dataclass(frozen=True)
class Resume:
    """Continue an interrupted run from its last saved state; its files end up as if it never stopped."""

    directory: tyro.conf.Positional[Path]
    """Run directory."""

    def run(self) -> None:
        config = run_config(self.directory)
        if finished(self.directory, config):
            console.print(f"{self.directory} has ended: there is nothing to resume", markup=False)
        else:
            command_of(config, self.directory).run(interrupted=self.directory)


@dataclass(frozen=True)
class Status:
    """How far a run is, and its last evaluations."""

    directory: tyro.conf.Positional[Path]
    """Run directory."""

    def run(self) -> None:
        config = run_config(self.directory)
        table = Table("", "", show_header=False, title=str(self.directory))
        table.add_row("command", config["command_line"])
        table.add_row("state", self._state(config))
        rows = read_metrics(self.directory) if (self.directory / METRICS).exists() else []
        moment = MOMENTS[config["command"]]
        for seed in sorted({row["seed"] for row in rows}, key=int):
            own = [row for row in rows if row["seed"] == seed]
            for metric in ("eval/return", "eval/success"):
                steps, values = curve(own, metric, moment)
                if len(steps):
                    shown = "  ".join(
                        f"{step:g}: {value:.3g}" for step, value in zip(steps[-4:], values[-4:], strict=True)
                    )
                    table.add_row(f"seed {seed}, {metric}", shown)
        summary = self.directory / "summary.json"
        for seed, numbers in (read_json(summary) if summary.exists() else {}).items():
            table.add_row(f"seed {seed}, summary", "  ".join(f"{k} {v:.3g}" for k, v in numbers.items()))
        console.print(table)

    def _state(self, config: dict[str, Any]) -> str:
        if finished(self.directory, config):
            return "ended"
        progress = self.directory / "progress.json"
        if not progress.exists():
            return "not begun"
        seen, age = read_json(progress), time.time() - progress.stat().st_mtime
        return f"{seen['phase']}, step {seen['step']} of {seen['total']}, last seen {age:.0f} s ago"


def run_config(directory: Path) -> dict[str, Any]:
    """config.json of a run directory; anything else is a UserError."""
    if not directory.is_dir():
        raise UserError(f"{directory}: no such run directory")
    config = read_json(directory / "config.json")
    if config.get("command") not in MOMENTS:
        raise UserError(f"{directory}: its config.json is not that of a training run")
    return config


def finished(directory: Path, config: dict[str, Any]) -> bool:
    """A run that has ended keeps its checkpoints and no state."""
    ends = list(directory.glob(f"seed-*/{MOMENTS[config['command']]}.safetensors"))
    return bool(ends) and not (directory / STATE).exists()


def command_of(config: dict[str, Any], directory: Path) -> Pretrain | Finetune:
    """The command that began a run, with every option as it was."""
    agent = from_plain(agent_class(config["algorithm"]).Config, config["agent"])
    if config["command"] == "pretrain":
        plain = {
            name: config[name]
            for name in ("task", "algorithm", "dataset", "seed", "seeds", "device", "threads")
        }
        return Pretrain(**plain, agent=agent, offline=from_plain(OfflineOptions, config["offline"]))
    plain = {name: config[name] for name in ("algorithm", "seed", "device", "threads")}
    start = (
        directory if (directory / STATE).exists() else Path(config["start"])
    )  # the run has copies of its own
    return Finetune(start=start, **plain, agent=agent, online=from_plain(OnlineOptions, config["online"]))
