"""`--config FILE`: options from a TOML file, or from the config.json that a run began with."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tyro

from analysis_cli.everywhere import FORMER
from analysis_cli.reading import decided
from smac.errors import UserError
from smac.files import read_json

FACTS = ("command", "command_line", "versions", "env_import", "pretrained_with")  # of config.json, no options
DECIDING = ("task", "env", "algorithm", "variant", "from", "start")  # what makes the defaults of others


def words_of_file(path: Path, kind: Any, typed: Sequence[str], prog: str) -> list[str]:
    """The file's options as words, without those that the command line has; UserError for an unknown key."""
    contents = read_config(path)
    run_of = contents.get("command") if "command_line" in contents else None
    if run_of is not None:
        if run_of != prog.split()[-1]:
            raise UserError(f"--config {path}: is of `smac {run_of}`, not of `{prog}`")
        contents = {key: value for key, value in contents.items() if key not in FACTS}
        if run_of == "finetune":
            contents.pop("task", None)  # which the checkpoint decides
    given = {_option(key): value for key, value in _flat(contents)}
    names = {word.partition("=")[0] for word in typed}
    deciding = [option for option in given if option[2:] in DECIDING and option not in names]
    first = [word for option in deciding for word in _words(option, given[option])]
    start = kind.prefilled([*typed, *_renamed(first)]) if hasattr(kind, "prefilled") else None
    known = options_of(kind, start)
    words: list[str] = []
    if run_of is not None:  # which also holds what its checkpoint decided
        given = {o: v for o, v in given.items() if o[2:].replace("-", "_") not in decided(kind, typed)}
    for option, value in given.items():
        name = known.get(option)
        if name is None:
            raise UserError(f"--config {path}: {prog} has no option {option[2:].replace('-', '_')!r}")
        if not (names & {other for other, its in known.items() if its == name}):
            words += _words(name, value)
    return words


def read_config(path: Path) -> dict[str, Any]:
    """The contents of a TOML or JSON file."""
    if path.suffix == ".json":
        return dict(read_json(path))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"--config {path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"--config {path}: not a readable TOML file ({error})") from None


def options_of(kind: Any, default: Any = None) -> dict[str, str]:
    """Every word for an option of a command, those of its groups too -> the option.

    Options are known by their fields' names too, as config.json has them; `default` says of which classes
    the groups are. Positional arguments are no options.
    """
    found: dict[str, str] = {}
    hints = get_type_hints(kind, include_extras=True)
    for f in fields(kind):
        notes = get_args(hints[f.name])[1:] if hasattr(hints[f.name], "__metadata__") else ()
        value = getattr(default, f.name, None)
        if value is None and f.default_factory is not MISSING:
            value = f.default_factory()
        if is_dataclass(value) and not isinstance(value, type):
            found |= options_of(type(value), value)
        elif tyro.conf.Positional not in _markers(hints[f.name]):
            said = next((note for note in notes if getattr(note, "name", None)), None)
            aliases = [a for note in notes for a in getattr(note, "aliases", None) or ()]
            name = f"--{said.name}" if said else _option(f.name)
            words = {name, _option(f.name), *aliases}
            words |= {f"--no-{word[2:]}" for word in words}
            found |= dict.fromkeys(words, name)
    return found


def _markers(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def _flat(contents: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and values; tables only group them."""
    for key, value in contents.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield key, value


def _option(key: str) -> str:
    option = f"--{key.replace('_', '-')}"
    return FORMER.get(option, option)


def _renamed(words: Sequence[str]) -> list[str]:
    return ["--from" + word.removeprefix("--start") if word.startswith("--start") else word for word in words]


def _words(option: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, list):
        return [option, *map(str, value)]
    return [f"{option}={value}"]
