"""One writer per directory: a lock file that names its owner, and ends with the owner.

The file says which process on which host writes. That of a process which is gone is taken over; whether a
process of another host is gone cannot be known here. A process may take again what it holds.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from smac.errors import UserError

LOCK = ".lock"


@dataclass(frozen=True)
class Owner:
    pid: int
    host: str
    started: str | None
    """When the process began, in the system's own words: numbers of processes are used again."""

    @classmethod
    def this(cls) -> Self:
        return cls(os.getpid(), socket.gethostname(), process_start(os.getpid()))

    @property
    def here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def gone(self) -> bool:
        """Whether it is known that the process has ended."""
        return self.here and not (alive(self.pid) and process_start(self.pid) == self.started)


def take(directory: Path) -> None:
    """Become the one who writes in `directory`; UserError while another process does."""
    with _opened(directory / LOCK) as file:
        owner, own = _owner(file), Owner.this()
        if owner and owner != own and not owner.gone:
            raise UserError(_refusal(directory, owner))
        file.seek(0)
        file.truncate()
        json.dump(asdict(own), file)


def release(directory: Path) -> None:
    """Let others write; nothing happens if the lock is of another process that has not ended."""
    if not (directory / LOCK).exists():
        return
    with _opened(directory / LOCK) as file:
        owner = _owner(file)
        if owner is None or owner == Owner.this() or owner.gone:
            (directory / LOCK).unlink()


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Inside, no other process may write in `directory`."""
    take(directory)
    try:
        yield
    finally:
        release(directory)


def alive(pid: int) -> bool:
    """Whether a process of this host runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return _stat(pid)[:1] not in (["Z"], ["X"])


def process_start(pid: int) -> str | None:
    """Clock ticks from boot to the start of a process; None where the system has no /proc."""
    stat = _stat(pid)
    return stat[19] if stat else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, see proc(5), the state first."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """The lock file, while no other process reads or changes it."""
    while True:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                yield file
                return  # otherwise it was released between open and flock


def _owner(file: IO[str]) -> Owner | None:
    file.seek(0)
    text = file.read()
    try:
        return Owner(**json.loads(text)) if text else None
    except (TypeError, ValueError):
        return None  # cut off while it was written: its owner is gone


def _refusal(directory: Path, owner: Owner) -> str:
    if owner.here:
        return f"{directory}: process {owner.pid} is writing here; wait until it has ended, or stop it first"
    return (
        f"{directory}: process {owner.pid} on {owner.host} is writing here; if it has ended, remove "
        f"{directory / LOCK}"
    )
