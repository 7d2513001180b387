"""Which part of a training run evaluation takes, with the default schedule."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import smac
from benchmarks.tables import Options, Table
from smac.training.evaluate import Evaluator
from smac.training.recorder import Schedule

TASKS, STEPS, WIDTH, BATCH, SEEDS = ("Pendulum-v1", "pointmaze-umaze@horizon=100"), 300, 64, 256, (1, 5)


def parts(task: str, seeds: int) -> tuple[float, float]:
    """Processor seconds of one evaluation, and of a step of training with its update, of SAC from nothing."""
    spent: list[float] = []
    play = Evaluator.play

    def timed(self: Evaluator, policy):
        began = time.process_time()
        found = play(self, policy)
        spent.append(time.process_time() - began)
        return found

    with tempfile.TemporaryDirectory() as folder:
        Evaluator.play = timed  # type: ignore[method-assign]
        began = time.process_time()
        try:
            smac.train(
                task, "sac", out=Path(folder) / "run", seeds=seeds, steps=STEPS, hidden=(WIDTH, WIDTH),
                batch_size=BATCH, eval_every=STEPS // 2, save_every=0, warmup_steps=10, learning_starts=0,
            )  # fmt: skip
        finally:
            Evaluator.play = play  # type: ignore[method-assign]
        whole = time.process_time() - began
    return min(spent), (whole - sum(spent)) / STEPS


def run(options: Options) -> Table:
    schedule, rows, shares = Schedule(), [], []
    for task in TASKS:
        for seeds in SEEDS:
            evaluation, step = parts(task, seeds)
            shares.append(evaluation / (evaluation + schedule.eval_every * step))
            rows.append(
                (
                    task,
                    seeds,
                    f"{evaluation:.2f}",
                    f"{1e3 * step:.2f}",
                    f"{evaluation / step:.0f}",
                    f"{100 * shares[-1]:.1f}",
                )
            )
            print(rows[-1], flush=True)
    return Table(
        "Evaluation within a training run",
        f"SAC of width {WIDTH}, batch {BATCH}, one update per step; processor time, one thread, of a run of "
        f"{STEPS} steps. The share is that with the default schedule: {schedule.eval_episodes} episodes "
        f"every {schedule.eval_every} steps.",
        (
            "task",
            "seeds",
            "an evaluation, s",
            "a step with its update, ms",
            "evaluation over a step",
            "share, %",
        ),
        rows,
        f"Evaluation takes {100 * min(shares):.1f} to {100 * max(shares):.1f} % of a run.",
    )
