"""`fig1`: the reward over the plane of the offline and the online checkpoint, SMAC beside Cal-QL."""

from __future__ import annotations

import shlex
from pathlib import Path

from figures.paper.plan import Step
from figures.paper.presets import Preset
from figures.paper.transfer import steps as transfer_steps
from figures.plane import draw_planes

BESIDE = ("smac", "cal_ql")


def steps(preset: Preset) -> list[Step]:
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        for a in BESIDE:
            run = f"./transfer/{benchmark.label}/finetune/{a}-sac/seed-{benchmark.seed}"
            out = f"fig1/{benchmark.label}-{a}"
            words = f"landscape plane --trajectory {run} {preset.plane} --out ./{out}"
            found.append(Step(tuple(shlex.split(words)), f"{out}/result.json"))
    return found


def draw(root: Path, preset: Preset) -> list[Path]:
    """Both surfaces on one scale of colours, per task."""
    written = []
    for benchmark in preset.benchmarks:
        folders = [root / "fig1" / f"{benchmark.label}-{a}" for a in BESIDE]
        written += draw_planes(folders, root / "figures" / "fig1" / benchmark.label)
    return written
