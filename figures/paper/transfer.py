"""`transfer`: learning curves across the switch, and what the claims C1 to C3 come to in our runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from figures.curves import CurvePair, draw_curves
from figures.paper.description import Reproduction
from figures.paper.dips import DIP_HEADINGS, DIP_MEANING, NO_DROP, dip_name, number
from figures.paper.tradeoff import draw_tradeoff
from figures.style import look, paper, save
from smac.agents import ONLINE
from smac.files import read_json, write_json, write_text
from smac.tables import markdown_table
from smac.training.comparison import min_max_regret
from smac.training.run import read_metrics
from smac.training.summary import curve

PAPER = {
    "C1": "SMAC -> SAC without a drop on 6 of 6 tasks; the baselines drop",
    "C2": "SMAC -> TD3 without a drop on 6 of 6 tasks, SMAC -> TD3+BC on 4 of 6",
    "C3": "regret 34 to 58 % below the best baseline on 4 of 6 tasks",
}
PAPER_REGRET = {  # min-max normalised within each of six tasks, and averaged; from the authors' page
    "iql": {"awr": 0.508, "sac": 0.471, "td3": 0.653, "td3_bc": 0.494},
    "smac": {"awr": 0.380, "sac": 0.031, "td3": 0.090, "td3_bc": 0.226},
    "td3_bc": {"awr": 0.654, "sac": 0.962, "td3": 0.545, "td3_bc": 0.562},
    "cal_ql": {"awr": 0.482, "sac": 0.448, "td3": 0.442, "td3_bc": 0.614},
}


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """Curves per task and online algorithm, the trade-off, and numbers and claims as JSON, Markdown, CSV."""
    out, tasks, pictures = root / "figures" / "transfer", {}, []
    every = {}
    for benchmark in preset.benchmarks:
        folder = root / "transfer" / benchmark.label
        tasks[benchmark.label] = read_json(folder / "transfer.json")
        for cell, found in tasks[benchmark.label]["online"].items():
            found["dip of the mean"] = dip_of_mean(folder / "finetune" / cell)
        runs = {cell: folder / "finetune" / cell for cell in tasks[benchmark.label]["online"]}
        every[benchmark.label] = sorted([*folder.glob("pretrain/*"), *folder.glob("finetune/*")])
        pictures += draw_switches(folder / "pretrain", runs, out / benchmark.label)
    with paper():
        fig = draw_tradeoff(tasks, NO_DROP)
        pictures += save(fig, out / "tradeoff")
        plt.close(fig)
    claims = {name: judge(tasks) for name, judge in CLAIMS.items()}
    about = {
        "preset": preset.name, "seeds": preset.seeds, "paper": PAPER, "claims": claims,
        "min-max regret": regret_table(tasks), "tasks": tasks,
    }  # fmt: skip
    return [
        *pictures,
        write_json(out / "transfer.json", about),
        write_text(out / "transfer.md", _markdown(tasks, claims, preset)),
        write_text(out / "evaluations.csv", evaluations(every)),
    ]


def draw_switches(pretrained: Path, runs: Mapping[str, Path], stem: Path) -> list[Path]:
    """Learning curves across the switch, `STEM-ONLINE` for every online algorithm; `runs` is pair -> run."""
    pictures, cells = [], {pair: pair.split("-") for pair in runs}
    for online in dict.fromkeys(b for _, b in cells.values()):
        shown = [
            CurvePair(look(a).name, pretrained / a, runs[pair])
            for pair, (a, b) in cells.items()
            if b == online
        ]
        pictures += draw_curves(shown, stem.with_name(f"{stem.name}-{online}"))
    return pictures


def evaluations(runs: Mapping[str, Sequence[Path]]) -> str:
    """Every evaluation behind the curves, as CSV; `runs` is task -> its runs."""
    columns = ("phase", "step", "seed", "eval/return", "eval/score", "eval/success")
    lines = [",".join(("task", "cell", *columns))]
    for task, cells in runs.items():
        for cell in cells:
            for row in read_metrics(cell):
                if row.get("eval/return"):
                    lines.append(",".join((task, cell.name, *(row[c] for c in columns))))
    return "\n".join(lines) + "\n"


def arrow(pair: str) -> str:
    """`SMAC → SAC`."""
    return " → ".join(look(part).name for part in pair.split("-"))


def regret_table(tasks: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Offline -> online algorithm -> mean over tasks of the min-max normalised regret, and how many they are.

    Normalised within each task over all of its pairs, as in the paper's table.
    """
    shares: dict[tuple[str, str], list[float]] = {}
    for task in tasks.values():
        for cell, share in min_max_regret(task["online"]).items():
            a, b = cell.split("-")
            shares.setdefault((a, b), []).append(share)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (a, b), found in shares.items():
        table.setdefault(a, {})[b] = {"mean": float(np.mean(found)), "tasks": len(found)}
    return table


