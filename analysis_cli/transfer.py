"""`smac transfer`: every offline method to every online method, over seeds, in one table."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from rich.progress import Progress
from rich.table import Table

from analysis_cli.cells import finetuning, pretraining, split
from analysis_cli.console import command_line, console, duration, progress_bar, wrote
from analysis_cli.dry import UNTRAINED, Planned, Trials, lasting, together, trials
from analysis_cli.processes import Elsewhere, Runner, side_by_side
from analysis_cli.train import Finetune, Pretrain, defaults
from figures.curves import CurvePair, draw_curves
from landscape.backends import Backend, Cluster, connect
from smac.agents import OFFLINE, ONLINE, agent_class, method_label, method_parts
from smac.data.minari_io import find_dataset
from smac.errors import UserError
from smac.files import check_free, default_directory, new_directory, read_json, write_json, write_text
from smac.locks import only_writer
from smac.provenance import versions
from smac.tables import markdown_table
from smac.tasks import get_task
from smac.training.comparison import (
    DIP,
    RAW_DIP,
    Mean,
    common_dip,
    min_max_regret,
    offline_numbers,
    online_numbers,
)
from smac.training.jobs import Job, TaskName
from smac.training.protocol import Protocol, offline_protocol, online_protocol
from smac.training.run import finished, run_config
from smac.training.summary import MARGIN

PLAN = "plan.json"
MONOTONE, MIN_MAX = "switch/monotone", "regret/min_max"
OFFLINE_COLUMNS = {"return": 1, "score": 2, "success": 2}  # number -> digits
SWITCH_COLUMNS = {
    DIP: 2, MONOTONE: 0, "switch/gain": 2, "switch/recovery_steps": 0, "switch/evaluated_every": 0
}  # fmt: skip
ONLINE_COLUMNS = {"final_score": 2, "final_success": 2, "regret/eval": 2, MIN_MAX: 2, "regret/train": 2}
ONLINE_RETURNS = {"final_return": 1, "final_success": 2, "regret/return": 1, MIN_MAX: 2, "regret/train": 2}
MEANING = (
    "dip: score at the switch minus the worst evaluation after it, found on one half of the episodes and "
    "measured on the other, so without a fall it is 0 in the mean; noise can hide the worst one, so its "
    "interval ends above the raw dip; monotone: seeds by whether the score ever "
    f"falls by more than {MARGIN} after the switch, then the same of their mean curve; regret min max: "
    "regret eval as a share of the way from the smallest to the largest of the table, lower is better."
)
IN_RETURNS = (
    "The task has no reference returns, so dip, drawdown and gain are in units of return, monotone needs "
    '--finetune="--dip-margin RETURN", and regret return is minus the mean return.'
)
WITHOUT_EPISODES = (
    "dip raw is found and measured on the same episodes, which makes it too large: there is nothing "
    "else for runs of an older version, which kept no episodes. Compare raw with raw alone."
)


@dataclass(frozen=True)
class Transfer:
    """Pre-train with every offline method, fine-tune each with every online one, and compare.

    Each cell is a run directory of its own, made by the command that `plan.json` names. The same command
    again, or `smac resume`, continues where it stopped.
    """

    examples: ClassVar = (
        "smac transfer --task pointmaze-umaze --offline smac,cal_ql,iql --seeds 5 --out runs/transfer",
        'smac transfer --task pointmaze-umaze --pretrain="--steps 5000" --finetune="--steps 20000"',
    )
    often: ClassVar = ("offline", "online", "seeds", "pretrain", "finetune", "workers", "out")
    task: TaskName
    """Name of the task (`smac tasks`), or the id of a gymnasium environment."""
    offline: str = ",".join(OFFLINE)
    """Offline algorithms, separated by commas; smac.paper is the variant `paper` of smac."""
    online: str = "sac"
    """Online algorithms, separated by commas: every offline method is fine-tuned with each."""
    also: tuple[str, ...] = field(default=())
    """Further pairs, each as OFFLINE-ONLINE, as in --also smac-td3 smac-td3_bc."""
    seeds: int = 5
    """How many training seeds, as one stack in every cell."""
    seed: int = 0
    """The first training seed."""
    pretrain: str = ""
    """Further options of every `smac pretrain`, as in --pretrain="--steps 5000 --hidden 64 64"."""
    finetune: str = ""
    """Further options of every `smac finetune`, as in --finetune="--steps 20000"."""
    only: tuple[str, ...] = field(default=())
    """Options of one algorithm alone, each as ALGORITHM=OPTIONS, as in
    --only "smac=--kappa 0.2" "td3=--policy-delay 1"."""
    dataset: str | None = None
    """Dataset id or path of a dataset's folder; default: the task's own."""
    data_root: Path | None = None
    """Folder of datasets; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    workers: int = os.cpu_count() or 1
    """Cells trained at a time, each with one thread."""
    backend: Backend | None = None
    """Train the cells on the workers of a cluster, as many at a time as it has room for. Its machines share
    the directory in which this command is given, and all that it names."""
    address: str | None = None
    """HOST:PORT of the cluster's scheduler (for dask also the path of its scheduler file)."""
    out: Path | None = None
    """Directory of the matrix; default: a new one in runs/."""

    def run(self) -> None:
        if self.backend or self.address:
            connect(self.backend, self.address)
        out = self.out or default_directory("transfer", get_task(self.task).name)
        plan = Plan.of(self)
        path = out / PLAN
        if not self._begun(out, plan):
            new_directory(out)
            about = {"command": "transfer", "command_line": command_line("smac"), "versions": versions()}
            write_json(path, about | {"task": self.task, "cells": plan.cells()})
        carry_out(out, self.workers, self.backend, self.address)

    def planned(self) -> Planned:
        plan = Plan.of(self)
        begun = self.out is not None and self._begun(self.out, plan)
        with trials() as tried:
            runs = tried_cells(plan, self.task, tried)
            left = {
                name: tried.planned(job)
                for name, job in runs.items()
                if not (begun and self.out is not None and run_has_ended(self.out / name))
            }
        return of_cells(left, self.workers)

    def _begun(self, out: Path, plan: Plan) -> bool:
        """Whether a directory holds this matrix; UserError if it holds another."""
        if not (out / PLAN).exists():
            check_free(out)
            return False
        if read_json(out / PLAN)["cells"] != plan.cells():
            raise UserError(f"{out}: holds another matrix; choose another --out, or repeat its command")
        return True


