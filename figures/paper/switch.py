"""`switch`: what the size of the actor's steps after the switch costs and gains, per method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from figures.paper.description import Benchmark, Reproduction
from figures.paper.dips import DIP_WORDS, NO_DROP, number
from figures.paper.transfer import interval
from figures.style import INK, look, paper, save
from smac.files import write_json, write_text
from smac.tables import markdown_table
from smac.training.comparison import common_dip, online_numbers


def shown(kind: str) -> dict[str, str]:
    """The numbers of a panel each, and what is written there; `kind` is the dip that all runs have."""
    return {kind: DIP_WORDS[kind], "switch/gain": "gain of the score", "regret/eval": "regret"}


def cell_of(benchmark: Benchmark, method: str, rate: str) -> str:
    return f"switch/{benchmark.label}/{method}-{rate}"


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """Dip, gain and regret against the actor's learning rate, a line per method; intervals over seeds."""
    out, written = root / "figures" / "switch", []
    for benchmark in (one for one in preset.benchmarks if one.rates):
        found = {
            (method, rate): online_numbers(root / cell_of(benchmark, method, rate))
            for method in preset.offline
            for rate in benchmark.rates
        }
        panels = shown(common_dip([*found.values()]))
        rows: list[dict[str, Any]] = [
            {"method": method, "actor_lr": float(rate)}
            | {name: number(cell, name) for name in (*panels, "switch/evaluated_every")}
            for (method, rate), cell in found.items()
        ]
        with paper():
            fig = _curves(rows, preset, panels)
            written += save(fig, out / benchmark.label)
            plt.close(fig)
        columns = ["method", "actor's rate", *panels.values()]
        cells = [
            [look(row["method"]).name, f"{row['actor_lr']:g}", *(interval(row[name]) for name in panels)]
            for row in rows
        ]
        about = {
            "preset": preset.name, "task": benchmark.task, "seed": benchmark.seed, "seeds": preset.seeds,
            "rows": rows,
        }  # fmt: skip
        written += [
            write_json(out / f"{benchmark.label}.json", about),
            write_text(out / f"{benchmark.label}.md", markdown_table(columns, cells) + "\n"),
        ]
    return written


def _curves(rows: list[dict[str, Any]], preset: Reproduction, panels: dict[str, str]) -> plt.Figure:
    fig, axes = plt.subplots(1, len(panels), figsize=(6.8, 2.3), sharex=True)
    for ax, (name, label) in zip(axes, panels.items(), strict=True):
        for k, method in enumerate(preset.offline):
            own = [row for row in rows if row["method"] == method]
            shift = 1.06 ** (k - (len(preset.offline) - 1) / 2)  # so that intervals do not hide each other
            x = np.array([row["actor_lr"] for row in own]) * shift
            mean, low, high = (
                np.array([row[name][part] for row in own], dtype=float) for part in ("mean", "low", "high")
            )
            style = look(method)
            ax.vlines(x, low, high, color=style.color, lw=0.8, alpha=0.6)
            ax.plot(x, mean, "o-", color=style.color, ms=3.5, lw=1.4, label=style.name)
        ax.set_xscale("log")
        ax.set_xlabel("learning rate of the actor")
        ax.set_ylabel(label)
    axes[0].axhline(NO_DROP, color=INK, lw=0.8, ls=(0, (4, 3)))
    axes[1].axhline(0.0, color=INK, lw=0.6)
    axes[0].legend(frameon=False)
    fig.tight_layout()
    return fig
