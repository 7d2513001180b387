"""`landscape demo`: the whole idea once, from collecting data to a verdict on two pairs of checkpoints.

It runs the commands a user would type, each in a process of its own, and writes them on its page. What has
ended is not run again, so the same command goes on where one was killed.
"""

from __future__ import annotations

import itertools
import os
import shlex
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from analysis_cli.console import command_line, console, duration, progress_bar
from analysis_cli.dry import Planned, lasting, together
from analysis_cli.ended import has_ended
from analysis_cli.processes import side_by_side
from analysis_cli.rehearsal import rehearsal
from analysis_cli.studies.evaluation import FILES, REQUEST, check_asked, end
from analysis_cli.studies.evaluation import has_ended as study_has_ended
from figures.curves import CurvePair, draw_curves
from figures.line.still import draw_lines
from figures.pages import DemoMethod, demo_headlines, demo_page
from smac.errors import UserError
from smac.files import check_free, default_directory, new_directory, read_json, write_json
from smac.locks import only_writer

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
COLLECT = "--episodes 400"
LANDSCAPE = "--points 21 --episodes 200"
PAGE = "demo.html"


@dataclass(frozen=True)
class Demo:
    """Collect, pre-train SMAC and Cal-QL, fine-tune both with SAC, and judge the line between each pair.

    It takes some minutes. With the --out of one that was killed it goes on where that stopped.
    """

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
        self._check()
        out = self.out or default_directory("demo")
        resumed = begun(out, self.seed)
        if not resumed:
            write_json(new_directory(out) / REQUEST, asked(self.seed) | {FILES: None})
        again = shlex.join(["landscape", "demo", "--seed", str(self.seed), "--out", str(out)])
        told = (
            f"The demo goes on in {out}." if resumed else f"The demo takes some minutes and writes to {out}."
        )
        console.print(f"{told} If it is interrupted, `{again}` continues it.", markup=False)
        with only_writer(out):
            self._carry_out(out, resumed)

    def planned(self) -> Planned:
        self._check()
        out = self.out or default_directory("demo")
        begun(out, self.seed)
        commands = Commands(out, self.seed, self.workers)
        with rehearsal(self.workers) as rehearsed:
            plans = {one: rehearsed.planned(one.words) for one in commands.all()}
        left = {one: plan for one, plan in plans.items() if not one.has_ended}
        parts = [f"{one.name}: about {duration(plan.seconds)}" for one, plan in left.items()]
        whole = together(f"{len(left)} commands", left.values(), parts)
        lines = [sum(left[one].seconds for one in commands.train(a) if one in left) for a in NAMES]
        return replace(whole, seconds=whole.seconds - sum(lines) + lasting(lines, self.workers))

    def _check(self) -> None:
        for name, least in (("workers", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} must be at least {least}, got {getattr(self, name)}")

    def _carry_out(self, out: Path, resumed: bool) -> None:
        started = time.monotonic()
        commands = Commands(out, self.seed, self.workers)
        carry_out(commands)
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
        typed = [command_line("landscape"), *(shlex.join(one.words) for one in commands.all())]
        pictures = [
            *draw_lines([m.landscape_dir for m in methods], out / "landscapes"),
            *draw_curves(
                [CurvePair(m.name, m.pretrain_dir, m.finetune_dir) for m in methods], out / "curves"
            ),
        ]
        wall = None if resumed else seconds
        page = demo_page(methods, out / PAGE, commands=typed, wall_seconds=wall)
        console.print(f"done in {seconds:.0f} s")
        end(out, [*pictures, page])


def asked(seed: int) -> dict[str, str]:
    """What decides the demo."""
    return {"command": "demo", "seed": str(seed)}


def begun(out: Path, seed: int) -> bool:
    """Whether the demo of a directory was begun before; UserError if it has ended, or is another's."""
    if not (out / REQUEST).exists():
        check_free(out)
        return False
    if study_has_ended(out, PAGE):
        raise UserError(
            f"{out}: holds a finished demo, open {out / PAGE}; choose another --out for a new one"
        )
    check_asked(out, asked(seed))
    return True


@dataclass(frozen=True)
class Command:
    """A command of the demo, the directory that it writes to, and the file there when it has ended."""

    words: tuple[str, ...]
    directory: Path
    done: str

    @property
    def name(self) -> str:
        """`smac pretrain (smac/pretrain)`."""
        verb = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), self.words))
        return f"{verb} ({self.directory.parent.name}/{self.directory.name})"

    @property
    def has_ended(self) -> bool:
        return has_ended(self.directory / self.done)


def command(line: str, *paths: object, done: str) -> Command:
    """From its words and further ones that are not split; the last path is where it writes."""
    words = (*shlex.split(line), *map(str, paths))
    return Command(words, Path(words[-1]), done)


@dataclass(frozen=True)
class Commands:
    """What the demo runs."""

    out: Path
    seed: int
    workers: int

    def collect(self) -> Command:
        return command(
            f"smac data collect --task {TASK} --dataset {DATASET} {COLLECT} "
            f"--seed {self.seed} --workers {self.workers}",
            "--out", self.out / "datasets", done=f"{DATASET}/data/metadata.json",
        )  # fmt: skip

    def train(self, algorithm: str) -> list[Command]:
        folder = self.out / algorithm
        checkpoint = folder / "pretrain" / f"seed-{self.seed}" / "offline.safetensors"
        return [
            command(
                f"smac pretrain --task {TASK} --algorithm {algorithm} --dataset {DATASET} "
                f"--seed {self.seed} {PRETRAIN[algorithm]}",
                "--data-root", self.out / "datasets", "--out", folder / "pretrain", done="config.json",
            ),
            command(
                f"smac finetune {FINETUNE}",
                "--from", checkpoint, "--out", folder / "finetune", done="config.json",
            ),
        ]  # fmt: skip

    def interpolate(self, algorithm: str) -> Command:
        seed = self.out / algorithm / "finetune" / f"seed-{self.seed}"
        return command(
            f"landscape interpolate {LANDSCAPE} --seed {self.seed} --workers {self.workers}",
            "--from", seed / "offline.safetensors", "--to", seed / "online.safetensors",
            "--out", self.out / algorithm / "interpolate", done="result.json",
        )  # fmt: skip

    def all(self) -> list[Command]:
        trained = [one for algorithm in NAMES for one in self.train(algorithm)]
        return [self.collect(), *trained, *map(self.interpolate, NAMES)]


def carry_out(commands: Commands) -> None:
    """Run what has not ended, methods side by side; progress moves the bars."""
    workers = min(commands.workers, len(NAMES))
    with progress_bar() as bar, side_by_side(workers) as (pool, children):

        def run(name: str, *line: Command) -> None:
            task = bar.add_task(name, total=None)

            def show(phase: str, step: int, total: int) -> None:
                bar.update(task, description=f"{name}, {phase}", completed=step, total=total)

            for one in line:
                if not one.has_ended:
                    children.run(one.words, one.directory, show)
            bar.update(task, total=1, completed=1)

        run("collecting episodes", commands.collect())
        for future in [pool.submit(run, NAMES[a], *commands.train(a)) for a in NAMES]:
            future.result()
        for a in NAMES:
            run(f"{NAMES[a]} landscape", commands.interpolate(a))
