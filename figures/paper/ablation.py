"""`ablation`: what each part of SMAC is worth offline and at the switch."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.paper.plan import Step
from figures.paper.presets import Preset
from figures.paper.transfer import data_steps, interval, matrix_words, number
from figures.style import INK, look, paper, save
from smac.files import read_json, write_json, write_text


def folder_of(variant: str) -> str:
    return variant.replace(" ", "-").lower()


def steps(preset: Preset) -> list[Step]:
    found = []
    for benchmark in preset.benchmarks:
        found += data_steps(benchmark)
        for variant, options in preset.variants.items():
            out = f"ablation/{benchmark.label}/{folder_of(variant)}"
            words = matrix_words(
                benchmark, preset, offline=["smac"], online=["sac"], only={"smac": options},
                dataset=f"reproduce/{benchmark.label}-v0", out=f"./{out}",
            )  # fmt: skip
            found.append(Step(words, f"{out}/transfer.json"))
    return found


def draw(root: Path, preset: Preset) -> list[Path]:
    """Offline success against the dip, a point per variant with its intervals over seeds."""
    out, written = root / "figures" / "ablation", []
    for benchmark in preset.benchmarks:
        found = {
            variant: read_json(root / "ablation" / benchmark.label / folder_of(variant) / "transfer.json")
            for variant in preset.variants
        }
        rows = {
            variant: {
                "options": preset.variants[variant],
                "offline success": task["offline"]["smac"]["over_seeds"]["success"],
                "dip": number(task, "smac-sac", "switch/dip"),
                "regret": number(task, "smac-sac", "regret/eval"),
            }
            for variant, task in found.items()
        }
        with paper():
            fig = _scatter(rows)
            written += save(fig, out / benchmark.label)
            plt.close(fig)
        lines = ["| SMAC | offline success | dip of the score | regret |", "| --- | --- | --- | --- |"]
        for variant, row in rows.items():
            cells = [interval(row[name]) for name in ("offline success", "dip", "regret")]
            lines.append(f"| {variant} | {' | '.join(cells)} |")
        about = {"preset": preset.name, "task": benchmark.task, "seeds": preset.seeds, "variants": rows}
        written += [
            write_json(out / f"{benchmark.label}.json", about),
            write_text(out / f"{benchmark.label}.md", "\n".join(lines) + "\n"),
        ]
    return written


def _scatter(rows: dict) -> plt.Figure:
    """One row per variant: offline success on the left, dip on the right."""
    fig, axes = plt.subplots(1, 2, figsize=(5.2, 0.6 + 0.24 * len(rows)), sharey=True)
    places = np.arange(len(rows))[::-1]
    for ax, name in zip(axes, ("offline success", "dip"), strict=True):
        means = np.array([row[name]["mean"] for row in rows.values()], dtype=float)
        lows = np.array([row[name]["low"] for row in rows.values()], dtype=float)
        highs = np.array([row[name]["high"] for row in rows.values()], dtype=float)
        known = np.isfinite(lows)
        ax.hlines(places[known], lows[known], highs[known], color=look("smac").color, lw=1.4)
        ax.plot(means, places, "o", color=look("smac").color, ms=4.5)
        ax.set_xlabel(name if name != "dip" else "dip of the score at the switch")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(places, list(rows))
    axes[0].set_ylim(-0.6, len(rows) - 0.4)
    axes[1].axvline(0.02, color=INK, lw=0.8, ls=(0, (4, 3)))
    fig.tight_layout()
    return fig
