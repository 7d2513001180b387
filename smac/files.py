"""Atomic writes: a reader, or a crash, sees the old file or the new one, never half of one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, TypeVar

from smac.errors import UserError
from smac.locks import LOCK

T = TypeVar("T")


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file next to `path`, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say which
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    return write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> Path:
    return write_text(path, json.dumps(value, indent=2, default=str) + "\n")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable JSON file ({error})") from None


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """A flat dataclass from its JSON: lists become tuples again, unknown names are left out."""
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names})


def remove_temporaries(directory: Path) -> None:
    """Remove what `write_atomically` left in a directory when it was killed; its process must be gone."""
    for path in directory.rglob(".*.tmp*"):
        if _is_temporary(path):
            path.unlink(missing_ok=True)


def _is_temporary(path: Path) -> bool:
    return re.match(r"\..+\.\d+\.tmp", path.name) is not None


def new_directory(path: Path) -> Path:
    """The directory, made if it is missing; refused if it holds anything, since nothing is overwritten."""
    check_free(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def check_free(path: Path) -> None:
    """UserError unless a directory may be written to as a new one.

    A lock or a half-written file, all that a command killed at its beginning leaves, do not count.
    """
    if path.exists() and (not path.is_dir() or any(map(_counts, path.iterdir()))):
        raise UserError(f"{path}: already exists and is not empty; choose another --out")


def _counts(path: Path) -> bool:
    return path.name != LOCK and not _is_temporary(path)


def default_directory(*words: str) -> Path:
    """runs/<words>-<time>: where a result goes if no place is named; with a number if it is taken.

    It is when two commands begin in one second, or the clock has been set back.
    """
    path = Path("runs") / "-".join([*words, datetime.now().strftime("%Y%m%d-%H%M%S")])
    numbered = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(p for p in chain([path], numbered) if not p.exists())
