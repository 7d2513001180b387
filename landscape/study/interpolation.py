"""`interpolate`: the straight line between two policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from landscape.evaluate import DEFAULT, Evaluation, Progress, evaluate
from landscape.fields import NO_FIELDS, NOTHING, FieldOptions, Measured, Measurement
from landscape.geometry import Params, distance, hold, line, line_alphas
from landscape.statistics import (
    Adaptive,
    AdaptiveReport,
    PathReport,
    analyse_path,
    falls,
    monotone_sentence,
    sentence,
)
from landscape.study.adaptive import Stages, evaluate_stages, in_stages
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
    none_solved,
    path_margin,
    plain,
    score_range,
)
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.rollout import Rollouts
from smac.tasks import Task, get_task


@dataclass(frozen=True, repr=False)
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
    beside: Measured = NOTHING
    """Fields of the points that cost no episodes."""

    @property
    def sentence(self) -> str:
        """Is there a valley, and does the return ever fall? With a warning where no episode succeeded."""
        text = sentence(self.report, self.start.name, self.end.name)
        text += f" {monotone_sentence(self.report, straight=True)}"
        if isinstance(self.report, AdaptiveReport):
            first = self.report.stages[0].episodes
            text += f" The latter is of the first {first} episodes, which every point has played."
        returns = fields_of(self.task, self.rollouts)["return"]
        return text + self.beside.sentence(returns) + none_solved(self.task, self.rollouts)

    def to_json(self) -> dict[str, Any]:
        fields, numbers = fields_of(self.task, self.rollouts) | self.beside.fields, self.report.numbers
        return describe_evaluation(self.task, self.evaluation) | {
            "from": describe_policy(self.start),
            "to": describe_policy(self.end),
            "distance": distance(self.start.params, self.end.params),
            "moving": self.moving,
            "field": "return",
            "points": len(self.alphas),
            "margin": {"delta": self.margin.delta, "source": self.margin.source},
            "fields": {name: plain(values) for name, values in fields.items()},
            **self.beside.to_json(fields["return"]),
            "failures": self._failures,
            "analysis": self.report.to_json(),
            "verdict": self.report.verdict,
            "monotone": self.report.monotone,
            "falls": falls(numbers.J_0, numbers.J_1, self.report.DD, self.margin.delta),
            "sentence": self.sentence,
        }

    @property
    def _failures(self) -> dict[str, int]:
        """How many episodes did not finish; what an adaptive evaluation did not ask for did not fail."""
        left_out = {"not_played"} if isinstance(self.report, AdaptiveReport) else set()
        return {name: count for name, count in failures(self.rollouts).items() if name not in left_out}

    def arrays(self) -> dict[str, np.ndarray]:
        shape = (len(self.alphas),)
        return {"alphas": self.alphas} | episode_arrays(self.rollouts, self.evaluation, shape)


def _check_apart(a: PolicyCheckpoint, b: PolicyCheckpoint, start: Params, end: Params) -> None:
    """UserError if nothing moves on the line."""
    if all(np.array_equal(values, end[name]) for name, values in start.items()):
        raise UserError(
            f"{a.path} and {b.path} have the same parameters where the line moves: there is nothing between"
        )


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
    beside: FieldOptions = NO_FIELDS,
    adaptive: Adaptive | None = None,
    evaluation: Evaluation = DEFAULT,
    progress: Progress | None = None,
) -> Interpolation:
    """Evaluate the straight line theta(alpha) = (1 - alpha) start + alpha end of the actors' parameters.

    Every point plays the same episodes. The margin is 5 % of the task's score range if not given. `moving`
    names the tensors that move, as patterns such as `net.hidden.0.*`; the rest stays at the end `held_at`.
    `beside` are fields to measure at every point without episodes, such as what a critic thinks of it.
    With `adaptive` only the points whose depth is not settled play on (`landscape.statistics.adaptive`), and
    the episodes of `evaluation` do not count.
    Raises UserError where the two checkpoints have no line between them, or an option makes no sense.
    """
    a, b = load_policies([start, end], evaluation)
    task = get_task(a.description.task)
    allowed = path_margin(task, margin, confidence, points)
    alphas = line_alphas(points, extrapolate)
    ends: Sequence[Any] = (a.params, b.params)
    if moving:
        ends = hold(ends, moving, at=0 if held_at == "from" else -1)
    _check_apart(a, b, *ends)
    measurement = Measurement(beside, [(a, a.name), (b, b.name)], task, evaluation)
    report: PathReport
    if adaptive:
        evaluation = in_stages(evaluation, adaptive)

        def some(rows: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
            return line(ends[0], ends[1], alphas[list(rows)])

        stages = Stages(a.spec, task, some, len(alphas), evaluation, progress)
        rollouts, report = evaluate_stages(
            stages, alphas, adaptive, margin=allowed.delta, confidence=confidence
        )
    else:
        path = line(ends[0], ends[1], alphas)
        rollouts = evaluate(a.spec, task, path, len(alphas), evaluation, progress=progress)
        check_complete(rollouts, evaluation)
        report = analyse_path(
            rollouts.returns,
            alphas,
            margin=allowed.delta,
            failure=score_range(task),
            confidence=confidence,
            seed=evaluation.seed,
        )
    measured = measurement.of(line(ends[0], ends[1], alphas), len(alphas))
    return Interpolation(task, a, b, alphas, evaluation, rollouts, report, allowed, tuple(moving), measured)