@dataclass(frozen=True)
class Plan:
    """The cells of a matrix, as the commands that make them."""

    pretrain: dict[str, list[str]]  # offline algorithm -> words
    finetune: dict[tuple[str, str], list[str]]  # offline, online algorithm -> words

    @classmethod
    def of(cls, options: Transfer) -> Plan:
        """The plan of a command; whatever can be seen to be wrong is refused before anything is trained."""
        task = get_task(options.task)
        offline, online = _names(options.offline), _names(options.online)
        only = _only(options.only)
        pairs = [(a, b) for a in offline for b in online]
        pairs += [pair for pair in map(_pair, options.also) if pair not in pairs]
        for a, b in pairs:
            algorithm, variant = method_parts(a)
            defaults(options.task, algorithm, OFFLINE, variant)
            defaults(options.task, b, ONLINE)
            if a not in offline:
                raise UserError(f"--also {a}-{b}: {a} is not among --offline {options.offline}")
        for name in only:
            agent_class(method_parts(name)[0])
        if options.seeds < 1 or options.workers < 1:
            raise UserError("--seeds and --workers must be at least 1")
        words = split("--finetune", options.finetune)
        if "bc" in offline and "--initialise-critic" not in words:
            raise UserError(
                'bc has no critic to carry over: leave it out, or add --finetune "--initialise-critic"'
            )
        dataset = str(find_dataset(task.data(options.dataset), options.data_root, task))
        shared = ["--dataset", dataset, "--seed", str(options.seed), "--seeds", str(options.seeds)]
        pretrain = {
            a: ["smac", "pretrain", "--task", options.task, *_method_words(a), *shared,
                *split("--pretrain", options.pretrain), *only.get(method_parts(a)[0], []),
                *(only.get(a, []) if "." in a else [])]
            for a in offline
        }  # fmt: skip
        finetune = {
            (a, b): ["smac", "finetune", "--from", f"pretrain/{a}", "--algorithm", b, "--dataset", dataset,
                     *words, *(only.get(b, []) if b not in OFFLINE else [])]
            for a, b in pairs
        }  # fmt: skip
        plan = cls(pretrain, finetune)
        plan.jobs(options.task)
        return plan

    def jobs(self, task: str) -> tuple[dict[str, Pretrain], dict[tuple[str, str], Finetune]]:
        """What the cells' commands say; UserError for an option that one does not have, or a value that it
        cannot have."""
        offline = {a: pretraining(words[2:]) for a, words in self.pretrain.items()}
        online = {
            (a, b): finetuning(words[2:], b, task, offline[a].agent)
            for (a, b), words in self.finetune.items()
        }
        return offline, online

    def cells(self) -> dict[str, list[str]]:
        """Folder of a cell -> words of its command; paths are relative to the matrix."""
        cells = {f"pretrain/{a}": words for a, words in self.pretrain.items()}
        return cells | {f"finetune/{a}-{b}": words for (a, b), words in self.finetune.items()}


