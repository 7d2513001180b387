"""Every episode of every evaluation of a run, in `evaluations.npz`; metrics.csv has their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from smac.envs import tells_success
from smac.errors import UserError
from smac.files import write_atomically
from smac.rollout import Rollouts
from smac.tasks import Task

EVALUATIONS = "evaluations.npz"


@dataclass(frozen=True)
class Evaluations:
    """Results [evaluations, seeds, episodes]; NaN where an episode failed, or the task has no such number.

    Every evaluation plays the same episodes, so these are paired over evaluations and seeds.
    """

    steps: np.ndarray  # int64 [evaluations], as in metrics.csv
    seeds: np.ndarray  # int64 [seeds], training seeds
    episode_seeds: np.ndarray  # int64 [episodes], of the environment
    returns: np.ndarray  # float64
    scores: np.ndarray  # float64
    successes: np.ndarray  # float32, 0 or 1

    @classmethod
    def of(
        cls, step: int, seeds: Sequence[int], episode_seeds: Sequence[int], task: Task, played: Rollouts
    ) -> Self:
        """One evaluation, from rollouts [seeds, episodes]."""
        finished = np.isfinite(played.returns)
        told = finished & tells_success(task, played.successes)
        return cls(
            np.array([step], np.int64),
            np.array(seeds, np.int64),
            np.array(episode_seeds, np.int64),
            played.returns[None],
            np.asarray(task.score(played.returns, played.solved))[None],
            np.where(told, played.successes, np.nan).astype(np.float32)[None],
        )

    def followed_by(self, later: Evaluations) -> Evaluations:
        """With the evaluations of `later` at the end."""
        return replace(
            self,
            **{
                name: np.concatenate([getattr(self, name), getattr(later, name)])
                for name in ("steps", "returns", "scores", "successes")
            },
        )

    def first(self, count: int) -> Evaluations:
        """The first `count` evaluations alone."""
        return replace(
            self,
            **{name: getattr(self, name)[:count] for name in ("steps", "returns", "scores", "successes")},
        )

    def write(self, directory: Path) -> Path:
        """`evaluations.npz`, atomically; the same results give the same bytes."""
        arrays: dict[str, Any] = vars(self)
        return write_atomically(directory / EVALUATIONS, lambda path: np.savez_compressed(path, **arrays))


def read_evaluations(directory: Path) -> Evaluations | None:
    """Those of a run; None if it has none, as one of an older version. UserError if the file is damaged."""
    path = directory / EVALUATIONS
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Evaluations(*(arrays[f.name] for f in fields(Evaluations)))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
