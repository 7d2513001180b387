"""Commands run as processes of their own, as a user would type them. They end when their parent ends."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from smac.errors import UserError
from smac.files import read_json
from smac.parent import end_with

POLL = 0.5  # seconds between two looks at a run's progress.json
PATIENCE = 5.0  # seconds that a child has to end by itself
Watch = Callable[[str, int, int], None]  # phase, step, total


class Children:
    """Commands that run at the same time, from several threads, and can be stopped together."""

    def __init__(self) -> None:
        self._going: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, words: Sequence[str], directory: Path | None = None, watch: Watch | None = None) -> None:
        """Run `smac ...` or `landscape ...` to its end; what it printed is told if it failed (UserError).

        `watch` is called with the progress of the run in `directory` while it goes.
        """
        process = self._start(words)
        try:
            output = _output(process, directory, watch)
        except BaseException:
            _end(process)
            raise
        finally:
            with self._lock:
                self._going.discard(process)
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
            process = subprocess.Popen(
                [sys.executable, "-m", "analysis_cli.processes", str(os.getpid()), *words],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            self._going.add(process)
        return process


@contextmanager
def side_by_side(workers: int) -> Iterator[tuple[ThreadPoolExecutor, Children]]:
    """Threads, and the commands that they run. If one fails, the others that run are waited for and no other
    is begun; an interrupt or SIGTERM ends them all."""
    children = Children()
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield pool, children
        except BaseException as error:
            if not isinstance(error, Exception):
                children.stop()
            pool.shutdown(cancel_futures=True)
            raise


def _output(process: subprocess.Popen[str], directory: Path | None, watch: Watch | None) -> str:
    """What a process prints, read while it runs: a full pipe would make it wait."""
    while True:
        try:
            return process.communicate(timeout=POLL)[0]
        except subprocess.TimeoutExpired:
            if watch and directory:
                _look(directory, watch)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, and make it if it does not."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _look(directory: Path, watch: Watch) -> None:
    file = directory / "progress.json"
    if file.exists():
        seen: dict[str, Any] = read_json(file)
        watch(seen["phase"], seen["step"], seen["total"])


# ---- in the child --------------------------------------------------------------------------------------


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    import_module(f"analysis_cli.{sys.argv[0]}").main()
