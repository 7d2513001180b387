"""Which files are the lines of a method: patterns paired and seeded, as `compare` takes them.

A method is said by one pattern, of directories or of files, or by two, where its lines start and where they
end. Files are paired where the stars of both patterns match the same text:

    "runs/mine/*"                        runs of `smac finetune`, results of `interpolate`, matrices
    "theirs/seed*/{bc,sac}.zip"          braces: where a line starts, where it ends
    from = "theirs/bc.zip"               without a star, one file for every line
    to = "theirs/sac-seed*.zip"

The training seed of a line is what the description next to the file of its end says; else the last number
within what the stars matched that is another one for every line; else 0, 1, 2, ... in the order of names.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from glob import glob
from pathlib import Path
from typing import Any, Literal, get_args

from smac.checkpoint import load_checkpoint
from smac.envs.units import Units
from smac.errors import UserError
from smac.policies import PolicyCheckpoint, load_policy
from smac.policies.acting import is_ours
from smac.policies.python import is_reference
from smac.policies.stated import read_stated

Side = Literal["from", "to"]
Seeded = tuple[str, ...]  # what the stars of a pattern matched


@dataclass(frozen=True)
class Said:
    """A method as it was said: where its lines are, and what the files of its policies do not say."""

    name: str
    runs: tuple[str, ...] = ()
    """Patterns of directories, or of policies with the braces {from,to}."""
    start: str | None = None
    end: str | None = None
    task: str | None = None
    action_units: Units | None = None
    normaliser: str | None = None
    """A VecNormalize's file, or none."""
    algorithm: tuple[str, ...] = ()
    """Of both ends, or of the start and the end."""
    step: tuple[int, ...] = ()
    """Of the start and the end."""
    seeds: tuple[int, ...] = ()
    """Of the lines, in the order of their names."""


@dataclass(frozen=True)
class PolicyLine:
    """Two policies of one training seed."""

    seed: int
    start: PolicyCheckpoint
    end: PolicyCheckpoint


@dataclass(frozen=True)
class Lines:
    """What a method turned out to be: directories for a report, or policies."""

    name: str
    directories: tuple[Path, ...] = ()
    policies: tuple[PolicyLine, ...] = ()


KEYS = {"from": "start", "to": "end"} | {
    f.name: f.name for f in fields(Said) if f.name not in ("name", "start", "end")
}


def read_words(words: Sequence[str]) -> list[Said]:
    """Methods from words `NAME=PATTERN` and `NAME:KEY=VALUE`; UserError names one that is neither."""
    tables: dict[str, dict[str, Any]] = {}
    for word in words:
        left, equals, value = word.partition("=")
        name, colon, key = left.partition(":")
        if not (name and equals and value) or (colon and not key):
            raise UserError(
                f"{word!r}: a method is said as NAME=PATTERN, or NAME:from=PATTERN and NAME:to=PATTERN"
            )
        table = tables.setdefault(name, {})
        if not colon:
            table.setdefault("runs", []).append(value)
        elif key in table:
            raise UserError(f"{word!r}: {name}:{key} is said twice")
        else:
            table[key] = value.split(",") if key in ("algorithm", "step", "seeds") else value
    return [_said(name, table, f"{name}:") for name, table in tables.items()]


