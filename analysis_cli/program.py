"""A program of several commands. Only the module of the command that was typed is imported."""

from __future__ import annotations

import ast
import difflib
import inspect
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

from smac.errors import UserError


@dataclass(frozen=True)
class Program:
    name: str
    description: str
    commands: Mapping[str, str]
    """Command -> `module:class`, in the order of `--help`."""

    def parse(self, arguments: Sequence[str]) -> Any:
        """The command that the arguments name, with its options filled in; UserError if they name none."""
        import tyro  # which, like all that is heavy, `--help` does without

        from analysis_cli.environments import HELP, without_env_import

        arguments = without_env_import(arguments)
        verb, *words = arguments or [""]
        if verb not in self.commands:
            close = difflib.get_close_matches(verb, self.commands, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(f"unknown command {verb!r}: {hint}commands are {', '.join(self.commands)}")
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
            config=parser_config(),
        )

    def main(self) -> None:
        arguments = sys.argv[1:]
        if not arguments or arguments[0] in ("-h", "--help"):
            print(self.help(), file=sys.stdout if arguments else sys.stderr)
            sys.exit(0 if arguments else 2)
        from analysis_cli.console import call

        call(self.name, lambda: self.parse(arguments).run())

    def help(self) -> str:
        """What the program is for and what each command does, by the first paragraph of its class.

        The classes are read and not imported, which would take torch and seconds.
        """
        room = max(map(len, self.commands)) + 4
        width = min(shutil.get_terminal_size().columns, 110)
        lines = [f"usage: {self.name} COMMAND [OPTIONS]", "", self.description, ""]
        for command, place in self.commands.items():
            head = f"  {command}".ljust(room)
            lines += textwrap.wrap(
                _summary(place), width, initial_indent=head, subsequent_indent=" " * room
            )  # fmt: skip
        ends = (
            f"`{self.name} COMMAND --help` explains the options of a command.",
            "Every command takes --env-import MODULE,...: modules that register environments of your own.",
        )
        return "\n".join([*lines, "", *ends])


def parser_config() -> tuple[Any, ...]:
    """How command lines are read: options without the names of the groups that they are in."""
    import tyro

    return tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes


def _summary(place: str) -> str:
    """The first paragraph of the docstring of `module:class`."""
    module, _, name = place.partition(":")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin, encoding="utf-8") as file:
        body = ast.parse(file.read()).body
    kind = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)
    return (ast.get_docstring(kind) or "").partition("\n\n")[0]
