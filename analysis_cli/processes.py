"""Commands run as processes of their own, as a user would type them. They end when their parent ends.

The machines of a cluster run them where this one does, in the same directory, which they have to share.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from landscape.backends import Cluster, forgotten
from smac.errors import UserError
from smac.files import read_json
from smac.locks import release
from smac.parent import end_with

POLL = 0.5  # seconds between two looks at a run's progress.json
PATIENCE = 5.0  # seconds that a child has to end by itself
TRAVELS = ("PYTHONPATH", "MINARI_DATASETS_PATH", "SMAC_ENV_IMPORT")  # of the environment's variables
Watch = Callable[[str, int, int], None]  # phase, step, total


class Children:
    """Commands that run at the same time, from several threads, and can be stopped together."""

    def __init__(self) -> None:
        self._going: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, words: Sequence[str], directory: Path | None = None, watch: Watch | None = None) -> None:
        """Run `smac ...` or `landscape ...` to its end; what it printed is told if it failed (UserError).

        A training run that is in `directory` already is continued instead. `watch` is called with the
        progress of the one there while it goes.
        """
        words = continuing(words, directory)
        process = self._start(words)
        try:
            output = _output(process, lambda: _look(directory, watch))
        except BaseException:
            _end(process)
            raise
        finally:
            with self._lock:
                self._going.discard(process)
            if directory is not None:
                release(directory)  # of a child that was ended before it could
        if process.returncode:
            raise UserError(f"`{shlex.join(words)}` failed:\n{output.strip()}")

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        with self._lock:
            self._stopped = True
            going = list(self._going)
        for process in going:
            process.terminate()
        for process in going:
            _end(process)

    def _start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise UserError(f"`{shlex.join(words)}` was not begun: the others were stopped")
            process = _process(words)
            self._going.add(process)
        return process


class Elsewhere:
    """Commands that the workers of a cluster run, as many at a time as it has room for."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._going: set[Future[str | None]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, words: Sequence[str], directory: Path | None = None, watch: Watch | None = None) -> None:
        """As `Children.run`. If the worker ends, another one continues the run that is in `directory`."""
        variables = {name: os.environ[name] for name in TRAVELS if name in os.environ}
        with self._lock:
            if self._stopped:
                raise UserError(f"`{shlex.join(words)}` was not begun: the others were stopped")
            future = self.cluster.submit(
                run_on_worker, words, directory and directory.absolute(), Path.cwd(), variables
            )
            self._going.add(future)
        try:
            while not future.done():
                wait([future], POLL)
                _look(directory, watch)
            failed = future.result()
        except CancelledError:
            raise UserError(f"`{shlex.join(words)}` was stopped") from None
        finally:
            future.cancel()
            with self._lock:
                self._going.discard(future)
        if failed:
            raise UserError(failed)

    def stop(self) -> None:
        """Forget what runs, which its workers then end, and start nothing more."""
        with self._lock:
            self._stopped = True
            going = list(self._going)
        for future in going:
            future.cancel()


Runner = Children | Elsewhere


@contextmanager
def side_by_side(workers: int, runner: Runner | None = None) -> Iterator[tuple[ThreadPoolExecutor, Runner]]:
    """Threads, and what runs their commands, by default here. If one fails, the others that run are waited
    for and no other is begun; an interrupt or SIGTERM ends them all."""
    runner = runner or Children()
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield pool, runner
        except BaseException as error:
            if not isinstance(error, Exception):
                runner.stop()
            pool.shutdown(cancel_futures=True)
            raise


def continuing(words: Sequence[str], directory: Path | None) -> Sequence[str]:
    """The words, or those that continue the training run which they had begun in its directory."""
    begun = directory is not None and (directory / "config.json").exists()
    return ["smac", "resume", str(directory)] if begun else words


def run_on_worker(
    words: Sequence[str], directory: Path | None, where: Path, variables: Mapping[str, str]
) -> str | None:
    """Run a command on a worker, in the directory of the caller and with some of its variables.

    Returns what is wrong. The command is ended if nobody waits for it any more.
    """
    if not where.is_dir():
        return (
            f"{socket.gethostname()} has no directory {where}: the machines of the cluster have to share it"
        )
    words = continuing(words, directory)
    process = _process(words, where, variables)

    def look() -> None:
        if forgotten():
            process.terminate()

    try:
        output = _output(process, look)
    finally:
        _end(process)
    return f"`{shlex.join(words)}` failed:\n{output.strip()}" if process.returncode else None


def _process(
    words: Sequence[str], where: Path | None = None, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "analysis_cli.processes", str(os.getpid()), *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=where,
        env=os.environ | (variables or {}) | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def _output(process: subprocess.Popen[str], look: Callable[[], None]) -> str:
    """What a process prints, read while it runs, as a full pipe would make it wait; in between, `look` is
    called."""
    while True:
        try:
            return process.communicate(timeout=POLL)[0]
        except subprocess.TimeoutExpired:
            look()


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, and make it if it does not."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _look(directory: Path | None, watch: Watch | None) -> None:
    file = directory and directory / "progress.json"
    if file and watch and file.exists():
        seen: dict[str, Any] = read_json(file)
        watch(seen["phase"], seen["step"], seen["total"])


# ---- in the child --------------------------------------------------------------------------------------


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    import_module(f"analysis_cli.{sys.argv[0]}").main()
