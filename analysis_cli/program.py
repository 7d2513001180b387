"""A program of several commands. Only the module of the command that was typed is imported."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Annotated, Any, Union

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from analysis_cli.console import call
from analysis_cli.environments import HELP, without_env_import

CONFIG = (OmitSubcommandPrefixes, OmitArgPrefixes)


@dataclass(frozen=True)
class Program:
    name: str
    description: str
    commands: Mapping[str, str]
    """Command -> `module:class`, in the order of `--help`."""

    def parse(self, arguments: Sequence[str]) -> Any:
        """The command that the arguments name, with its options filled in."""
        arguments = without_env_import(arguments)
        verb, *words = arguments or [""]
        if verb in self.commands:
            kind = resolve_name(self.commands[verb])
            # a command may read the line first, for what one option makes the defaults of others
            default = kind.prefilled(words) if hasattr(kind, "prefilled") else tyro.MISSING_NONPROP
            more = kind.epilogue() if hasattr(kind, "epilogue") else ""
            about = "\n\n".join(filter(None, (inspect.getdoc(kind), more, HELP)))
            return tyro.cli(
                kind,
                args=words,
                prog=f"{self.name} {verb}",
                default=default,
                description=about,
                config=CONFIG,
            )
        kinds: Any = Union[  # noqa: UP007
            tuple(Annotated[resolve_name(place), subcommand(name)] for name, place in self.commands.items())
        ]
        about = f"{self.description}\n\n{HELP}"
        return tyro.cli(kinds, args=arguments, prog=self.name, description=about, config=CONFIG)

    def main(self) -> None:
        call(self.name, lambda: self.parse(sys.argv[1:]).run())