def tried_cells(plan: Plan, task: str, tried: Trials) -> dict[str, Job]:
    """Folder of a cell -> its job; fine-tuning begins from a short run of its pre-training."""
    offline, online = plan.jobs(task)
    cells: dict[str, Job] = {f"pretrain/{a}": job for a, job in offline.items()}
    for (a, b), job in online.items():
        cells[f"finetune/{a}-{b}"] = replace(job, start=tried.of(offline[a]).directory)
    return cells


def of_cells(cells: Mapping[str, Planned], workers: int) -> Planned:
    """The plan of a matrix whose cells are these: both stages, with so many cells at a time."""
    what = f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'}, {workers} at a time"
    parts = [f"{name}: about {duration(plan.seconds)}" for name, plan in cells.items()]
    stages = [
        [plan.seconds for name, plan in cells.items() if name.startswith(stage)]
        for stage in ("pretrain/", "finetune/")
    ]
    seconds = sum(lasting(stage, workers) for stage in stages)
    return replace(together(what, cells.values(), parts), seconds=seconds, basis=UNTRAINED)


def _method_words(method: str) -> list[str]:
    algorithm, variant = method_parts(method)
    return ["--algorithm", algorithm, *(["--variant", variant] if variant else [])]


def carry_out(out: Path, workers: int, backend: str | None = None, address: str | None = None) -> None:
    """Do what is left of the plan in `out`, here or on a cluster, then write and print its tables."""
    cluster = connect(backend, address) if backend or address else None
    with only_writer(out):
        plan = read_json(out / PLAN)
        _train(out, plan, workers, cluster)
        report(out, plan)


def _train(out: Path, plan: Mapping[str, Any], workers: int, cluster: Cluster | None) -> None:
    """Train the cells that have not ended. If one fails, the others that run are trained to their end."""
    stages = [
        {name: words for name, words in plan["cells"].items() if name.startswith(stage)}
        for stage in ("pretrain/", "finetune/")
    ]
    runner = None if cluster is None else Elsewhere(cluster)
    threads = workers if cluster is None else max(map(len, stages))
    with progress_bar() as bar, side_by_side(threads, runner) as (pool, children):
        for stage in stages:
            futures = [pool.submit(_cell, out, name, words, bar, children) for name, words in stage.items()]
            for future in futures:
                future.result()


def _cell(out: Path, name: str, words: Sequence[str], bar: Progress, children: Runner) -> None:
    """Train one cell, continue it, or leave it if it has ended."""
    directory = out / name
    line = bar.add_task(name, total=None)
    if run_has_ended(directory):
        bar.update(line, total=1, completed=1)
        return
    words = [str(out / w) if w.startswith("pretrain/") else w for w in words]
    children.run([*words, "--out", str(directory)], directory, _shown(bar, line, name))


def _shown(bar: Progress, line: Any, name: str) -> Callable[[str, int, int], None]:
    def show(phase: str, step: int, total: int) -> None:
        bar.update(line, description=f"{name}, {phase}", completed=step, total=total)

    return show


def run_has_ended(directory: Path) -> bool:
    """Whether a run of training has been trained to its end."""
    return (directory / "config.json").exists() and finished(directory, run_config(directory))


def state_of_run(directory: Path) -> str:
    """How far a run is, in words."""
    if not (directory / "config.json").exists():
        return "not begun"
    if finished(directory, run_config(directory)):
        return "ended"
    progress = directory / "progress.json"
    if not progress.exists():
        return "begun"
    seen, age = read_json(progress), max(0.0, time.time() - progress.stat().st_mtime)  # a clock set back
    return f"{seen['phase']}, step {seen['step']} of {seen['total']}, last seen {age:.0f} s ago"


def show_cells(out: Path) -> None:
    """How far each cell of a matrix is."""
    table = Table("cell", "state", title=str(out))
    for name in read_json(out / PLAN)["cells"]:
        table.add_row(name, state_of_run(out / name))
    console.print(table)


