"""`interpolate`: the straight line between two policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from landscape.evaluate import DEFAULT, Evaluation, Progress, evaluate
from landscape.geometry import distance, hold, line, line_alphas
from landscape.policies import PolicyCheckpoint
from landscape.statistics import PathReport, analyse_path, sentence
from landscape.study.common import (
    Margin,
    Study,
    check_complete,
    describe_evaluation,
    describe_policy,
    episode_arrays,
    failures,
    fields_of,
    load_policies,
    margin_of,
    none_solved,
    plain,
)
from smac.errors import UserError
from smac.rollout import Rollouts
from smac.tasks import Task, get_task


@dataclass(frozen=True)
class Interpolation(Study):
    """Returns on the straight line between two policies, and what they say.

    Row k of the rollouts [points, episodes] is the policy at alphas[k]; 0 is *from* and 1 is *to*.
    """

    kind = "interpolate"
    task: Task
    start: PolicyCheckpoint
    end: PolicyCheckpoint
    alphas: np.ndarray
    evaluation: Evaluation
    rollouts: Rollouts
    report: PathReport
    margin: Margin
    moving: tuple[str, ...]
    """Patterns of the tensors that move; () for the whole actor."""

    @property
    def sentence(self) -> str:
        """The verdict in plain words, with a warning where success is out of the picture altogether."""
        text = sentence(self.report, self.start.name, self.end.name)
        return text + none_solved(self.task, self.rollouts)

    def to_json(self) -> dict[str, Any]:
        fields = fields_of(self.task, self.rollouts)
        return describe_evaluation(self.task, self.evaluation) | {
            "from": describe_policy(self.start),
            "to": describe_policy(self.end),
            "distance": distance(self.start.params, self.end.params),
            "moving": self.moving,
            "field": "return",
            "points": len(self.alphas),
            "margin": {"delta": self.margin.delta, "source": self.margin.source},
            "fields": {name: plain(values) for name, values in fields.items()},
            "failures": failures(self.rollouts),
            "analysis": self.report.to_json(),
            "verdict": self.report.verdict,
            "sentence": self.sentence,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        shape = (len(self.alphas),)
        return {"alphas": self.alphas} | episode_arrays(self.rollouts, self.evaluation, shape)


def interpolate(
    start: Path | str | PolicyCheckpoint,
    end: Path | str | PolicyCheckpoint,
    *,
    points: int = 21,
    extrapolate: float = 0.0,
    margin: float | None = None,
    confidence: float = 0.95,
    moving: Sequence[str] = (),
    held_at: Literal["from", "to"] = "from",
    evaluation: Evaluation = DEFAULT,
    progress: Progress | None = None,
) -> Interpolation:
    """Evaluate the straight line theta(alpha) = (1 - alpha) start + alpha end of the actors' parameters.

    Every point plays the same episodes. The margin is 5 % of the task's score range if not given. `moving`
    names the tensors that move, as patterns such as `net.hidden.0.*`; the rest stays at the end `held_at`.
    Raises UserError where the two checkpoints have no line between them, or an option makes no sense.
    """
    if points < 3:
        raise UserError(f"--points must be at least 3 (both ends and one between), got {points}")
    a, b = load_policies([start, end], evaluation)
    task = get_task(a.description.task)
    allowed = margin_of(task, margin)
    alphas = line_alphas(points, extrapolate)
    ends: Sequence[Any] = (a.params, b.params)
    if moving:
        ends = hold(ends, moving, at=0 if held_at == "from" else -1)
    path = line(ends[0], ends[1], alphas)
    rollouts = evaluate(a.spec, task, path, len(alphas), evaluation, progress=progress)
    check_complete(rollouts, evaluation)
    report = analyse_path(
        rollouts.returns, alphas, margin=allowed.delta, confidence=confidence, seed=evaluation.seed
    )
    return Interpolation(task, a, b, alphas, evaluation, rollouts, report, allowed, tuple(moving))
