"""How tyro reads a command: options without prefixes, `~` in paths, rare options folded in `--help`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import tyro
from tyro import _settings  # NO_COLOR has no public switch
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructTypeInfo,
)

from smac.agents.base import AgentConfig, CriticConfig
from smac.errors import UserError

T = TypeVar("T")
CONFIG = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes)


@dataclass
class Folding:
    """Which options help shows; `hidden` collects the others."""

    shown: Collection[str]
    hidden: set[str] = field(default_factory=set)


def decided(kind: Any, words: Sequence[str]) -> tuple[str, ...]:
    """Options that something else decides, such as a checkpoint, so the command does not offer them."""
    return kind.decided(words) if hasattr(kind, "decided") else ()


def read(kind: type[T], words: Sequence[str], prog: str, default: Any, description: str | None = None) -> T:
    """A command with its options filled in; tyro prints mistakes and exits with status 2."""
    absent = decided(kind, words)
    _refuse(absent, words, prog)
    with _colours():
        return tyro.cli(
            kind,
            args=list(words),
            prog=prog,
            default=default,
            description=description,
            config=CONFIG,
            registry=_registry(None, absent),
        )


def print_help(
    kind: type, words: Sequence[str], prog: str, default: Any, describe: Callable[[int], str], *, whole: bool
) -> None:
    """The command's help: all options, or those that it names in `often`; `describe(folded)` opens it."""
    folding = None if whole else Folding(getattr(kind, "often", ()))
    registry, folded = _registry(folding, decided(kind, words)), 0
    if folding is not None:
        tyro.extras.get_parser(kind, prog=prog, default=default, config=CONFIG, registry=registry)
        folded = len(folding.hidden)
    with _colours():
        tyro.cli(
            kind, args=["--help"], prog=prog, default=default, description=describe(folded), config=CONFIG,
            registry=registry,
        )  # fmt: skip


def subcommands(kind: type) -> dict[str, type]:
    """Name -> class of a command that has commands of its own; empty for others."""
    if "command" not in (f.name for f in fields(kind)):
        return {}
    choices = get_args(get_type_hints(kind, include_extras=True)["command"])
    return {get_args(choice)[1].name: get_args(choice)[0] for choice in choices}


def _registry(folding: Folding | None, absent: Collection[str]) -> ConstructorRegistry:
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def home(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
        """`~` is the home directory, also where the shell leaves it, as in --out=~/x."""
        if info.type is not Path:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="PATH",
            instance_from_str=lambda words: Path(os.path.expanduser(words[0])),
            is_instance=lambda value: isinstance(value, Path),
            str_from_instance=lambda path: [str(path)],
        )

    inside = False

    @registry.struct_rule
    def fold(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal inside
        if inside or not is_dataclass(info.type):
            return None
        inside = True
        try:
            found = ConstructorRegistry.get_struct_spec(info)
        finally:
            inside = False
        if not isinstance(found, StructConstructorSpec):
            return None
        shown = {*folding.shown, *_of_algorithm(info.type)} if folding else set()
        kept = []
        for option in found.fields:
            option = replace(option, helptext=partial(_one_line, option.helptext))
            rare = folding is not None and (
                option.name not in shown
                and option.default not in (tyro.MISSING, tyro.MISSING_NONPROP)
                and not is_dataclass(option.default)
                and tyro.conf.Positional not in get_args(option.type)
            )
            if folding is not None and rare and option.name not in absent:
                folding.hidden.add(option.name)
            if rare or option.name in absent:
                hidden: Any = Annotated[option.type, tyro.conf.Suppress]
                option = replace(option, type=hidden)
            kept.append(option)
        return replace(found, fields=tuple(kept))

    return registry


def _one_line(text: str | Callable[[], str | None] | None) -> str | None:
    """A help text without the line breaks of its docstring."""
    text = text() if callable(text) else text
    return None if text is None else " ".join(text.split())


def _refuse(absent: Collection[str], words: Sequence[str], prog: str) -> None:
    """UserError if the words name an option that the command does not offer."""
    for word in words:
        option = word.partition("=")[0].replace("--no-", "--")
        if option.startswith("--") and option[2:].replace("-", "_") in absent:
            raise UserError(f"{option}: `{prog}` has none, the checkpoint decides it; leave it out")


def _of_algorithm(kind: type) -> set[str]:
    """The options that an algorithm adds to those that all have; empty for other classes."""
    if not issubclass(kind, AgentConfig):
        return set()
    return {f.name for f in fields(kind)} - {f.name for f in fields(CriticConfig)}


@contextmanager
def _colours() -> Iterator[None]:
    """Without colours where NO_COLOR is set and not empty (https://no-color.org)."""
    options = _settings._experimental_options
    before = options["ansi_codes"]
    options["ansi_codes"] = before and not os.environ.get("NO_COLOR")
    try:
        yield
    finally:
        options["ansi_codes"] = before
