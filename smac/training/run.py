"""A run directory: config.json, metrics.csv, evaluations.npz, progress.json, a checkpoint folder per seed.

While a run is going it also holds its state, from which a killed run continues bit for bit.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from smac.errors import UserError
from smac.files import new_directory, read_json, remove_temporaries, write_json, write_text
from smac.locks import release, take
from smac.training.episodes import EVALUATIONS, Evaluations, read_evaluations
from smac.training.state import restore, state_of
from smac.trees import read_tree, write_tree

METRICS, STATE = "metrics.csv", "state.safetensors"
FINAL_CHECKPOINT = {
    "pretrain": "offline",
    "finetune": "online",
    "train": "online",
}  # what each command ends with

PROGRESS_INTERVAL = 0.5  # seconds between two writes of progress.json
Watch = Callable[[str, int, int], None]  # phase, step, total


class Run:
    """Writes a run directory. metrics.csv holds no clock times: the same command gives the same file.

    It is the only one that writes there, until it has ended, its `with` is left, or its process is gone.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        take(new_directory(directory))
        remove_temporaries(directory)
        self._begin(directory)
        write_json(directory / "config.json", config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.at_exit.close()
        finally:
            release(self.directory)

    def _begin(self, directory: Path) -> None:
        self.directory = directory
        self.rows: list[dict[str, str]] = []
        self.columns = ["phase", "step", "seed"]
        self.latest: dict[int, dict[str, float]] = {}
        self.evaluations: Evaluations | None = None
        self.saved: dict[str, Any] | None = None
        self.watch: Watch | None = None
        self.at_exit = ExitStack()  # what is closed when its `with` is left, however
        self._shown = 0.0

    @classmethod
    def reopen(cls, directory: Path) -> Self:
        """A run that was interrupted, as of its last saved state; what it wrote after that is forgotten."""
        take(directory)
        if _has_ended(directory):
            release(directory)
            raise UserError(f"{directory}: has ended meanwhile; there is nothing to resume")
        remove_temporaries(directory)
        run = cls.__new__(cls)
        run._begin(directory)
        if (directory / STATE).exists():
            run.saved = saved = read_tree(directory / STATE)
            run.columns, run.latest = saved["columns"], saved["latest"]
            rows = read_metrics(directory)[: saved["rows"]] if saved["rows"] else []
            run.rows = [{name: cell for name, cell in row.items() if cell} for row in rows]
        run._write_rows()
        run._forget_evaluations_after(run.saved.get("evaluations", 0) if run.saved else 0)
        return run

    def save(self, phase: str, step: int, parts: Mapping[str, Any]) -> None:
        """The state after `step`: the log so far, and all that changes in the parts while they train."""
        tree = {
            "phase": phase,
            "step": step,
            "rows": len(self.rows),
            "columns": self.columns,
            "latest": self.latest,
            "evaluations": 0 if self.evaluations is None else len(self.evaluations.steps),
            "parts": {name: part.state() if hasattr(part, "state") else state_of(part)
                      for name, part in parts.items()},
        }  # fmt: skip
        write_tree(self.directory / STATE, tree)

    def check_state(self, parts: Mapping[str, Any]) -> None:
        """UserError if something in the parts changes and cannot be saved: at once, not at the first save."""
        for part in parts.values():
            if not hasattr(part, "state"):
                state_of(part)

    def restore(self, phase: str, parts: Mapping[str, Any]) -> int:
        """Put the saved state back into the parts of `phase`; returns the step it was taken after, or 0."""
        if self.saved is None or self.saved["phase"] != phase:
            return 0
        for name, part in parts.items():
            state = self.saved["parts"][name]
            part.restore(state) if hasattr(part, "restore") else restore(part, state)
        return self.saved["step"]

    def forget_state(self) -> None:
        """A finished run needs no state, and others may write there."""
        (self.directory / STATE).unlink(missing_ok=True)
        shutil.rmtree(self.replay_folder, ignore_errors=True)
        release(self.directory)

    @property
    def replay_folder(self) -> Path:
        return self.directory / "replay"

    def log(self, phase: str, step: int, seeds: Sequence[int], metrics: Mapping[str, np.ndarray]) -> None:
        """One row per seed; metrics are [seeds], NaN leaves the cell empty."""
        new = [name for name in metrics if name not in self.columns]
        self.columns += new
        written = len(self.rows)
        for k, seed in enumerate(seeds):
            values = {name: float(value[k]) for name, value in metrics.items() if math.isfinite(value[k])}
            self.latest.setdefault(seed, {}).update(values)
            row = {"phase": phase, "step": str(step), "seed": str(seed)}
            self.rows.append(row | {name: f"{value:.9g}" for name, value in values.items()})
        if new or not written:
            self._write_rows()
        else:
            with (self.directory / METRICS).open("a", encoding="utf-8") as file:
                file.write(self._as_csv(self.rows[written:], header=False))

    def keep(self, evaluation: Evaluations) -> None:
        """Every episode of one more evaluation."""
        before = self.evaluations
        self.evaluations = before.followed_by(evaluation) if before else evaluation
        self.evaluations.write(self.directory)

    def _forget_evaluations_after(self, count: int) -> None:
        found = read_evaluations(self.directory) if count else None
        if found is None:
            (self.directory / EVALUATIONS).unlink(missing_ok=True)
        else:
            self.evaluations = found.first(count)
            self.evaluations.write(self.directory)

    def _write_rows(self) -> None:
        write_text(self.directory / METRICS, self._as_csv(self.rows, header=True))

    def _as_csv(self, rows: list[dict[str, str]], *, header: bool) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def progress(self, phase: str, step: int, total: int) -> None:
        """Tell whoever watches how far the run is: twice a second at most, and at the end of a phase."""
        now = time.monotonic()
        if step >= total or now - self._shown > PROGRESS_INTERVAL:
            self._shown = now
            write_json(self.directory / "progress.json", {"phase": phase, "step": step, "total": total})
            if self.watch:
                self.watch(phase, step, total)

    def checkpoint_path(self, seed: int, name: str) -> Path:
        return self.directory / f"seed-{seed}" / f"{name}.safetensors"


def read_metrics(directory: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv as they were written."""
    with (directory / METRICS).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_config(directory: Path) -> dict[str, Any]:
    """config.json of a run directory; anything else is a UserError."""
    if not directory.is_dir():
        raise UserError(f"{directory}: no such run directory")
    config = read_json(directory / "config.json")
    if config.get("command") not in FINAL_CHECKPOINT:
        raise UserError(f"{directory}: its config.json is not that of a training run")
    return config


def finished(directory: Path, config: Mapping[str, Any]) -> bool:
    """A run that has ended keeps its checkpoints and no state."""
    ends = list(directory.glob(f"seed-*/{FINAL_CHECKPOINT[config['command']]}.safetensors"))
    return bool(ends) and not (directory / STATE).exists()


def _has_ended(directory: Path) -> bool:
    config = read_json(directory / "config.json")
    return config.get("command") in FINAL_CHECKPOINT and finished(directory, config)
