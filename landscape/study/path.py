"""What every study of a path shares: two ends, returns along it, verdicts, and what its files hold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landscape.evaluate import Evaluation, Point, Progress, evaluate
from landscape.statistics import PathReport, analyse_path, falls
from landscape.study.common import (
    Margin,
    Study,
    check_complete,
    describe_evaluation,
    describe_policy,
    episode_arrays,
    failures,
    fields_of,
    part_of,
    plain,
    score_range,
)
from smac.policies import ActorSpec, PolicyCheckpoint
from smac.rollout import Rollouts
from smac.tasks import Task


@dataclass(frozen=True, repr=False, kw_only=True)
class PathStudy(Study):
    """Returns along a path from one policy to another, and what they say.

    Row k of the rollouts [points, episodes] is the policy at alphas[k]; 0 is *from* and 1 is *to*.
    """

    task: Task
    start: PolicyCheckpoint
    end: PolicyCheckpoint
    alphas: np.ndarray
    evaluation: Evaluation
    rollouts: Rollouts
    report: PathReport
    margin: Margin
    straight: Rollouts | None = None
    """On the straight line that the path is compared with, at the same alphas."""
    straight_report: PathReport | None = None

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What only this kind of path has to say, as plain values."""

    @property
    def fields(self) -> dict[str, np.ndarray]:
        """Return, length, success, score and others at every point, [points], by name."""
        return fields_of(self.task, self.rollouts)

    @property
    def failures(self) -> dict[str, int]:
        """How many episodes did not finish, by status."""
        return failures(self.rollouts)

    def to_json(self) -> dict[str, Any]:
        numbers, found = self.report.numbers, self.report
        contents = describe_evaluation(self.task, self.evaluation) | {
            "from": describe_policy(self.start),
            "to": describe_policy(self.end),
            **self.about(),
            "field": "return",
            "points": len(self.alphas),
            "margin": {"delta": self.margin.delta, "source": self.margin.source},
            "fields": {name: plain(values) for name, values in self.fields.items()},
            "failures": self.failures,
            "analysis": found.to_json(),
            "verdict": found.verdict,
            "monotone": found.monotone,
            "falls": falls(numbers.J_0, numbers.J_1, found.DD, self.margin.delta),
        }
        if self.straight_report is not None:
            contents["straight"] = {
                "alphas": self.alphas.tolist(),
                "analysis": self.straight_report.to_json(),
                "verdict": self.straight_report.verdict,
            }
        return contents | {"sentence": self.sentence}

    def arrays(self) -> dict[str, np.ndarray]:
        found = {"alphas": self.alphas} | self.places()
        found |= episode_arrays(self.rollouts, self.evaluation, (len(self.alphas),))
        if self.straight is None:
            return found
        return found | {f"straight_{name}": values for name, values in vars(self.straight).items()}

    def places(self) -> dict[str, np.ndarray]:
        """Where the points are, in addition to their alphas."""
        return {}


def analysed(
    rollouts: Rollouts,
    alphas: np.ndarray,
    task: Task,
    margin: Margin,
    *,
    confidence: float,
    evaluation: Evaluation,
) -> PathReport:
    """`analyse_path` of what was played; `Incomplete` where this was one share of a study."""
    check_complete(rollouts, evaluation)
    return analyse_path(
        rollouts.returns,
        alphas,
        margin=margin.delta,
        failure=score_range(task),
        confidence=confidence,
        seed=evaluation.seed,
    )


def play_in_turn(
    spec: ActorSpec,
    task: Task,
    paths: Sequence[Iterable[Point]],
    points: int,
    evaluation: Evaluation,
    progress: Progress | None,
) -> list[Rollouts]:
    """Several paths of as many points, each on the same episodes."""
    each = points * evaluation.episodes
    return [
        evaluate(
            spec, task, path, points, evaluation, progress=part_of(progress, k * each, len(paths) * each)
        )
        for k, path in enumerate(paths)
    ]
