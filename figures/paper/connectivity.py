"""`connectivity`: a verdict per method and seed on the line, and on the path that fine-tuning really took."""

from __future__ import annotations

import shlex
import shutil
from functools import partial
from pathlib import Path

from figures.paper.plan import Step
from figures.paper.presets import Preset
from figures.paper.transfer import steps as transfer_steps
from smac.files import write_atomically


def steps(preset: Preset) -> list[Step]:
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        cells = [f"./transfer/{benchmark.label}/finetune/{a}-sac" for a in preset.offline]
        paths = []
        for cell, a in zip(cells, preset.offline, strict=True):
            for seed in benchmark.training_seeds(preset):
                out = f"trajectories/{benchmark.label}/{a}-{seed}"
                words = f"landscape trajectory --run {cell}/seed-{seed} {benchmark.trajectory} --out ./{out}"
                found.append(Step(tuple(shlex.split(words)), f"{out}/result.json"))
                paths.append(f"./{out}")
        out = f"connectivity/{benchmark.label}"
        report = ["landscape", "report", *cells, *paths, *shlex.split(benchmark.line), "--out", f"./{out}"]
        found.append(Step(tuple(report), f"{out}/report.html"))
    return found


def draw(root: Path, preset: Preset) -> list[Path]:
    """The report of every task: page, tables and pictures."""
    written = []
    for benchmark in preset.benchmarks:
        folder = root / "connectivity" / benchmark.label
        for path in sorted(path for path in folder.glob("*.*") if path.name != "study.json"):
            copy = root / "figures" / "connectivity" / benchmark.label / path.name
            written.append(write_atomically(copy, partial(shutil.copy, path)))
    return written
