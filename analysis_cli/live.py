"""A training run in the terminal: a table of its latest metrics over a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.progress import TaskID
from rich.table import Table

from analysis_cli.console import Bars, console
from smac.training.run import Run

# Shown in this order as far as the algorithm has them, for as many seeds as fit
SHOWN = (
    "eval/return", "eval/score", "eval/success", "train/episode_return", "train/episode_success",
    "train/bellman_loss", "train/actor_loss", "train/q_data", "train/q_policy", "train/temperature",
    "train/diffusion_loss", "train/score_matching_loss", "train/tau", "train/cosine_data",
    "train/cosine_policy",
)  # fmt: skip
MOST_SEEDS = 8


class LiveRun(Run):
    """A run that also shows its latest numbers."""

    view: LiveView | None = None

    def log(self, phase: str, step: int, seeds: Sequence[int], metrics: Mapping[str, np.ndarray]) -> None:
        super().log(phase, step, seeds, metrics)
        if self.view:
            self.view.numbers(f"{self.directory}: {phase}, step {step}", self.latest)

    def progress(self, phase: str, step: int, total: int) -> None:
        super().progress(phase, step, total)
        if self.view and (step % 20 == 0 or step == total):
            self.view.progress(phase, step, total)


class LiveView:
    """What the terminal shows; nothing if it is none."""

    def __init__(self) -> None:
        self.bar = Bars()
        self.phases: dict[str, TaskID] = {}
        self.live = Live(self.bar, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        if console.is_terminal and not console.quiet:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def progress(self, phase: str, step: int, total: int) -> None:
        if phase not in self.phases:
            self.phases[phase] = self.bar.add_task(phase, total=total)
        self.bar.update(self.phases[phase], completed=step)

    def numbers(self, title: str, latest: Mapping[int, Mapping[str, float]]) -> None:
        self.live.update(Group(metrics_table(title, latest), self.bar))


def metrics_table(title: str, latest: Mapping[int, Mapping[str, float]]) -> Table:
    """One row per metric, one column per seed, and the mean over seeds."""
    seeds = list(latest)[:MOST_SEEDS]
    table = Table(
        "", *(f"seed {seed}" for seed in seeds), *(["mean"] if len(latest) > 1 else []), title=title
    )
    for name in SHOWN:
        values = [numbers[name] for numbers in latest.values() if name in numbers]
        if values:
            cells = [f"{latest[seed][name]:.4g}" if name in latest[seed] else "" for seed in seeds]
            table.add_row(name, *cells, *([f"{np.mean(values):.4g}"] if len(latest) > 1 else []))
    return table


@contextmanager
def live_run(out: Path, config: Mapping[str, Any], interrupted: Path | None) -> Iterator[Run]:
    """A new run in `out`, or an interrupted one again, shown while it goes."""
    run = LiveRun.reopen(interrupted) if interrupted else LiveRun(out, config)
    with run, LiveView() as view:
        run.view = view
        yield run
