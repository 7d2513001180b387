"""`retain`: the pairs of `transfer` again, with half of every online batch from the offline data (RLPD)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from figures.paper.description import Benchmark, Reproduction
from figures.paper.dips import DIP_HEADINGS, DIP_MEANING, DIP_WORDS, NO_DROP, dip_name, number
from figures.paper.tradeoff import draw_tradeoff
from figures.paper.transfer import arrow, dip_of_mean, draw_switches, evaluations, interval
from figures.style import INK, look, paper, save
from smac.files import read_json, write_json, write_text
from smac.tables import markdown_table
from smac.training.comparison import online_numbers

SHARE = 0.5


def dip_of_all(tasks: dict[str, Any]) -> str:
    """The dip that the pairs have, with the offline data and from an empty buffer."""
    return dip_name(
        {"online": task[cells]} for task in tasks.values() for cells in ("online", "from an empty buffer")
    )


def cell_of(benchmark: Benchmark, pair: str) -> str:
    return f"retain/{benchmark.label}/{pair}"


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """Dip and gain of every pair from an empty buffer and with the offline data; the trade-off with them."""
    out, tasks, cells, pictures = root / "figures" / "retain", {}, {}, []
    for benchmark in preset.benchmarks:
        folder = root / "transfer" / benchmark.label
        empty = read_json(folder / "transfer.json")
        runs = {pair: root / cell_of(benchmark, pair) for pair in preset.pairs}
        tasks[benchmark.label] = {
            "offline": empty["offline"],
            "online": {
                pair: online_numbers(run) | {"dip of the mean": dip_of_mean(run)}
                for pair, run in runs.items()
            },
            "from an empty buffer": empty["online"],
        }
        cells[benchmark.label] = list(runs.values())
        pictures += draw_switches(folder / "pretrain", runs, out / benchmark.label)
    with paper():
        for name, fig in (("retain", draw_retain(tasks)), ("tradeoff", draw_tradeoff(tasks, NO_DROP))):
            pictures += save(fig, out / name)
            plt.close(fig)
    about = {"preset": preset.name, "seeds": preset.seeds, "share": SHARE, "tasks": tasks}
    return [
        *pictures,
        write_json(out / "retain.json", about),
        write_text(out / "retain.md", _markdown(tasks, preset)),
        write_text(out / "evaluations.csv", evaluations(cells)),
    ]


def draw_retain(tasks: dict[str, Any]) -> plt.Figure:
    """Per task a row of panels, a line per pair: hollow from an empty buffer, full with the offline data."""
    rows, kind = max(len(task["online"]) for task in tasks.values()), dip_of_all(tasks)
    shown = {kind: DIP_WORDS[kind], "switch/gain": "gain of the score"}
    fig, axes = plt.subplots(
        len(tasks), len(shown), figsize=(6.8, 0.5 + len(tasks) * (0.5 + 0.22 * rows)), squeeze=False,
        sharex="col",
    )  # fmt: skip
    for line, (label, task) in zip(axes, tasks.items(), strict=True):
        for ax, name in zip(line, shown, strict=True):
            _panel(ax, task, name)
        line[0].axvline(NO_DROP, color=INK, lw=0.8, ls=(0, (4, 3)))
        line[1].axvline(0.0, color=INK, lw=0.6)
        line[0].set_yticks(range(len(task["online"])), [arrow(pair) for pair in task["online"]])
        line[1].set_yticks([])
        line[0].set_title(label, loc="left")
    for ax, words in zip(axes[-1], shown.values(), strict=True):
        ax.set_xlabel(words)
    fig.tight_layout(rect=(0, 0.2 / fig.get_figheight(), 1, 1))
    kinds = (("white", "from an empty buffer"), (INK, "half of every batch from the offline data"))
    handles = [
        Line2D([], [], color=INK, marker="o", ls="", mfc=fill, ms=4.5, label=text) for fill, text in kinds
    ]
    fig.legend(handles=handles, loc="lower center", ncols=2, frameon=False)
    return fig


def _panel(ax: Axes, task: dict[str, Any], name: str) -> None:
    for k, pair in enumerate(task["online"]):
        color = look(pair.split("-")[0]).color
        for kept, shift in ((False, -0.15), (True, 0.15)):
            cells = task["online"] if kept else task["from an empty buffer"]
            value = number(cells[pair], name)
            if value["low"] is not None and np.isfinite(value["low"]):
                ax.hlines(k + shift, value["low"], value["high"], color=color, lw=1.0, alpha=0.6)
            ax.plot(value["mean"], k + shift, "o", color=color, mfc=color if kept else "white", ms=4.5)
    ax.set_ylim(len(task["online"]) - 0.5, -0.5)
    ax.spines[["top", "right"]].set_visible(False)


def _markdown(tasks: dict[str, Any], preset: Reproduction) -> str:
    kind = dip_of_all(tasks)
    dip = DIP_HEADINGS[kind]
    lines = [
        f"Preset `{preset.name}`, {preset.seeds} training seeds; means with 95 % t intervals over seeds. "
        f"Each pair of `transfer` again with a share of {SHARE} of every online batch from the offline data; "
        f"in the picture full dots, hollow ones are from an empty buffer. {DIP_MEANING[kind]}. "
        "The dip of the mean is that of the mean over seeds, on the same episodes.",
        "",
    ]
    columns = [
        "task", "pair", "offline success", f"{dip}, empty buffer", dip, "dip of the mean",
        "gain, empty buffer", "gain", "final success", "regret, empty buffer", "regret",
    ]  # fmt: skip
    rows = []
    for name, task in tasks.items():
        for pair, found in task["online"].items():
            empty = task["from an empty buffer"][pair]
            before = empty["over_seeds"]
            numbers = found["over_seeds"]
            rows.append([
                name, arrow(pair), interval(task["offline"][pair.split("-")[0]]["over_seeds"]["success"]),
                interval(number(empty, kind)), interval(number(found, kind)),
                f"{found['dip of the mean']:.2f}", interval(before["switch/gain"]),
                interval(numbers["switch/gain"]), interval(numbers["final_success"]),
                interval(before["regret/eval"]), interval(numbers["regret/eval"]),
            ])  # fmt: skip
    return "\n".join([*lines, markdown_table(columns, rows)]) + "\n"
