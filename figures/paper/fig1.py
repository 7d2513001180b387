"""`fig1`: the reward over the plane through offline, SAC-tuned and TD3+BC-tuned checkpoint of each method.

The axes are u = theta_SAC - theta and v = theta_TD3+BC - theta, as in the paper: offline at (0, 0), SAC at
(1, 0), TD3+BC at (0, 1).
"""

from __future__ import annotations

import shlex
from pathlib import Path

from figures.paper.plan import Step
from figures.paper.presets import Benchmark, Preset
from figures.paper.transfer import steps as transfer_steps
from figures.plane import draw_planes

TUNED = ("sac", "td3_bc")  # u and v


def steps(preset: Preset) -> list[Step]:
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        for a in preset.offline:
            runs = [f"./transfer/{benchmark.label}/finetune/{a}-{b}/seed-{benchmark.seed}" for b in TUNED]
            ends = " ".join(f"{run}/online.safetensors" for run in runs)
            through = f"--through {runs[0]}/offline.safetensors {ends} --axes uv"
            out = _folder(benchmark, a)
            words = f"landscape plane {through} {preset.plane} --out ./{out}"
            found.append(Step(tuple(shlex.split(words)), f"{out}/result.json"))
    return found


def draw(root: Path, preset: Preset) -> list[Path]:
    """The surfaces of all offline methods on one scale of colours, per task."""
    written = []
    for benchmark in preset.benchmarks:
        folders = [root / _folder(benchmark, a) for a in preset.offline]
        written += draw_planes(folders, root / "figures" / "fig1" / benchmark.label)
    return written


def _folder(benchmark: Benchmark, method: str) -> str:
    return f"fig1/{benchmark.label}-{method}-uv"
