"""`fig2`: does more data of a weaker policy close the gap? Dip against the size of the dataset."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from figures.paper.description import Benchmark, Reproduction
from figures.paper.dips import DIP_WORDS, dip_name, number
from figures.paper.transfer import interval
from figures.style import look, nested_widths, paper, save, steps
from smac.files import read_json, write_json, write_text
from smac.tables import markdown_table


def dataset_of(label: str, size: float) -> str:
    """The dataset with this share of the episodes; shares are nested."""
    return f"reproduce/{label}-weak-v0" if size == 1.0 else f"reproduce/{label}-weak-{size * 1000:04.0f}-v0"


def folder_of(benchmark: Benchmark, size: float) -> str:
    return f"fig2/{benchmark.label}/{size:g}"


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """Dip of the score and offline success against transitions in the dataset, per method."""
    out, written = root / "figures" / "fig2", []
    for benchmark in (one for one in preset.benchmarks if one.sizes):
        rows = []
        tasks = {
            size: read_json(root / folder_of(benchmark, size) / "transfer.json") for size in benchmark.sizes
        }
        kind = dip_name(tasks.values())
        for size, task in tasks.items():
            metadata = read_json(root / "data" / dataset_of(benchmark.label, size) / "data" / "metadata.json")
            for a in ("smac", benchmark.baseline):
                rows.append({
                    "method": a, "share": size, "episodes": metadata["total_episodes"],
                    "transitions": metadata["total_steps"],
                    "dip": number(task["online"][f"{a}-sac"], kind),
                    "offline success": task["offline"][a]["over_seeds"]["success"],
                })  # fmt: skip
        with paper():
            fig = _curves(rows, DIP_WORDS[kind])
            written += save(fig, out / benchmark.label)
            plt.close(fig)
        columns = ("method", "transitions", "offline success", DIP_WORDS[kind])
        shown = ("offline success", "dip")
        cells = [
            [look(row["method"]).name, str(row["transitions"]), *(interval(row[name]) for name in shown)]
            for row in rows
        ]
        about = {
            "preset": preset.name,
            "task": benchmark.task,
            "seed": benchmark.seed,
            "seeds": preset.seeds,
            "rows": rows,
        }
        written += [
            write_json(out / f"{benchmark.label}.json", about),
            write_text(out / f"{benchmark.label}.md", markdown_table(columns, cells) + "\n"),
        ]
    return written


def _curves(rows: list[dict], dip: str) -> plt.Figure:
    """Intervals stand side by side and of equal curves the later one is thinner, so that none hides."""
    fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.4), sharex=True)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for ax, name in zip(axes, ("offline success", "dip"), strict=True):
        for k, (a, width) in enumerate(zip(methods, nested_widths(len(methods)), strict=True)):
            own, style = [row for row in rows if row["method"] == a], look(a)
            shift = 1.1 ** (k - (len(methods) - 1) / 2)
            x = np.array([row["transitions"] for row in own], dtype=float) * shift
            mean, low, high = (
                np.array([row[name][part] for row in own], dtype=float) for part in ("mean", "low", "high")
            )
            ax.vlines(x, low, high, color=style.color, lw=1.0)
            ax.plot(
                x, mean, color=style.color, linestyle=style.linestyle, marker=style.marker, ms=4.5, lw=width,
                label=style.name,
            )  # fmt: skip
        ax.set_xscale("log")
        sizes = sorted({row["transitions"] for row in rows})
        ax.set_xticks(sizes, [steps(float(f"{size:.2g}")) for size in sizes])
        ax.minorticks_off()
        ax.margins(x=0.12)
        ax.set_xlabel("transitions in the dataset")
        ax.set_ylabel("success rate offline" if name != "dip" else f"{dip} at the switch")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(-0.03, 1.05)
    axes[1].axhline(0, color="0.6", lw=0.7, zorder=0)
    handles = axes[0].get_legend_handles_labels()
    fig.legend(*handles, frameon=False, handlelength=3, loc="upper center", ncols=len(methods))
    fig.tight_layout(rect=(0, 0, 1, 0.9))
    return fig
