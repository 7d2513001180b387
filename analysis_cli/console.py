"""What every command shares: the console, progress bars, and how an error is told."""

from __future__ import annotations

import errno
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from smac.errors import UserError

console = Console(soft_wrap=True, highlight=False, emoji=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


class Terminated(BaseException):
    """SIGTERM came: what is open is closed, and what runs beside is ended, as after an interrupt."""


def call(program: str, command: Callable[[], None]) -> None:
    """Run a command; a mistake of the user's, or a full disk, becomes one line and exit status 2."""
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


def progress_columns() -> tuple[ProgressColumn, ...]:
    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


def progress_bar() -> Progress:
    return Progress(*progress_columns(), console=console, transient=True)


@contextmanager
def progress(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is moved by calling it with (done, total)."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def wrote(path: Path) -> None:
    console.print(f"wrote {path}", markup=False)
