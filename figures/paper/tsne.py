"""`tsne`: the ways that fine-tuning took from every offline method, in two dimensions, coloured by return."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from figures.paper.description import Benchmark, Reproduction
from figures.projection import draw_projection, read_projection
from smac.files import write_atomically


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """The map of every task, with its numbers."""
    written, out = [], root / "figures" / "tsne"
    for benchmark in preset.benchmarks:
        folder = root / folder_of(benchmark)
        written += draw_projection(read_projection(folder), out / benchmark.label)
        numbers = out / benchmark.label / "result.json"
        written.append(write_atomically(numbers, partial(shutil.copy, folder / "result.json")))
    return written


def folder_of(benchmark: Benchmark) -> str:
    return f"tsne/{benchmark.label}"
