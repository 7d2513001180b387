"""The command `smac`: data, training, evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from analysis_cli import data
from analysis_cli.console import call, console
from analysis_cli.runs import Resume, Status
from analysis_cli.train import Evaluate, Finetune, Pretrain, finetune_defaults, pretrain_defaults
from smac.agents import OFFLINE, ONLINE, agent_class
from smac.agents.base import AgentConfig
from smac.tasks import get_task, task_names


@dataclass(frozen=True)
class Data:
    """Collect, import, list and describe datasets."""

    command: (
        Annotated[data.Collect, subcommand("collect")]
        | Annotated[data.Import, subcommand("import")]
        | Annotated[data.List, subcommand("list")]
        | Annotated[data.Info, subcommand("info")]
    )

    def run(self) -> None:
        self.command.run()


@dataclass(frozen=True)
class Tasks:
    """List the tasks."""

    def run(self) -> None:
        table = Table("task", "horizon", "random, expert return", "what it is")
        for name in task_names():
            task = get_task(name)
            references = f"{task.random_return:.1f}, {task.expert_return:.1f}"
            table.add_row(name, str(task.horizon), references, task.description)
        console.print(table)


def option(arguments: Sequence[str], name: str, default: str) -> str:
    """The value of one option, before the whole line is parsed: it decides the defaults of the others."""
    for i, argument in enumerate(arguments):
        if argument == name and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(f"{name}="):
            return argument.removeprefix(f"{name}=")
    return default


def _pretrain(arguments: Sequence[str]) -> Any:
    task, algorithm = option(arguments, "--task", ""), option(arguments, "--algorithm", "")
    if task and algorithm:
        agent = pretrain_defaults(task, algorithm)
    else:
        agent = agent_class(algorithm, OFFLINE).Config() if algorithm else AgentConfig()
    return Pretrain(task=tyro.MISSING, algorithm=tyro.MISSING, agent=agent)


def _finetune(arguments: Sequence[str]) -> Any:
    start, algorithm = option(arguments, "--from", ""), option(arguments, "--algorithm", "sac")
    agent = finetune_defaults(Path(start), algorithm) if start else agent_class(algorithm, ONLINE).Config()
    return Finetune(start=tyro.MISSING, agent=agent)


def parse(arguments: Sequence[str]) -> Any:
    """The command that the arguments name, with its options filled in."""
    verb = arguments[0] if arguments else ""
    pretrain = (
        subcommand("pretrain", default=_pretrain(arguments)) if verb == "pretrain" else subcommand("pretrain")
    )
    finetune = (
        subcommand("finetune", default=_finetune(arguments)) if verb == "finetune" else subcommand("finetune")
    )
    commands: Any = (
        Annotated[Data, subcommand("data")]
        | Annotated[Tasks, subcommand("tasks")]
        | Annotated[Pretrain, pretrain]
        | Annotated[Finetune, finetune]
        | Annotated[Resume, subcommand("resume")]
        | Annotated[Status, subcommand("status")]
        | Annotated[Evaluate, subcommand("evaluate")]
    )
    config = (OmitSubcommandPrefixes, OmitArgPrefixes)
    return tyro.cli(commands, args=list(arguments), prog="smac", description=__doc__, config=config)


def main() -> None:
    call("smac", lambda: parse(sys.argv[1:]).run())


if __name__ == "__main__":
    main()
