"""Evaluation of a path stage by stage: more episodes only where its points are still open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from landscape.evaluate import Evaluation, Point, Progress, evaluate
from landscape.statistics import Adaptive, AdaptiveReport, analyse_stages
from landscape.study.common import score_range
from smac.errors import UserError
from smac.policies import ActorSpec
from smac.rollout import Rollouts, episode_seeds
from smac.tasks import Task


@dataclass(frozen=True)
class Later(Evaluation):
    """The episodes of an evaluation from number `skip` on."""

    skip: int = 0

    @property
    def first(self) -> int:
        return self.skip

    @property
    def seeds(self) -> list[int]:
        return episode_seeds(self.seed, self.skip + self.episodes)[self.skip :]


class Stages:
    """Plays the stages that `analyse_stages` asks for and keeps what was played.

    Episode j is the same at every point and in every stage, so a point that is played on continues where it
    stopped; the results, [points, most episodes], are `NOT_PLAYED` where nobody asked.
    """

    def __init__(
        self,
        spec: ActorSpec,
        task: Task,
        points: Callable[[Sequence[int]], Iterable[Point]],
        count: int,
        evaluation: Evaluation,
        progress: Progress | None = None,
    ) -> None:
        """`points` gives the policies of some rows of the grid, `count` is the number of rows."""
        self.spec, self.task, self.points = spec, task, points
        self.evaluation, self.progress = evaluation, progress
        self.rollouts = Rollouts.empty(count, evaluation.episodes)
        self.played = np.zeros(count, np.int64)

    def play(self, rows: Sequence[int], episodes: int) -> np.ndarray:
        """Returns [rows, episodes] of the first episodes, played as far as they have not been."""
        for begun in np.unique(self.played[list(rows)]):
            if begun < episodes:
                self._add([row for row in rows if self.played[row] == begun], int(begun), episodes)
        return self.rollouts.returns[list(rows), :episodes]

    def _add(self, rows: Sequence[int], begun: int, episodes: int) -> None:
        options = {f.name: getattr(self.evaluation, f.name) for f in fields(Evaluation)}
        later = Later(**(options | {"episodes": episodes - begun}), skip=begun)
        part = evaluate(
            self.spec, self.task, self.points(rows), len(rows), later, progress=self._after(self.played.sum())
        )
        self.rollouts.put(rows, range(begun, episodes), part)
        self.played[list(rows)] = episodes

    def _after(self, before: int) -> Progress | None:
        """Progress that counts on from stage to stage; the total grows, as no one knows the last stage."""
        if self.progress is None:
            return None
        show = self.progress
        return lambda done, total: show(int(before) + done, int(before) + total)


def in_stages(evaluation: Evaluation, adaptive: Adaptive) -> Evaluation:
    """The evaluation of up to `most` episodes; refused for a share of a study, which knows no stages."""
    if evaluation.shard is not None:
        raise UserError(
            "--adaptive decides from all points together what is played next, so it cannot be split with "
            "--shard; use --workers, or leave out --adaptive"
        )
    return replace(evaluation, episodes=adaptive.most)


def evaluate_stages(
    stages: Stages, alphas: np.ndarray, adaptive: Adaptive, *, margin: float, confidence: float
) -> tuple[Rollouts, AdaptiveReport]:
    """Play until there is a verdict; the rollouts and the report."""
    report = analyse_stages(
        stages.play,
        alphas,
        adaptive=adaptive,
        margin=margin,
        failure=score_range(stages.task),
        confidence=confidence,
        seed=stages.evaluation.seed,
    )
    return stages.rollouts, report