def read_toml(path: Path) -> list[Said]:
    """Methods from a file: a table for each, and above them what holds for all; paths are from its folder."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable TOML file ({error})") from None
    common = {name: value for name, value in values.items() if not isinstance(value, dict)}
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    said = [_said(name, common | table, f"{path}: [{name}] ") for name, table in tables.items()]
    return [_from_folder(one, path.parent) for one in said]


def read_mapping(methods: Mapping[str, Any]) -> list[Said]:
    """Methods from Python: a pattern or several, or a mapping with the keys of a table, for each."""
    return [
        _said(name, given if isinstance(given, Mapping) else {"runs": given}, f"{name}: ")
        for name, given in methods.items()
    ]


def _said(name: str, table: Mapping[str, Any], place: str) -> Said:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in KEYS:
            raise UserError(f"{place}{key}: there is no such key; known are {', '.join(KEYS)}")
        values[KEYS[key]] = _value(KEYS[key], value, f"{place}{key}")
    said = Said(name, **values)
    if bool(said.runs) == bool(said.start or said.end) or (said.start is None) != (said.end is None):
        raise UserError(
            f"{place.rstrip(': ')}: name its runs by one pattern, or its policies by both from and to"
        )
    return said


def _value(key: str, value: Any, place: str) -> Any:
    """A value as its field holds it."""
    if key in ("runs", "algorithm", "step", "seeds"):
        many: list[Any] = [value] if isinstance(value, str | int | os.PathLike) else list(value)
        if key in ("runs", "algorithm"):
            return tuple(os.fspath(one) if isinstance(one, os.PathLike) else str(one) for one in many)
        if not all(isinstance(one, int) or str(one).isdigit() for one in many):
            raise UserError(f"{place}: takes whole numbers, got {value!r}")
        return tuple(int(one) for one in many)
    text = os.fspath(value)
    if key == "action_units" and text not in get_args(Units):
        raise UserError(f"{place}: is env or unit, got {text!r}")
    return text


def _from_folder(said: Said, folder: Path) -> Said:
    def there(pattern: str) -> str:
        return str(folder / pattern)

    return replace(
        said,
        runs=tuple(map(there, said.runs)),
        start=said.start and there(said.start),
        end=said.end and there(said.end),
        normaliser=said.normaliser if said.normaliser in (None, "none") else there(said.normaliser),
    )


def defaulted(said: Said, how: Mapping[str, Any]) -> Said:
    """With what is said of all methods where nothing is said of this one; runs say such things themselves."""
    if said.start is None and not _halves(said.runs[0]):
        return said
    given = {name: getattr(said, name) or how[name] for name in ("task", "action_units", "normaliser")}
    return replace(said, **given)


def spoken(said: Said) -> dict[str, Any]:
    """A method as the mapping that says it."""
    values = {key: getattr(said, name) for key, name in KEYS.items()}
    return {key: list(one) if isinstance(one, tuple) else one for key, one in values.items() if one}


def find_lines(said: Said) -> Lines:
    """The lines of a method. Its policies are read, so one that cannot be is refused before any is played."""
    if said.start is not None and said.end is not None:
        return _of_policies(said, said.start, said.end)
    if len(said.runs) == 1 and (halves := _halves(said.runs[0])):
        return _of_policies(said, *halves)
    return Lines(said.name, directories=_directories(said))


def _directories(said: Said) -> tuple[Path, ...]:
    found: list[Path] = []
    for pattern in said.runs:
        if _halves(pattern):
            raise UserError(f"{said.name}: {pattern}: of policies, a method has one pattern with braces")
        matched = sorted(map(Path, glob(pattern)), key=_natural)
        folders = [path for path in matched if path.is_dir()]
        if not matched:
            raise UserError(f"{said.name}: nothing is called {pattern}")
        if not folders:
            raise UserError(
                f"{said.name}: {matched[0]} is a file, and a line is between two policies: name both with "
                f'braces, such as {said.name}="theirs/seed*/{{offline,online}}.zip", or by '
                f"{said.name}:from=PATTERN {said.name}:to={pattern}"
            )
        found += folders
    told = [key for key, name in KEYS.items() if key not in ("runs", "from", "to") and getattr(said, name)]
    if told:
        raise UserError(f"{said.name}: {told[0]} is said of policies by from and to; runs say it themselves")
    return tuple(found)


def _of_policies(said: Said, start: str, end: str) -> Lines:
    starts, ends = _matches(said, start), _matches(said, end)
    fixed = {side: of[()] for side, of in (("from", starts), ("to", ends)) if () in of}
    if "to" in fixed and "from" not in fixed:
        raise UserError(f"{said.name}: {end} has no star, so that its lines would all have one end")
    if len(said.algorithm) > 2 or len(said.step) not in (0, 2):
        raise UserError(
            f"{said.name}: algorithm and step are said of the start and the end: NAME:step=0,1000"
        )
    keys = [key for key in ends if "from" in fixed or key in starts]
    if not keys:
        raise UserError(
            f"{said.name}: no two files of {start} and {end} are a pair, which they are where the stars "
            f"match the same text ({_text(next(iter(starts)))} and {_text(next(iter(ends)))})"
        )
    single = [ends[key] for key in ends if key not in keys]
    single += [starts[key] for key in starts if key not in keys and not fixed]
    if single:
        raise UserError(
            f"{said.name}: {single[0]} has no other end, so it has no line; let the pattern leave it out"
        )
    seeds = _seeds(said, keys, [ends[key] for key in keys])
    lines = tuple(
        PolicyLine(
            seed,
            _policy(fixed.get("from") or starts[key], said, 0, seed),
            _policy(ends[key], said, 1, seed),
        )
        for key, seed in zip(keys, seeds, strict=True)
    )
    return Lines(said.name, policies=lines)


def _policy(path: Path, said: Said, end: int, seed: int) -> PolicyCheckpoint:
    """A policy as its file describes it, with what was said of its method where it is of another library."""
    policy = load_policy(path, said.task, said.action_units, said.normaliser)
    own = policy.description
    if own.moment != "policy":
        if end and own.seed != seed:
            raise UserError(f"{path}: is of seed {own.seed}, not {seed}")
        return policy
    beside = read_stated(path)
    told: dict[str, Any] = {
        "algorithm": said.algorithm[-1 if end else 0] if said.algorithm else None,
        "step": said.step[end] if said.step else None,
        "seed": seed if said.seeds and end else None,
    }
    for key, value in told.items():
        if value is not None and getattr(beside, key) not in (None, value):
            raise UserError(
                f"{beside.path}: says {key} {getattr(beside, key)}, not {value} as {said.name}:{key}"
            )
    about = replace(
        own,
        algorithm=beside.algorithm or told["algorithm"] or said.name,
        step=own.step if told["step"] is None else told["step"],
        seed=seed if end or beside.seed is None else beside.seed,
    )
    return replace(policy, description=about)


def _seeds(said: Said, keys: Sequence[Seeded], files: Sequence[Path]) -> list[int]:
    """The training seed of every line; see the top of this file."""
    if said.seeds:
        if len(said.seeds) != len(keys):
            raise UserError(
                f"{said.name}: {len(said.seeds)} seeds are said of {len(keys)} lines: {_listed(files)}"
            )
        seeds = list(said.seeds)
    else:
        stated = [_own_seed(path) for path in files]
        by_name = _numbers(keys)
        seeds = [by_name[k] if seed is None else seed for k, seed in enumerate(stated)]
    for k, seed in enumerate(seeds):
        if seed in seeds[:k]:
            raise UserError(
                f"{said.name}: {files[seeds.index(seed)]} and {files[k]} are both of seed {seed}; say the "
                f"seeds with {said.name}:seeds=0,1,..., in the order of the files' names"
            )
    return seeds


def _own_seed(path: Path) -> int | None:
    """What a checkpoint of ours, or the description next to another file, says."""
    return load_checkpoint(path).description.seed if is_ours(path) else read_stated(path).seed


def _numbers(keys: Sequence[Seeded]) -> list[int]:
    """A number for each, which is that of its name if one tells them all apart."""
    found = [[int(digits) for digits in re.findall(r"\d+", " ".join(key))] for key in keys]
    for place in range(1, 1 + min(map(len, found))):
        last = [numbers[-place] for numbers in found]
        if len(set(last)) == len(keys):
            return last
    return list(range(len(keys)))


def _halves(pattern: str) -> tuple[str, str] | None:
    """A pattern with {from,to} as two; None without braces."""
    found = re.fullmatch(r"([^{}]*)\{([^{},]*),([^{},]*)\}([^{}]*)", pattern)
    if found is None:
        if "{" in pattern:
            raise UserError(f"{pattern}: braces hold two words, {{from,to}}, and are there once")
        return None
    before, start, end, after = found.groups()
    return before + start + after, before + end + after


def _matches(said: Said, pattern: str) -> dict[Seeded, Path]:
    """Files by what the stars matched, in the order of their names."""
    if is_reference(Path(pattern)):
        return {(): Path(pattern)}
    if "**" in pattern:
        raise UserError(f"{said.name}: {pattern}: ** is not read; write a * for each folder")
    expression = re.compile("".join(_piece(part) for part in re.split(r"(\*|\?|\[[^\]]+\])", pattern)))
    found: dict[Seeded, Path] = {}
    for path in sorted(map(Path, glob(pattern)), key=_natural):
        matched = expression.fullmatch(str(path)) or expression.fullmatch(f"./{path}")
        if matched and not path.is_dir():
            found[matched.groups()] = path
    if not found:
        raise UserError(f"{said.name}: no file is called {pattern}")
    return found


def _piece(part: str) -> str:
    if part == "*":
        return "([^/]*)"
    if part == "?":
        return "([^/])"
    return f"({part.replace('[!', '[^', 1)})" if re.fullmatch(r"\[[^\]]+\]", part) else re.escape(part)


def _natural(path: Path) -> list[tuple[int, str]]:
    """In the order of their numbers: seed2 before seed10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _text(key: Seeded) -> str:
    return " ".join(map(repr, key)) or "no star"


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(map(str, files[:3])) + (", ..." if len(files) > 3 else "")
