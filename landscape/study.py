"""The verbs of the toolkit as plain functions; each returns a frozen result with `to_json` and `write`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landscape.evaluate import evaluate
from landscape.geometry import check_same_layout, distance, line, line_alphas
from landscape.policies import PolicyCheckpoint, load_policy, of_one_kind
from landscape.statistics import PathReport, analyse_path, sentence
from smac.errors import UserError
from smac.files import write_atomically, write_json
from smac.provenance import versions
from smac.rollout import Rollouts, episode_seeds
from smac.tasks import Task, get_task

FORMAT = 1


@dataclass(frozen=True)
class Margin:
    """The depth of a valley that does not matter, and where that number comes from."""

    delta: float
    source: str


@dataclass(frozen=True)
class Interpolation:
    """Returns on the straight line between two policies, and what they say.

    Row k of the rollouts [points, episodes] is the policy at alphas[k]; 0 is *from* and 1 is *to*.
    """

    task: Task
    start: PolicyCheckpoint
    end: PolicyCheckpoint
    alphas: np.ndarray
    seeds: list[int]
    rollouts: Rollouts
    report: PathReport
    margin: Margin
    actions: str
    study_seed: int

    @property
    def sentence(self) -> str:
        """The verdict in plain words, with a warning where success is out of the picture altogether."""
        text = sentence(self.report, self.start.name, self.end.name)
        if not self.rollouts.successes.any():
            text += " No episode succeeded at any point, so this says nothing about solving the task."
        return text

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "interpolate",
            "format_version": FORMAT,
            "task": self.task.name,
            "reward_convention": self.task.reward_convention,
            "from": _describe(self.start),
            "to": _describe(self.end),
            "distance": distance(self.start.params, self.end.params),
            "field": "return",
            "points": len(self.alphas),
            "episodes": len(self.seeds),
            "actions": self.actions,
            "seed": self.study_seed,
            "margin": {"delta": self.margin.delta, "source": self.margin.source},
            "success": self.rollouts.successes.mean(axis=1).tolist(),
            "analysis": self.report.to_json(),
            "verdict": self.report.verdict,
            "sentence": self.sentence,
            "versions": versions(),
        }

    def write(self, directory: Path, command: str) -> None:
        """`returns.npz` with every episode's result, then `result.json`, each atomically."""
        arrays: dict[str, Any] = {
            "alphas": self.alphas,
            "returns": self.rollouts.returns,
            "episode_seeds": np.asarray(self.seeds, dtype=np.int64),
            "lengths": self.rollouts.lengths,
            "successes": self.rollouts.successes,
        }
        write_atomically(directory / "returns.npz", lambda path: np.savez_compressed(path, **arrays))
        write_json(directory / "result.json", self.to_json() | {"command": command})


def interpolate(
    start: Path | str,
    end: Path | str,
    *,
    points: int = 21,
    episodes: int = 20,
    extrapolate: float = 0.0,
    margin: float | None = None,
    stochastic: bool = False,
    seed: int = 0,
    workers: int = 1,
    confidence: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> Interpolation:
    """Evaluate the straight line theta(alpha) = (1 - alpha) start + alpha end of the actors' parameters.

    Every point plays the same `episodes` episodes. The margin is 5 % of the task's score range if not given.
    Raises UserError where the two checkpoints have no line between them, or an option makes no sense.
    """
    a, b = load_policy(start), load_policy(end)
    if a.description.task != b.description.task:
        raise UserError(
            f"{a.path} is of task {a.description.task} but {b.path} is of task {b.description.task}; "
            "compare two checkpoints of one task"
        )
    a, b = of_one_kind(a, b, stochastic=stochastic)
    if a.spec != b.spec:
        raise UserError(
            f"{a.path} and {b.path} have actors of different architectures: {a.spec} and {b.spec}"
        )
    check_same_layout(a.params, b.params, str(a.path), str(b.path))
    if episodes < 1:
        raise UserError(f"--episodes must be at least 1, got {episodes}")
    if points < 3:
        raise UserError(f"--points must be at least 3 (both ends and one between), got {points}")
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}")
    task = get_task(a.description.task)
    allowed = _margin(task, margin)
    alphas, seeds = line_alphas(points, extrapolate), episode_seeds(seed, episodes)
    rollouts = evaluate(
        a.spec,
        task,
        line(a.params, b.params, alphas),
        len(alphas),
        seeds,
        stochastic=stochastic,
        workers=workers,
        progress=progress,
    )
    report = analyse_path(rollouts.returns, alphas, margin=allowed.delta, confidence=confidence, seed=seed)
    actions = "sampled" if stochastic else "mean"
    return Interpolation(task, a, b, alphas, seeds, rollouts, report, allowed, actions, seed)


def _margin(task: Task, given: float | None) -> Margin:
    if given is None:
        return Margin(task.margin, f"5 % of the score range of {task.name}")
    if not (np.isfinite(given) and given >= 0):
        raise UserError(f"--margin must be a finite return difference >= 0, got {given}")
    return Margin(given, "given with --margin")


def _describe(policy: PolicyCheckpoint) -> dict[str, Any]:
    about = policy.description
    return {
        "path": str(policy.path),
        "algorithm": about.algorithm,
        "moment": about.moment,
        "step": about.step,
        "seed": about.seed,
        "actor": policy.spec.kind,
        "converted": policy.converted,
    }
