"""The command `smac`: data, training, evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from analysis_cli import data
from analysis_cli.console import call
from analysis_cli.render import Render, RenderData
from analysis_cli.runs import Resume, Status
from analysis_cli.tasks import Tasks
from analysis_cli.train import Evaluate, Finetune, Pretrain, Train, defaults, finetune_defaults
from analysis_cli.transfer import Transfer
from smac.agents import OFFLINE, ONLINE, agent_class


@dataclass(frozen=True)
class Data:
    """Collect, import, mix, list, describe and draw datasets."""

    command: (
        Annotated[data.Collect, subcommand("collect")]
        | Annotated[data.Import, subcommand("import")]
        | Annotated[data.Mix, subcommand("mix")]
        | Annotated[data.Subset, subcommand("subset")]
        | Annotated[data.List, subcommand("list")]
        | Annotated[data.Info, subcommand("info")]
        | Annotated[RenderData, subcommand("render")]
    )

    def run(self) -> None:
        self.command.run()


def option(arguments: Sequence[str], default: str, *names: str) -> str:
    """The value of one option, before the whole line is parsed: it decides the defaults of the others."""
    for i, argument in enumerate(arguments):
        for name in names:
            if argument == name and i + 1 < len(arguments):
                return arguments[i + 1]
            if argument.startswith(f"{name}="):
                return argument.removeprefix(f"{name}=")
    return default


def _pretrain(arguments: Sequence[str]) -> Any:
    task, algorithm = option(arguments, "", "--task", "--env"), option(arguments, "", "--algorithm")
    agent = defaults(task, algorithm, OFFLINE)
    return Pretrain(task=tyro.MISSING, algorithm=tyro.MISSING, agent=agent)


def _train(arguments: Sequence[str]) -> Any:
    task, algorithm = option(arguments, "", "--task", "--env"), option(arguments, "sac", "--algorithm")
    return Train(task=tyro.MISSING, agent=defaults(task, algorithm, ONLINE))


def _finetune(arguments: Sequence[str]) -> Any:
    start, algorithm = option(arguments, "", "--from"), option(arguments, "sac", "--algorithm")
    agent = finetune_defaults(Path(start), algorithm) if start else agent_class(algorithm, ONLINE).Config()
    return Finetune(start=tyro.MISSING, agent=agent)


def parse(arguments: Sequence[str]) -> Any:
    """The command that the arguments name, with its options filled in."""
    verb = arguments[0] if arguments else ""
    # only the verb that was given looks at the line for its defaults
    pretrain, finetune, train = (
        subcommand(name, default=read(arguments)) if verb == name else subcommand(name)
        for name, read in (("pretrain", _pretrain), ("finetune", _finetune), ("train", _train))
    )
    commands: Any = (
        Annotated[Data, subcommand("data")]
        | Annotated[Tasks, subcommand("tasks")]
        | Annotated[Pretrain, pretrain]
        | Annotated[Finetune, finetune]
        | Annotated[Train, train]
        | Annotated[Transfer, subcommand("transfer")]
        | Annotated[Resume, subcommand("resume")]
        | Annotated[Status, subcommand("status")]
        | Annotated[Evaluate, subcommand("evaluate")]
        | Annotated[Render, subcommand("render")]
    )
    config = (OmitSubcommandPrefixes, OmitArgPrefixes)
    return tyro.cli(commands, args=list(arguments), prog="smac", description=__doc__, config=config)


def main() -> None:
    call("smac", lambda: parse(sys.argv[1:]).run())


if __name__ == "__main__":
    main()
