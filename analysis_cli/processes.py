"""Commands run as processes of their own, as a user would type them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from smac.errors import UserError
from smac.files import read_json

POLL = 0.5  # seconds between two looks at a run's progress.json
Watch = Callable[[str, int, int], None]  # phase, step, total


def run_command(words: Sequence[str], directory: Path | None = None, watch: Watch | None = None) -> None:
    """Run `smac ...` or `landscape ...` to its end; what it printed is told only if it failed (UserError).

    `watch` is called with the progress of the run in `directory` while it goes.
    """
    program, *arguments = words
    process = subprocess.Popen(
        [sys.executable, "-m", f"analysis_cli.{program}", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        while process.poll() is None:
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                if watch and directory:
                    _look(directory, watch)
    except BaseException:
        process.terminate()
        raise
    output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise UserError(f"`{shlex.join(words)}` failed:\n{output.strip()}")


def _look(directory: Path, watch: Watch) -> None:
    file = directory / "progress.json"
    if file.exists():
        seen: dict[str, Any] = read_json(file)
        watch(seen["phase"], seen["step"], seen["total"])
