"""`curve`: is there any path between two policies without a valley, if not the straight one?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from landscape.evaluate import DEFAULT, Evaluation, Progress, evaluate
from landscape.geometry import Curve, Vector, flatten, layout_of, line, straight_chain, unflatten
from landscape.statistics import PathReport, sentence
from landscape.study.alignment import aligned_with
from landscape.study.common import load_policies, none_solved, path_margin
from landscape.study.path import PathStudy, analysed, play_in_turn
from landscape.study.search import Search, bend
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.streams import derive_seed
from smac.tasks import get_task

KINDS: dict[str, Literal["bezier", "polygonal"]] = {"bezier": "bezier", "chain": "polygonal"}


@dataclass(frozen=True, repr=False, kw_only=True)
class CurveStudy(PathStudy):
    """Returns along a curve that was bent to keep them high, compared with those on the straight line.

    The alphas are shares of the curve's length.
    """

    kind = "curve"
    straight_report: PathReport
    curve: Curve
    ts: np.ndarray
    """The curve's own parameter at every point."""
    search: Search
    history: list[float]
    """Mean return over the perturbed curves at every step of the search, on other episodes."""
    aligned: bool

    @property
    def sentence(self) -> str:
        names = self.start.name, self.end.name
        found = sentence(self.report, *names, where=f"on the {self.curve.kind} curve")
        ratio = f"The curve is {self.curve.length_ratio:.2f} times as long as the straight line."
        straight = sentence(self.straight_report, *names)
        return f"{found} {ratio} {straight}" + none_solved(self.task, self.rollouts)

    def about(self) -> dict[str, Any]:
        return {
            "aligned": self.aligned,
            "curve": self.curve.to_json() | {"ts": self.ts.tolist()},
            "search": asdict(self.search) | {"history": self.history},
        }

    def places(self) -> dict[str, np.ndarray]:
        return {"ts": self.ts, "bends": self.curve.bends}


def curve(
    start: Path | str | PolicyCheckpoint,
    end: Path | str | PolicyCheckpoint,
    *,
    kind: Literal["bezier", "chain"] = "bezier",
    bends: int = 1,
    search: Search = Search(),  # noqa: B008 (frozen)
    align: bool = False,
    points: int = 21,
    margin: float | None = None,
    confidence: float = 0.95,
    evaluation: Evaluation = DEFAULT,
    state: Path | None = None,
    progress: Progress | None = None,
    search_progress: Progress | None = None,
) -> CurveStudy:
    """Bend a curve between two policies until the return along it is high, and evaluate it on fresh episodes.

    Both the curve and the straight line are then measured at equal arc lengths on the episodes of
    `evaluation`, which the search never saw. With `align`, the hidden units of `end` are first brought into
    the order (sign, scale) of those of `start`; its function stays. `state` is a file in which a search
    that was killed is resumed. Raises UserError where there is no line between the checkpoints.
    """
    if bends < 1 or (kind == "bezier" and bends > 1):
        raise UserError(f"--bends must be 1, or for a chain more, got {bends} for a {kind}")
    if evaluation.shard is not None:
        raise UserError("--shard: a search for a curve cannot be shared out; use --workers or --backend")
    a, b = load_policies([start, end], evaluation)
    task = get_task(a.description.task)
    allowed = path_margin(task, margin, confidence, points)
    if align:
        b, _ = aligned_with(a, b, task, seed=evaluation.seed)
    layout = layout_of(a.params)
    begun = straight_chain(KINDS[kind], flatten(a.params, layout), flatten(b.params, layout), bends)

    def play(vectors: Iterator[Vector], count: int, step: int) -> np.ndarray:
        seed = derive_seed(evaluation.seed, "search", step)
        episodes = replace(evaluation, episodes=search.step_episodes, seed=seed, store=None)
        params = (unflatten(vector, layout) for vector in vectors)
        return evaluate(a.spec, task, params, count, episodes).returns.mean(axis=1)

    found, history = bend(begun, search, play, seed=evaluation.seed, state=state, progress=search_progress)
    ts = found.equal_steps(points) if kind == "bezier" else found.through_knots(points)
    positions = found.arc(ts) / found.length
    positions[0], positions[-1] = 0.0, 1.0
    both = (*found.points(ts),)
    policies = [unflatten(vector, layout) for vector in both[1:-1]]
    on_curve = [a.params, *policies, b.params]
    on_line = line(a.params, b.params, positions)
    played = play_in_turn(a.spec, task, [on_curve, on_line], points, evaluation, progress)
    report, straight_report = (
        analysed(rollouts, positions, task, allowed, confidence=confidence, evaluation=evaluation)
        for rollouts in played
    )
    return CurveStudy(
        task=task, start=a, end=b, alphas=positions, evaluation=evaluation, rollouts=played[0],
        report=report, margin=allowed, straight=played[1], straight_report=straight_report, curve=found,
        ts=ts, search=search, history=history, aligned=align,
    )  # fmt: skip
