"""`trajectory`: the return along the way that fine-tuning really took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from landscape.evaluate import DEFAULT, Evaluation, Progress, evaluate
from landscape.geometry import (
    TrajectoryPlane,
    as_vector,
    distance,
    flatten,
    layout_of,
    plane_of_trajectory,
    polyline,
)
from landscape.statistics import monotone_sentence, sentence
from landscape.study.common import describe_policy, labels, load_policies, none_solved, path_margin
from landscape.study.path import PathStudy, analysed
from landscape.study.runs import Source, in_order
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.tasks import get_task

Along = Literal["steps", "distance"]


@dataclass(frozen=True)
class Path:
    """The way through parameter space: straight legs from one checkpoint to the next."""

    legs: np.ndarray
    """Euclidean length of every leg, [checkpoints - 1]."""
    straight: float
    """Distance of the last checkpoint from the first."""
    plane: TrajectoryPlane | None
    """Principal components with their null; None where the checkpoints lie on a line."""

    @property
    def travelled(self) -> np.ndarray:
        """Distance travelled up to every checkpoint, [checkpoints]."""
        return np.concatenate([[0.0], np.cumsum(self.legs)])

    @property
    def detour(self) -> float:
        """Length over the straight distance; infinite where it ends where it began."""
        return float(self.travelled[-1] / self.straight) if self.straight else np.inf

    def to_json(self) -> dict[str, Any]:
        return {
            "legs": self.legs.tolist(),
            "length": float(self.travelled[-1]),
            "straight": self.straight,
            "length_ratio": self.detour if np.isfinite(self.detour) else None,
            "plane": None if self.plane is None else self.plane.to_json(),
        }


@dataclass(frozen=True, repr=False, kw_only=True)
class Trajectory(PathStudy):
    """Returns of the checkpoints of a training run, in their order; each is a point of the path."""

    kind = "trajectory"
    policies: tuple[PolicyCheckpoint, ...]
    names: tuple[str, ...]
    steps: np.ndarray
    """Environment steps of fine-tuning, [checkpoints]; an offline checkpoint has taken none."""
    along: Along
    path: Path

    @property
    def sentence(self) -> str:
        """Is there a valley on the way, does the return ever fall, and how straight was the way?"""
        report = self.report
        text = sentence(report, self.names[0], self.names[-1], where="along the fine-tuning trajectory")
        if report.verdict == "valley":
            lowest = int(np.flatnonzero(self.alphas == report.numbers.location)[0])
            text += f" The lowest checkpoint is {self.names[lowest]}."
        text += f" {monotone_sentence(report, straight=False, later='checkpoint')}"
        if np.isfinite(self.path.detour):
            text += f" The trajectory is {self.path.detour:.2f} times as long as the straight line."
        return text + none_solved(self.task, self.rollouts)

    def about(self) -> dict[str, Any]:
        return {
            "distance": self.path.straight,
            "moving": [],
            "along": self.along,
            "checkpoints": self._checkpoints(),
            "path": self.path.to_json(),
        }

    def _checkpoints(self) -> list[dict[str, Any]]:
        """Every checkpoint with its environment steps, alpha, and the distance travelled up to it."""
        columns = (self.policies, self.names, self.steps, self.alphas, self.path.travelled)
        return [
            describe_policy(policy)
            | {"name": name, "step": int(step), "alpha": float(alpha), "distance": float(far)}
            for policy, name, step, alpha, far in zip(*columns, strict=True)
        ]

    def places(self) -> dict[str, np.ndarray]:
        return {"steps": self.steps, "distances": self.path.travelled}


def trajectory(
    checkpoints: Sequence[Source],
    *,
    along: Along = "steps",
    every: int = 1,
    margin: float | None = None,
    confidence: float = 0.95,
    evaluation: Evaluation = DEFAULT,
    progress: Progress | None = None,
) -> Trajectory:
    """Evaluate checkpoints in the order of training, or those of a run's `seed-K` folder.

    `along` says what alpha is a share of: environment steps, or the distance travelled through parameter
    space; 0 is the first checkpoint and 1 the last. `every` keeps each N-th checkpoint, and the last. Raises
    UserError where two that follow each other are equal or of one step, or fewer than three are left.
    """
    if every < 1:
        raise UserError(f"--every must be at least 1, got {every}")
    sources = _thinned(in_order(checkpoints), every)
    if len(sources) < 3:
        raise UserError(
            f"a trajectory needs at least 3 checkpoints (both ends and one between), got {len(sources)}"
        )
    policies = load_policies(sources, evaluation)
    names = labels(policies)
    task = get_task(policies[0].description.task)
    allowed = path_margin(task, margin, confidence)
    path = way_through(policies, names, seed=evaluation.seed)
    steps = np.array([online_steps(policy) for policy in policies])
    alphas = _progress(steps, names) if along == "steps" else path.travelled / path.travelled[-1]
    points = (policy.params for policy in policies)
    rollouts = evaluate(policies[0].spec, task, points, len(policies), evaluation, progress=progress)
    report = analysed(rollouts, alphas, task, allowed, confidence=confidence, evaluation=evaluation)
    return Trajectory(
        task=task, start=policies[0], end=policies[-1], alphas=alphas, evaluation=evaluation,
        rollouts=rollouts, report=report, margin=allowed, policies=tuple(policies), names=tuple(names),
        steps=steps, along=along, path=path,
    )  # fmt: skip


def online_steps(policy: PolicyCheckpoint) -> int:
    """Environment steps of fine-tuning; the steps of an offline checkpoint are gradient steps before it."""
    return 0 if policy.description.moment == "offline" else policy.description.step


def way_through(policies: Sequence[PolicyCheckpoint], names: Sequence[str], *, seed: int = 0) -> Path:
    """The legs between checkpoints, none of length 0, and their principal components if they have two."""
    layout = layout_of(policies[0].params)
    vectors = {
        name: as_vector(flatten(policy.params, layout), str(policy.path))
        for name, policy in zip(names, policies, strict=True)
    }
    control = polyline(vectors).control
    try:
        plane = plane_of_trajectory(vectors, seed=seed)
    except UserError:  # a straight line has no second component
        plane = None
    legs = np.linalg.norm(np.diff(control, axis=0), axis=1)
    return Path(legs, distance(policies[0].params, policies[-1].params), plane)


def _progress(steps: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Shares of the steps, exactly 0 and 1 at the ends; UserError unless they increase."""
    late = np.flatnonzero(np.diff(steps) <= 0)
    if len(late):
        k = int(late[0])
        raise UserError(
            f"{names[k + 1]!r} (step {steps[k + 1]}) does not come after {names[k]!r} (step {steps[k]}); "
            "name checkpoints in the order of training, each once, or use --along distance"
        )
    return (steps - steps[0]) / (steps[-1] - steps[0])


def _thinned(sources: Sequence[Source], every: int) -> list[Source]:
    return [*sources[:-1:every], *sources[-1:]]