def dip_of_mean(directory: Path) -> float:
    """The score at the switch minus the worst later one, of the mean over seeds.

    The mean over seeds of each seed's own dip also counts its luck at the worst of many noisy evaluations.
    """
    rows = read_metrics(directory)
    seeds = sorted({row["seed"] for row in rows}, key=int)
    scores = [curve([row for row in rows if row["seed"] == seed], "eval/score")[1] for seed in seeds]
    mean = np.mean(scores, axis=0)
    return float(mean[0] - mean.min())


def no_drop(dip: Mapping[str, float]) -> bool:
    """Whether the dip of the score, in the mean over seeds, is within NO_DROP."""
    return dip["mean"] <= NO_DROP


def _transfers(tasks: Mapping[str, Any], belongs: Callable[[str, str], bool]) -> dict[str, Any]:
    """Pair -> the tasks on which it does not drop, of how many."""
    dips: dict[str, dict[str, Any]] = {}
    kind = dip_name(tasks.values())
    for name, task in tasks.items():
        for cell in task["online"]:
            if belongs(*cell.split("-")):
                dips.setdefault(cell, {})[name] = number(task["online"][cell], kind)
    return {
        cell: {"without a drop": sum(map(no_drop, found.values())), "tasks": len(found), "dips": found}
        for cell, found in dips.items()
    }


def _regrets(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """How far SMAC's regret lies below that of the best baseline, task by task."""
    found = {}
    for name, task in tasks.items():
        regret = {
            a: number(task["online"][cell], "regret/eval")["mean"]
            for cell in task["online"]
            for a, b in [cell.split("-")]
            if b == "sac"
        }
        own = regret.pop("smac")
        best = min(regret, key=lambda a: regret[a])
        found[name] = {
            "smac": own, "best baseline": best, "its regret": regret[best],
            "below": 1 - own / regret[best] if own > 0 and regret[best] > 0 else None,
        }  # fmt: skip
    return found


CLAIMS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "C1": lambda tasks: _transfers(tasks, lambda a, b: b == "sac"),
    "C2": lambda tasks: _transfers(tasks, lambda a, b: a == "smac" and b != "sac"),
    "C3": _regrets,
}


def interval(value: Mapping[str, float], digits: int = 2) -> str:
    """`0.15 [0.03, 0.28]`, without the interval where there is one seed."""
    text = f"{value['mean']:.{digits}f}"
    known = value["low"] is not None and np.isfinite(value["low"])
    return f"{text} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]" if known else text


