"""Two SAC policies of Pendulum, trained from different seeds as one stack: what other benchmarks play."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import smac
from smac.api import TrainingRun

TASK = "Pendulum-v1@random=-1200,expert=-150"
STEPS = 3000


@contextmanager
def trained(steps: int = STEPS) -> Iterator[TrainingRun]:
    """Seeds 0 and 1, with a checkpoint of the trajectory two thirds on the way; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield smac.train(
            TASK, "sac", out=Path(folder) / "run", seeds=2, steps=steps, hidden=(32, 32), activation="relu",
            batch_size=64, warmup_steps=200, eval_every=steps, eval_episodes=1, trajectory_every=steps // 3,
            actor_lr=1e-3, critic_lr=1e-3, temperature_lr=1e-3, target_rate=0.01, save_every=0,
        )  # fmt: skip
