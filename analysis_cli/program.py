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
from functools import cached_property, partial
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any

from smac.errors import UserError


@dataclass(frozen=True)
class Program:
    name: str
    description: str
    own: Mapping[str, str]
    """Command -> `module:class`, in the order of `--help`."""

    @cached_property
    def commands(self) -> dict[str, str]:
        """Our own, and those that other packages name under the entry points `landscape.commands` or
        `smac.commands`, each a dataclass of options with a method `run`."""
        group = entry_points(group=f"{self.name}.commands")
        others = {point.name: point.value for point in group if point.name not in self.own}
        return {**self.own, **others}

    def parse(self, arguments: Sequence[str]) -> Any:
        """The command that the arguments name, with its options filled in; UserError if they name none.

        A command of which `--dry-run` was asked is wrapped, so that its `run` only says what it would do.
        """
        from analysis_cli.config_file import words_of_file
        from analysis_cli.console import speak
        from analysis_cli.dry import DryRun
        from analysis_cli.environments import without_env_import
        from analysis_cli.everywhere import split_shared
        from analysis_cli.reading import print_help, read, subcommands

        arguments = without_env_import(arguments)
        verb, *words = arguments or [""]
        whole = kind = self._kind(verb)
        prog = f"{self.name} {verb}"
        inner = subcommands(kind)
        if inner and words and words[0] in inner:
            prog, kind, words = f"{prog} {words[0]}", inner[words[0]], words[1:]
        dry, verdict = hasattr(kind, "planned"), getattr(kind, "verdict", False)
        former = getattr(kind, "former", None)
        shared, words = split_shared(words, json=verdict, dry_run=dry, former=former)
        if shared.quiet or shared.json:  # else as it is, within a command that runs others
            speak(quiet=shared.quiet, json=shared.json)
        if shared.config is not None:
            words += words_of_file(shared.config, kind, words, prog)
        default = _default(kind, words)
        description = partial(describe, kind, json=verdict, dry_run=dry)
        if shared.help_all or {"-h", "--help"} & {*words}:
            print_help(kind, words, prog, default, description, whole=shared.help_all)
        command = read(kind, words, prog, default, description(0))
        if shared.dry_run:
            return DryRun(command, prog)
        return command if kind is whole else whole(command=command)

    def _kind(self, verb: str) -> Any:
        if verb not in self.commands:
            close = difflib.get_close_matches(verb, self.commands, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(f"unknown command {verb!r}: {hint}commands are {', '.join(self.commands)}")
        return resolve_name(self.commands[verb])

    def main(self) -> None:
        arguments = sys.argv[1:]
        if not arguments or arguments[0] in ("-h", "--help", "--help-all"):
            print(self.help(), file=sys.stdout if arguments else sys.stderr)
            sys.exit(0 if arguments else 2)
        if arguments == ["--version"]:
            print(f"{self.name} {version('smac-landscape')}")
            sys.exit(0)
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
            f"`{self.name} COMMAND --help` explains the options of a command, --help-all also the rare ones.",
            "Every command takes --quiet, --config FILE, and --env-import MODULE,...: modules that register",
            "environments of your own. `--version` prints the version.",
            "",
            "Exit status: 0 done; 1 `landscape doctor` found something wrong; 2 wrong input or a full disk;",
            "130 interrupted; 143 terminated.",
        )
        return "\n".join([*lines, "", *ends])


def _default(kind: Any, words: Sequence[str]) -> Any:
    """A command may read the line first, for what one option makes the defaults of others."""
    import tyro  # which, like all that is heavy, `--help` does without

    return kind.prefilled(words) if hasattr(kind, "prefilled") else tyro.MISSING_NONPROP


def describe(kind: Any, folded: int, *, json: bool, dry_run: bool) -> str:
    """What help says above a command's options; `folded`: how many of them it does not show."""
    from analysis_cli.environments import HELP
    from analysis_cli.everywhere import told

    first, _, more = (inspect.getdoc(kind) or "").partition("\n\n")
    examples = "\n".join(["Examples:", *(f"  {line}" for line in getattr(kind, "examples", ()))])
    epilogue = kind.epilogue() if hasattr(kind, "epilogue") else ""
    shared = told(json=json, dry_run=dry_run, folded=folded)
    return "\n\n".join(filter(None, (first, examples, more, epilogue, shared + "\n" + HELP)))


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
