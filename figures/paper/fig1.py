"""`fig1`: the reward over the plane through offline, SAC-tuned and TD3+BC-tuned checkpoint of each method.

The axes are u = theta_SAC - theta and v = theta_TD3+BC - theta, as in the paper: offline at (0, 0), SAC at
(1, 0), TD3+BC at (0, 1).
"""

from __future__ import annotations

from pathlib import Path

from figures.paper.description import Benchmark, Reproduction
from figures.plane import draw_planes


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """The surfaces of all offline methods on one scale of colours, per task."""
    written = []
    for benchmark in preset.benchmarks:
        folders = [root / folder_of(benchmark, a) for a in preset.offline]
        written += draw_planes(folders, root / "figures" / "fig1" / benchmark.label)
    return written


def folder_of(benchmark: Benchmark, method: str) -> str:
    return f"fig1/{benchmark.label}-{method}-uv"
