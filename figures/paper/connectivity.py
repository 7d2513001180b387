"""`connectivity`: a verdict per method and seed on the line, and on the path that fine-tuning really took."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from figures.paper.description import Reproduction
from smac.files import write_atomically


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """The report of every task: page, tables and pictures."""
    written = []
    for benchmark in preset.benchmarks:
        folder = root / "connectivity" / benchmark.label
        for path in sorted(path for path in folder.glob("*.*") if path.name != "study.json"):
            copy = root / "figures" / "connectivity" / benchmark.label / path.name
            written.append(write_atomically(copy, partial(shutil.copy, path)))
    return written