def _markdown(tasks: Mapping[str, Any], claims: Mapping[str, Any], preset: Reproduction) -> str:
    kind = dip_name(tasks.values())
    lines = [
        f"Preset `{preset.name}`, {preset.seeds} training seeds; means with 95 % t intervals over seeds. "
        f"{DIP_MEANING[kind]}. The dip of the mean is that of the mean over seeds, on the same "
        "episodes; monotone counts seeds by whether the score ever falls after the switch, then judges their "
        "mean curve; the gain is the last score minus that at the switch; regret is also given as a share of "
        "the way from the smallest to the largest of the task.",
        "",
    ]
    columns = [
        "task", "method", "offline success", DIP_HEADINGS[kind], "dip of the mean", "monotone",
        "evaluated every", "recovery", "gain", "final success", "regret", "min-max",
    ]  # fmt: skip
    rows = []
    for name, task in tasks.items():
        shares = min_max_regret(task["online"])
        for cell in task["online"]:
            a = cell.split("-")[0]
            numbers = task["online"][cell]["over_seeds"]
            offline = task["offline"][a]["over_seeds"]["success"]
            rows.append([
                name, arrow(cell), interval(offline), interval(number(task["online"][cell], kind)),
                f"{task['online'][cell]['dip of the mean']:.2f}",
                _monotone(task["online"][cell].get("monotone")),
                f"{numbers['switch/evaluated_every']['mean']:.0f} steps",
                _recovery(numbers.get("switch/recovery_steps"), preset.seeds),
                *(interval(numbers[x]) for x in ("switch/gain", "final_success", "regret/eval")),
                f"{shares[cell]:.2f}",
            ])  # fmt: skip
    told = [[claim, text, _in_words(claim, claims[claim])] for claim, text in PAPER.items()]
    lines += [markdown_table(columns, rows), "", markdown_table(["", "the paper", "here"], told)]
    lines += ["", *_regret_lines(regret_table(tasks))]
    return "\n".join(lines) + "\n"


def _monotone(found: Mapping[str, Any] | None) -> str:
    """`2 monotone, 3 undecided; mean undecided`, or that nothing is known."""
    if found is None:
        return "no episodes kept"
    seeds = ", ".join(f"{count} {name}" for name, count in found["seeds"].items() if count)
    return f"{seeds}; mean {found['mean']['verdict']}" if found["mean"] else seeds


def _regret_lines(table: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Offline methods in rows and online ones in columns, here and in the paper."""
    known = [*table.values(), *PAPER_REGRET.values()]
    online = [b for b in sorted(ONLINE) if any(b in row for row in known)]
    lines = [
        "Regret, min-max normalised within each task over its pairs and averaged over tasks, lower is "
        "better; in brackets the paper's, over its six tasks.",
        "",
    ]
    rows = [
        [look(a).name, *(_share(row.get(b), PAPER_REGRET.get(a, {}).get(b)) for b in online)]
        for a, row in table.items()
    ]
    return [*lines, *markdown_table(["offline", *(look(b).name for b in online)], rows).split("\n")]


def _share(here: Mapping[str, float] | None, paper: float | None) -> str:
    """`0.12 of 3 tasks (0.03)`."""
    own = f"{here['mean']:.2f} of {here['tasks']} task{'s' if here['tasks'] != 1 else ''}" if here else "–"
    return own if paper is None else f"{own} ({paper:.3f})"


def _recovery(steps: Mapping[str, float] | None, seeds: int) -> str:
    """Mean steps until the score is back, with the number of seeds in which it ever is."""
    if steps is None:
        return "never"
    share = "" if steps["seeds"] == seeds else f" ({steps['seeds']} of {seeds} seeds)"
    return f"{steps['mean']:.0f} steps{share}"


def _in_words(claim: str, found: Mapping[str, Any]) -> str:
    if not found:
        return "not run"
    if claim == "C3":
        return "; ".join(f"{task}: {_regret_in_words(x)}" for task, x in found.items())
    return "; ".join(f"{arrow(cell)} on {x['without a drop']} of {x['tasks']}" for cell, x in found.items())


def _regret_in_words(found: Mapping[str, Any]) -> str:
    """A share only where both are positive: a policy better than the reference has a negative regret."""
    below = found["below"]
    share = "" if below is None else f", {100 * abs(below):.0f} % {'below' if below >= 0 else 'above'}"
    baseline = look(found["best baseline"]).name
    return f"{found['smac']:.2f} against {found['its regret']:.2f} of {baseline}{share}"
