"""`transfer`: learning curves across the switch, and what the claims C1 to C3 come to in our runs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from figures.curves import CurvePair, draw_curves
from figures.paper.plan import Step
from figures.paper.presets import Benchmark, Preset
from figures.style import look
from smac.files import read_json, write_json, write_text

NO_DROP = 0.02  # of the score: what counts as "without a drop"
PAPER = {
    "C1": "SMAC -> SAC without a drop on 6 of 6 tasks; the baselines drop",
    "C2": "SMAC -> TD3 without a drop on 6 of 6 tasks, SMAC -> TD3+BC on 4 of 6",
    "C3": "regret 34 to 58 % below the best baseline on 4 of 6 tasks",
}


def data_steps(benchmark: Benchmark) -> list[Step]:
    """Collecting the data that every method learns from."""
    dataset = f"reproduce/{benchmark.label}-v0"
    words = shlex.split(
        f"smac data collect --task {benchmark.task} --dataset {dataset} {benchmark.collect} --out ./data"
    )
    return [Step(tuple(words), f"data/{dataset}/data/metadata.json")]


def matrix_words(
    benchmark: Benchmark, preset: Preset, *, offline: Sequence[str], online: Sequence[str], dataset: str,
    out: str, only: Mapping[str, str] | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """`smac transfer` for some methods on some data; `only` adds to the methods' own options."""
    own = {a: f"{benchmark.only.get(a, '')} {(only or {}).get(a, '')}".strip() for a in offline}
    words = [
        "smac", "transfer", "--task", benchmark.task, "--dataset", dataset, "--data-root", "./data",
        "--offline", ",".join(offline), "--online", ",".join(online), "--seeds", str(preset.seeds),
        f"--pretrain={benchmark.pretrain}", f"--finetune={benchmark.finetune}", "--out", out,
    ]  # fmt: skip
    items = [f"{a}={options}" for a, options in own.items() if options]
    return tuple([*words, "--only", *items] if items else words)


def steps(preset: Preset) -> list[Step]:
    found = []
    for benchmark in preset.benchmarks:
        found += data_steps(benchmark)
        out = f"./transfer/{benchmark.label}"
        words = matrix_words(
            benchmark, preset, offline=preset.offline, online=preset.online,
            dataset=f"reproduce/{benchmark.label}-v0", out=out,
        )  # fmt: skip
        found.append(Step(words, f"transfer/{benchmark.label}/transfer.json"))
    return found


def draw(root: Path, preset: Preset) -> list[Path]:
    """Curves per task and online algorithm, and `transfer.json` and `transfer.md` with the claims."""
    out, tasks, pictures = root / "figures" / "transfer", {}, []
    for benchmark in preset.benchmarks:
        folder = root / "transfer" / benchmark.label
        tasks[benchmark.label] = read_json(folder / "transfer.json")
        for online in preset.online:
            pairs = [
                CurvePair(look(a).name, folder / "pretrain" / a, folder / "finetune" / f"{a}-{online}")
                for a in preset.offline
            ]
            pictures += draw_curves(pairs, out / f"{benchmark.label}-{online}")
    claims = {name: judge(tasks, preset) for name, judge in CLAIMS.items()}
    found = {"preset": preset.name, "seeds": preset.seeds, "paper": PAPER, "claims": claims, "tasks": tasks}
    return [
        *pictures,
        write_json(out / "transfer.json", found),
        write_text(out / "transfer.md", _markdown(tasks, claims, preset)),
    ]


def number(task: Mapping[str, Any], cell: str, name: str) -> dict[str, float]:
    """Mean over seeds with its interval: {mean, low, high, seeds}."""
    found: dict[str, float] = task["online"][cell]["over_seeds"][name]
    return found


def no_drop(dip: Mapping[str, float]) -> bool:
    """Whether the dip of the score, in the mean over seeds, is within NO_DROP."""
    return dip["mean"] <= NO_DROP


def _transfers(tasks: Mapping[str, Any], preset: Preset, online: Sequence[str]) -> dict[str, Any]:
    """Method -> online algorithm -> the tasks on which it does not drop, of how many."""
    found: dict[str, Any] = {}
    for a in preset.offline:
        for b in online:
            if b in preset.online:
                dips = {t: number(task, f"{a}-{b}", "switch/dip") for t, task in tasks.items()}
                found[f"{a}-{b}"] = {
                    "without a drop": sum(map(no_drop, dips.values())), "tasks": len(dips), "dips": dips,
                }  # fmt: skip
    return found


def _regrets(tasks: Mapping[str, Any], preset: Preset) -> dict[str, Any]:
    """How far SMAC's regret lies below that of the best baseline, task by task."""
    found = {}
    for name, task in tasks.items():
        own = number(task, "smac-sac", "regret/eval")["mean"]
        others = {a: number(task, f"{a}-sac", "regret/eval")["mean"] for a in preset.offline if a != "smac"}
        best = min(others, key=lambda a: others[a])
        found[name] = {
            "smac": own, "best baseline": best, "its regret": others[best],
            "below": 1 - own / others[best] if others[best] else float("nan"),
        }  # fmt: skip
    return found


CLAIMS = {
    "C1": lambda tasks, preset: _transfers(tasks, preset, ["sac"]),
    "C2": lambda tasks, preset: {
        cell: found
        for cell, found in _transfers(tasks, preset, ["td3", "td3_bc"]).items()
        if cell.startswith("smac-")
    },
    "C3": _regrets,
}


def interval(value: Mapping[str, float], digits: int = 2) -> str:
    """`0.15 [0.03, 0.28]`, without the interval where there is one seed."""
    text = f"{value['mean']:.{digits}f}"
    known = value["low"] is not None and np.isfinite(value["low"])
    return f"{text} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]" if known else text


def _markdown(tasks: Mapping[str, Any], claims: Mapping[str, Any], preset: Preset) -> str:
    lines = [
        f"Preset `{preset.name}`, {preset.seeds} training seeds; means with 95 % t intervals over seeds.",
        "",
        "| task | method | offline success | dip of the score | final success | regret |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, task in tasks.items():
        for cell in task["online"]:
            a, b = cell.split("-")
            numbers = task["online"][cell]["over_seeds"]
            offline = task["offline"][a]["over_seeds"]["success"]
            values = [offline, numbers["switch/dip"], numbers["final_success"], numbers["regret/eval"]]
            lines.append(
                f"| {name} | {look(a).name} → {look(b).name} | {' | '.join(map(interval, values))} |"
            )
    lines += ["", "| | the paper | here |", "| --- | --- | --- |"]
    for claim, text in PAPER.items():
        lines.append(f"| {claim} | {text} | {_in_words(claim, claims[claim])} |")
    return "\n".join(lines) + "\n"


def _in_words(claim: str, found: Mapping[str, Any]) -> str:
    if not found:
        return "not run"
    if claim == "C3":
        return "; ".join(
            f"{task}: {100 * x['below']:.0f} % below {look(x['best baseline']).name}"
            for task, x in found.items()
        )
    return "; ".join(
        f"{' → '.join(look(part).name for part in cell.split('-'))} on {x['without a drop']} of {x['tasks']}"
        for cell, x in found.items()
    )
