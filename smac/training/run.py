"""A run directory: config.json, metrics.csv, progress.json and one folder of checkpoints per seed."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smac.files import new_directory, write_json, write_text

PROGRESS_INTERVAL = 0.5  # seconds between two writes of progress.json


class Run:
    """Writes a run directory. metrics.csv holds no clock times: the same command gives the same file."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        self.directory = new_directory(directory)
        self.rows: list[dict[str, str]] = []
        self.columns = ["phase", "step", "seed"]
        self.latest: dict[int, dict[str, float]] = {}
        self._written = 0.0
        write_json(directory / "config.json", config)

    def log(self, phase: str, step: int, seeds: Sequence[int], metrics: Mapping[str, np.ndarray]) -> None:
        """One row per seed; metrics are [seeds], NaN leaves the cell empty."""
        for name in metrics:
            if name not in self.columns:
                self.columns.append(name)
        for k, seed in enumerate(seeds):
            values = {name: float(value[k]) for name, value in metrics.items() if math.isfinite(value[k])}
            self.latest.setdefault(seed, {}).update(values)
            row = {"phase": phase, "step": str(step), "seed": str(seed)}
            self.rows.append(row | {name: f"{value:.9g}" for name, value in values.items()})
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.directory / "metrics.csv", text.getvalue())

    def progress(self, phase: str, step: int, total: int) -> None:
        """Tell whoever watches how far the run is: twice a second at most, and at the end of a phase."""
        now = time.monotonic()
        if step >= total or now - self._written > PROGRESS_INTERVAL:
            self._written = now
            write_json(self.directory / "progress.json", {"phase": phase, "step": step, "total": total})

    def checkpoint_path(self, seed: int, name: str) -> Path:
        return self.directory / f"seed-{seed}" / f"{name}.safetensors"


def read_metrics(directory: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv as they were written."""
    with (directory / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
