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
from landscape.statistics import Adaptive, AdaptiveReport, PathReport, monotone_sentence, sentence
from landscape.study.adaptive import Stages, evaluate_stages, in_stages
from landscape.study.common import load_policies, none_solved, path_margin
from landscape.study.path import PathStudy, analysed
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.tasks import get_task


@dataclass(frozen=True, repr=False, kw_only=True)
class Interpolation(PathStudy):
    """Returns on the straight line between two policies, and what they say."""

    kind = "interpolate"
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
        return text + self.beside.sentence(self.fields["return"]) + none_solved(self.task, self.rollouts)

    @property
    def fields(self) -> dict[str, np.ndarray]:
        return super().fields | self.beside.fields

    @property
    def failures(self) -> dict[str, int]:
        """What an adaptive evaluation did not ask for did not fail."""
        left_out = {"not_played"} if isinstance(self.report, AdaptiveReport) else set()
        return {name: count for name, count in super().failures.items() if name not in left_out}

    def about(self) -> dict[str, Any]:
        return {
            "distance": distance(self.start.params, self.end.params),
            "moving": self.moving,
            **self.beside.to_json(self.fields["return"]),
        }


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
        report = analysed(rollouts, alphas, task, allowed, confidence=confidence, evaluation=evaluation)
    measured = measurement.of(line(ends[0], ends[1], alphas), len(alphas))
    return Interpolation(
        task=task, start=a, end=b, alphas=alphas, evaluation=evaluation, rollouts=rollouts, report=report,
        margin=allowed, moving=tuple(moving), beside=measured,
    )  # fmt: skip
