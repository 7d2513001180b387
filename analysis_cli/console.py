"""What every command shares: the console, progress bars, and how an error is told."""

from __future__ import annotations

import errno
import json
import math
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from smac.errors import UserError

console = Console(soft_wrap=True, highlight=False, emoji=False)
LINE_EVERY = 60.0  # seconds between two plain lines where there is no terminal for a bar
errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


class Terminated(BaseException):
    """SIGTERM came: what is open is closed, and child processes are ended, as after an interrupt."""


def call(program: str, command: Callable[[], None]) -> None:
    """Run a command; a mistake of the user's, or a full disk, becomes one line and exit status 2."""
    speak(quiet=False, json=False)
    try:
        with _heeding_sigterm():
            command()
    except (UserError, OSError) as error:
        told = _of_system(error) if isinstance(error, OSError) else str(error)
        errors.print(f"{program}: {told}", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print(f"{program}: interrupted", markup=False)
        sys.exit(130)
    except Terminated:
        errors.print(f"{program}: terminated", markup=False)
        sys.exit(143)


def _of_system(error: OSError) -> str:
    """What the system refused: where, what, and of a full disk what to do."""
    if error.strerror is None:
        return str(error)
    where = f"{error.filename}: " if error.filename is not None else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    then = "; free some space and give the command again, what was written is kept" if full else ""
    return f"{where}{error.strerror}{then}"


@contextmanager
def _heeding_sigterm() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated in the main thread, as SIGINT raises KeyboardInterrupt."""

    def terminated(*_: Any) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


_typed: ContextVar[Sequence[str] | None] = ContextVar("typed", default=None)


def command_line(program: str) -> str:
    """The command as it was typed, or as it would have been if it runs within another."""
    return shlex.join(_typed.get() or [program, *sys.argv[1:]])


@contextmanager
def as_typed(words: Sequence[str]) -> Iterator[None]:
    """Inside, `command_line` is these words: for a command that runs others in its own process."""
    token = _typed.set(words)
    try:
        yield
    finally:
        _typed.reset(token)


def speak(*, quiet: bool, json: bool) -> None:
    """What the console says from now on: all, errors only (`--quiet`), or one line of JSON (`--json`)."""
    global _as_json
    _as_json = json
    console.quiet = quiet or json


_as_json = False


def tell(numbers: Mapping[str, Any]) -> None:
    """One line of JSON on stdout if `--json` was given; what is not finite is null."""
    if _as_json:
        sys.stdout.write(json.dumps(_finite(numbers), allow_nan=False, default=str) + "\n")
        sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Bars(Progress):
    """Progress bars with the time that is left; without a terminal one plain line per minute instead."""

    def __init__(self, *, transient: bool = False) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        super().__init__(*columns, console=console, transient=transient)
        self._said = time.monotonic()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        if changes.get("completed", math.inf) < self._tasks[task_id].completed:
            self.reset(task_id)  # another phase on the same line: its time is its own
        super().update(task_id, **changes)
        if not self.console.is_terminal and time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            if not self.console.quiet:
                errors.print(plain_line(self._tasks[task_id]), markup=False)


def plain_line(task: Task) -> str:
    """A bar in words: `episodes: 40 of 200, about 12 min left`."""
    total = "" if task.total is None else f" of {task.total:.0f}"
    left = "" if task.time_remaining is None else f", about {duration(task.time_remaining)} left"
    return f"{task.description}: {task.completed:.0f}{total}{left}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def progress_bar() -> Progress:
    return Bars(transient=True)


@contextmanager
def progress(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is moved by calling it with (done, total)."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def wrote(path: Path) -> None:
    console.print(f"wrote {path}", markup=False)
