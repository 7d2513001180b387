"""`ablation`: what each part of SMAC is worth offline and at the switch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.paper.description import Benchmark, Reproduction
from figures.paper.dips import DIP_WORDS, NO_DROP, dip_name, number
from figures.paper.transfer import interval
from figures.style import INK, look, paper, save
from smac.files import read_json, write_json, write_text
from smac.tables import markdown_table


def folder_of(benchmark: Benchmark, variant: str) -> str:
    return f"ablation/{benchmark.label}/{variant.replace(' ', '-').lower()}"


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """Offline success against the dip, a point per variant with its intervals over seeds."""
    out, written = root / "figures" / "ablation", []
    for benchmark in (one for one in preset.benchmarks if one.variants):
        found = {
            variant: read_json(root / folder_of(benchmark, variant) / "transfer.json")
            for variant in benchmark.variants
        }
        kind = dip_name(found.values())
        rows = {
            variant: {
                "options": benchmark.variants[variant].options,
                "offline success": task["offline"]["smac"]["over_seeds"]["success"],
                "dip": number(task["online"]["smac-sac"], kind),
                "regret": number(task["online"]["smac-sac"], "regret/eval"),
            }
            for variant, task in found.items()
        }
        with paper():
            kappas = {name: variant.kappa for name, variant in benchmark.variants.items()}
            fig = _scatter(rows, kappas, DIP_WORDS[kind])
            written += save(fig, out / benchmark.label)
            plt.close(fig)
        columns = ("SMAC", "offline success", DIP_WORDS[kind], "regret")
        shown = ("offline success", "dip", "regret")
        cells = [[variant, *(interval(row[name]) for name in shown)] for variant, row in rows.items()]
        about = {
            "preset": preset.name,
            "task": benchmark.task,
            "seed": benchmark.seed,
            "seeds": preset.seeds,
            "variants": rows,
        }
        written += [
            write_json(out / f"{benchmark.label}.json", about),
            write_text(out / f"{benchmark.label}.md", markdown_table(columns, cells) + "\n"),
        ]
    return written


def _scatter(rows: dict, kappas: Mapping[str, float | None], dip: str) -> plt.Figure:
    """A row per variant with its offline success and its dip; beside them one against the other."""
    fig, axes = plt.subplots(
        1, 3, figsize=(7.4, max(1.9, 0.8 + 0.24 * len(rows))), gridspec_kw={"width_ratios": [1, 1, 1.25]}
    )
    places, color = np.arange(len(rows))[::-1], look("smac").color
    words = {"offline success": "success offline", "dip": f"{dip} at the switch"}
    for ax, name in zip(axes, words, strict=False):
        mean, low, high = _numbers(rows, name)
        ax.hlines(places, low, high, color=color, lw=1.4)
        ax.plot(mean, places, "o", color=color, ms=4.5)
        ax.set_xlabel(words[name])
        ax.spines["left"].set_visible(False)
        ax.set_yticks(places, list(rows) if name == "offline success" else [""] * len(rows))
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(-0.6, len(rows) - 0.4)
    axes[1].axvline(NO_DROP, color=INK, lw=0.8, ls=(0, (4, 3)))
    _against(axes[2], rows, kappas, color)
    axes[2].set_xlabel(words["dip"])
    axes[2].set_ylabel(words["offline success"])
    fig.tight_layout()
    return fig


def _against(ax: Axes, rows: dict, kappas: Mapping[str, float | None], color: str) -> None:
    """Offline success against the dip: the upper left is what one wants. kappa's values are one curve."""
    x, y = _numbers(rows, "dip")[0], _numbers(rows, "offline success")[0]
    path = [i for _, i in sorted((k, i) for i, k in enumerate(kappas.values()) if k is not None)]
    ax.plot(x[path], y[path], "-", color=color, lw=1.0, alpha=0.6, zorder=1)
    ax.plot(x, y, "o", color=color, ms=4)
    width, height = np.ptp(x), np.ptp(y)
    for i, variant in enumerate(rows):
        close = (np.abs(x - x[i]) < 0.3 * width) & (y >= y[i]) & (y - y[i] < 0.1 * height)
        below = close.sum() > 1  # there is another label above
        ax.annotate(
            variant, (x[i], y[i]), xytext=(4, -8 if below else 3), textcoords="offset points", fontsize=6
        )
    ax.locator_params(axis="x", nbins=4)
    ax.axvline(NO_DROP, color=INK, lw=0.8, ls=(0, (4, 3)))
    ax.margins(0.12)


def _numbers(rows: dict, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, lower and upper ends, one of each per variant; NaN where there is no interval."""
    mean, low, high = (
        np.array([row[name][part] for row in rows.values()], dtype=float) for part in ("mean", "low", "high")
    )
    return mean, low, high