def report(out: Path, plan: dict[str, Any]) -> None:
    """transfer.json, tables in Markdown, and a picture of the curves per online algorithm."""
    names = list(plan["cells"])
    offline = {n.split("/")[1]: offline_numbers(out / n) for n in names if n.startswith("pretrain/")}
    online = {n.split("/")[1]: online_numbers(out / n) for n in names if n.startswith("finetune/")}
    for cell, share in min_max_regret(online).items():
        online[cell][MIN_MAX] = share
    in_returns = any("regret/return" in cell["over_seeds"] for cell in online.values())
    tables = [
        _table("offline", OFFLINE_COLUMNS, {method_label(a): x for a, x in offline.items()}),
        _table("the switch", switch_columns(online), {_arrow(cell): x for cell, x in online.items()}),
        _table(
            "online",
            ONLINE_RETURNS if in_returns else ONLINE_COLUMNS,
            {_arrow(cell): x for cell, x in online.items()},
        ),
    ]
    meaning = MEANING if common_dip([*online.values()]) == DIP else f"{MEANING} {WITHOUT_EPISODES}"
    meaning += f" {IN_RETURNS}" * in_returns
    protocols = protocol_tables(out, offline, online)
    _print(tables)
    console.print(meaning, style="dim")
    _print(protocols)
    text = "\n".join(markdown(title, columns, rows) for title, columns, rows in [*tables, *protocols])
    write_text(
        out / "transfer.md",
        f"`{plan['command_line']}`\n\nMeans over seeds, 95 % t intervals.\n\n{text}\n{meaning}\n",
    )
    pictures = []
    for b in dict.fromkeys(cell.split("-")[1] for cell in online):
        pairs = [
            CurvePair(method_label(a), out / "pretrain" / a, out / "finetune" / f"{a}-{b}")
            for a in offline
            if f"{a}-{b}" in online
        ]
        pictures += draw_curves(pairs, out / f"curves-{b}")
    about = {key: plan[key] for key in ("command_line", "task", "versions")}
    write_json(out / "transfer.json", about | {"offline": offline, "online": online})  # last: all is there
    for path in (out / "transfer.json", out / "transfer.md", *pictures):
        wrote(path)


def _print(tables: Iterable[tuple[str, list[str], Rows]]) -> None:
    for title, columns, rows in tables:
        shown = Table("", *columns, title=title)
        for row in rows:
            shown.add_row(*row)
        console.print(shown)


def protocol_tables(
    out: Path, offline: Iterable[str], online: Iterable[str]
) -> list[tuple[str, list[str], Rows]]:
    """What every method was given, a row per setting: whether the numbers can be compared."""
    given = {
        "what was given offline": {method_label(a): offline_protocol(out / "pretrain" / a) for a in offline},
        "what was given online": {_arrow(cell): online_protocol(out / "finetune" / cell) for cell in online},
    }
    return [(title, *columns_and_rows(methods)) for title, methods in given.items()]


def columns_and_rows(methods: Mapping[str, Protocol]) -> tuple[list[str], Rows]:
    """A column per method, a row per setting."""
    first = next(iter(methods.values()))
    return [*methods], [[name, *(given[name] for given in methods.values())] for name in first]


def _arrow(cell: str) -> str:
    a, b = cell.split("-")
    return f"{method_label(a)} → {method_label(b)}"


def switch_columns(cells: Mapping[str, Any]) -> dict[str, int]:
    """The columns of the table of the switch; with the raw dip of all cells if one of them has no other."""
    raw = {RAW_DIP: 2} if common_dip([*cells.values()]) == RAW_DIP else {}
    return {
        name: digits
        for column in SWITCH_COLUMNS.items()
        for name, digits in ([column, *raw.items()] if column[0] == DIP else [column])
    }


Rows = list[list[str]]


def _table(
    title: str, columns: dict[str, int], cells: dict[str, dict[str, Any]]
) -> tuple[str, list[str], Rows]:
    rows = []
    for label, numbers in cells.items():
        means = {name: Mean(**value) for name, value in numbers["over_seeds"].items()}
        of = len(numbers["seeds"])
        shown = {name: means[name].text(digits, of) for name, digits in columns.items() if name in means}
        if "monotone" in numbers:
            shown[MONOTONE] = monotone_text(numbers["monotone"])
        if MIN_MAX in numbers:
            shown[MIN_MAX] = f"{numbers[MIN_MAX]:.2f}"
        rows.append([label, *(shown.get(name, "") for name in columns)])
    return title, [_heading(name) for name in columns], rows


def _heading(name: str) -> str:
    """`recovery steps` for `switch/recovery_steps`, in words that a narrow column can break between."""
    return name.removeprefix("switch/").replace("/", " ").replace("_", " ")


def monotone_text(found: Mapping[str, Any]) -> str:
    """`2 monotone, 1 undecided; mean: undecided`."""
    seeds = ", ".join(f"{count} {name}" for name, count in found["seeds"].items() if count)
    return f"{seeds}; mean: {found['mean']['verdict']}" if found["mean"] else seeds


def markdown(title: str, columns: list[str], rows: Rows) -> str:
    return f"## {title}\n\n{markdown_table(['', *columns], rows)}\n"


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UserError(f"{text!r}: name each algorithm once, separated by commas")
    return names


def _pair(text: str) -> tuple[str, str]:
    a, dash, b = text.partition("-")
    if not dash:
        raise UserError(f"--also {text!r} is not of the form OFFLINE-ONLINE")
    return a, b


def _only(items: Sequence[str]) -> dict[str, list[str]]:
    options = {}
    for item in items:
        name, equals, words = item.partition("=")
        if not equals:
            raise UserError(f"--only {item!r} is not of the form ALGORITHM=OPTIONS")
        options[name] = split("--only", words)
    return options
