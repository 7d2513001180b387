"""`landscape demo`: the whole idea once, from collecting data to a verdict on two pairs of checkpoints.

It runs the commands a user would type, each in a process of its own, and prints them.
"""

from __future__ import annotations

import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.progress import Progress, TaskID

from analysis_cli.console import command_line, console, progress_bar, wrote
from analysis_cli.processes import Runner, side_by_side
from figures.curves import CurvePair, draw_curves
from figures.line.still import draw_lines
from figures.pages import DemoMethod, demo_headlines, demo_page
from smac.errors import UserError
from smac.files import default_directory, new_directory, read_json

TASK, DATASET = "pointmaze-umaze", "demo/pointmaze-umaze-v0"
NAMES = {"smac": "SMAC", "cal_ql": "Cal-QL"}
# Small networks, large learning rates and few steps, so that it ends in minutes on two cores.
FAST = (
    "--hidden 64 64 --actor-lr 1e-3 --critic-lr 1e-3 --temperature-lr 1e-3 --target-rate 0.01 "
    "--initial-temperature 0.1 --steps 4000 --log-every 500 --eval-every 1000"
)
PRETRAIN = {
    "smac": f"{FAST} --diffusion-steps 2000 --diffusion-hidden 64 64",
    "cal_ql": f"{FAST} --cql-actions 4 --cql-alpha 5",
}
# SAC's usual rates, so that there is something to see: with this task's own, the actor is thirty times slower
FINETUNE = (
    "--actor-lr 3e-4 --critic-lr 3e-4 --temperature-lr 3e-4 --target-rate 0.005 --steps 4000 "
    "--eval-every 250 --log-every 250 --trajectory-every 500"
)
LANDSCAPE = "--points 21 --episodes 200"


@dataclass(frozen=True)
class Demo:
    """Collect, pre-train SMAC and Cal-QL, fine-tune both with SAC, and judge the line between each pair."""

    examples: ClassVar = (
        "landscape demo",
        "landscape demo --workers 2 --out demo",
    )
    often: ClassVar = ("workers", "out")
    seed: int = 0
    """Seed of everything."""
    workers: int = os.cpu_count() or 1
    """Processes at a time."""
    out: Path | None = None
    """Directory of the demo; default: a new one in runs/."""

    def run(self) -> None:
        if self.workers < 1:
            raise UserError(f"--workers must be at least 1, got {self.workers}")
        started = time.monotonic()
        out = new_directory(self.out or default_directory("demo"))
        console.print(f"The demo takes some minutes and writes to {out}.", markup=False)
        workers = min(self.workers, len(NAMES))
        with progress_bar() as bar, side_by_side(workers) as (pool, children):
            stages = Stages(out, self.seed, self.workers, bar, children)
            stages.collect()
            for future in [pool.submit(stages.train, algorithm) for algorithm in NAMES]:
                future.result()
            for algorithm in NAMES:
                stages.interpolate(algorithm)
        methods = [
            DemoMethod(NAMES[a], out / a / "pretrain", out / a / "finetune", out / a / "interpolate")
            for a in NAMES
        ]
        for line, algorithm in zip(demo_headlines(methods), NAMES, strict=True):
            console.print(line, style="bold", markup=False)
            console.print(
                read_json(out / algorithm / "interpolate" / "result.json")["sentence"], markup=False
            )
        seconds = time.monotonic() - started
        commands = [command_line("landscape"), *stages.commands]
        pictures = [
            *draw_lines([m.landscape_dir for m in methods], out / "landscapes"),
            *draw_curves(
                [CurvePair(m.name, m.pretrain_dir, m.finetune_dir) for m in methods], out / "curves"
            ),
        ]
        page = demo_page(methods, out / "demo.html", commands=commands, wall_seconds=seconds)
        console.print(f"done in {seconds:.0f} s")
        for path in (*pictures, page):
            wrote(path)


class Stages:
    """The demo's commands, run as processes; their progress moves the bars."""

    def __init__(self, out: Path, seed: int, workers: int, bar: Progress, children: Runner) -> None:
        self.out, self.seed, self.workers, self.bar, self.children = out, seed, workers, bar, children
        self.commands: list[str] = []

    def collect(self) -> None:
        line = self.bar.add_task("collecting episodes", total=None)
        self.command(
            f"smac data collect --task {TASK} --dataset {DATASET} --episodes 400 "
            f"--seed {self.seed} --workers {self.workers}",
            "--out", str(self.out / "datasets"),
        )  # fmt: skip
        self.bar.update(line, total=1, completed=1)

    def train(self, algorithm: str) -> None:
        name, folder = NAMES[algorithm], self.out / algorithm
        line = self.bar.add_task(name, total=None)
        self.command(
            f"smac pretrain --task {TASK} --algorithm {algorithm} --dataset {DATASET} "
            f"--seed {self.seed} {PRETRAIN[algorithm]}",
            "--data-root", str(self.out / "datasets"), "--out", str(folder / "pretrain"),
            watch=(line, name),
        )  # fmt: skip
        checkpoint = folder / "pretrain" / f"seed-{self.seed}" / "offline.safetensors"
        self.command(
            f"smac finetune {FINETUNE}",
            "--from", str(checkpoint), "--out", str(folder / "finetune"),
            watch=(line, name),
        )  # fmt: skip

    def interpolate(self, algorithm: str) -> None:
        line = self.bar.add_task(f"{NAMES[algorithm]} landscape", total=None)
        seed = self.out / algorithm / "finetune" / f"seed-{self.seed}"
        self.command(
            f"landscape interpolate {LANDSCAPE} --seed {self.seed} --workers {self.workers}",
            "--from", str(seed / "offline.safetensors"), "--to", str(seed / "online.safetensors"),
            "--out", str(self.out / algorithm / "interpolate"),
        )  # fmt: skip
        self.bar.update(line, total=1, completed=1)

    def command(self, line: str, *paths: str, watch: tuple[TaskID, str] | None = None) -> None:
        """Run one command to its end; its last path is the directory it writes to."""
        words = [*shlex.split(line), *paths]
        self.commands.append(shlex.join(words))

        def show(phase: str, step: int, total: int) -> None:
            if watch:
                self.bar.update(watch[0], description=f"{watch[1]}, {phase}", completed=step, total=total)

        self.children.run(words, Path(paths[-1]), show)
