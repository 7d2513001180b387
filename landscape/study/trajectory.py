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
from landscape.statistics import PathReport, analyse_path, falls, monotone_sentence, sentence
from landscape.study.common import (
    Margin,
    Study,
    check_complete,
    describe_evaluation,
    describe_policy,
    episode_arrays,
    failures,
    fields_of,
    labels,
    load_policies,
    none_solved,
    path_margin,
    plain,
    score_range,
)
from landscape.study.runs import Source, in_order
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.rollout import Rollouts
from smac.tasks import Task, get_task

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


@dataclass(frozen=True, repr=False)
class Trajectory(Study):
    """Returns of the checkpoints of a training run, in their order.

    Row k of the rollouts [checkpoints, episodes] is checkpoint k, at alphas[k] of the way.
    """

    kind = "trajectory"
    task: Task
    policies: tuple[PolicyCheckpoint, ...]
    names: tuple[str, ...]
    steps: np.ndarray
    """Environment steps of fine-tuning, [checkpoints]; an offline checkpoint has taken none."""
    alphas: np.ndarray
    along: Along
    path: Path
    evaluation: Evaluation
    rollouts: Rollouts
    report: PathReport
    margin: Margin

    @property
    def start(self) -> PolicyCheckpoint:
        return self.policies[0]

    @property
    def end(self) -> PolicyCheckpoint:
        return self.policies[-1]

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

    def to_json(self) -> dict[str, Any]:
        fields, numbers = fields_of(self.task, self.rollouts), self.report.numbers
        return describe_evaluation(self.task, self.evaluation) | {
            "from": describe_policy(self.start),
            "to": describe_policy(self.end),
            "distance": self.path.straight,
            "moving": [],
            "field": "return",
            "points": len(self.alphas),
            "along": self.along,
            "checkpoints": self._checkpoints(),
            "path": self.path.to_json(),
            "margin": {"delta": self.margin.delta, "source": self.margin.source},
            "fields": {name: plain(values) for name, values in fields.items()},
            "failures": failures(self.rollouts),
            "analysis": self.report.to_json(),
            "verdict": self.report.verdict,
            "monotone": self.report.monotone,
            "falls": falls(numbers.J_0, numbers.J_1, self.report.DD, self.margin.delta),
            "sentence": self.sentence,
        }

    def _checkpoints(self) -> list[dict[str, Any]]:
        """Every checkpoint with its environment steps, alpha, and the distance travelled up to it."""
        columns = (self.policies, self.names, self.steps, self.alphas, self.path.travelled)
        return [
            describe_policy(policy)
            | {"name": name, "step": int(step), "alpha": float(alpha), "distance": float(far)}
            for policy, name, step, alpha, far in zip(*columns, strict=True)
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        shape = (len(self.alphas),)
        places = {"alphas": self.alphas, "steps": self.steps, "distances": self.path.travelled}
        return places | episode_arrays(self.rollouts, self.evaluation, shape)


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
    check_complete(rollouts, evaluation)
    report = analyse_path(
        rollouts.returns,
        alphas,
        margin=allowed.delta,
        failure=score_range(task),
        confidence=confidence,
        seed=evaluation.seed,
    )
    return Trajectory(
        task,
        tuple(policies),
        tuple(names),
        steps,
        alphas,
        along,
        path,
        evaluation,
        rollouts,
        report,
        allowed,
    )


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
