"""Is this installation right? The statistics where the truth is known, and the evaluator against itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landscape.evaluate import Evaluation, Point, evaluate
from landscape.geometry import line, line_alphas
from landscape.statistics import Calibration
from landscape.statistics.calibration import NOT_TRIED, Row
from smac.envs import env_spec
from smac.nets import ACTORS
from smac.policies import ActorSpec
from smac.provenance import versions
from smac.rollout import Rollouts
from smac.streams import derive_seed
from smac.tasks import get_task

# Short episodes: what is checked does not depend on their length. Returns of the maze are whole numbers and
# often equal; those of the pendulum differ in their last bit if anything does.
TASKS = ("pointmaze-umaze@horizon=60", "Pendulum-v1@horizon=60")
POINTS, EPISODES = 5, 5


@dataclass(frozen=True)
class Check:
    """One property of the evaluator, and whether it holds here."""

    name: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Diagnosis:
    """What `landscape doctor` found."""

    calibration: Calibration
    checks: tuple[Check, ...]
    rows: tuple[Row, ...] = ()
    """Of methods compared, seeds, rare failures, adaptive looks and dips."""

    @property
    def failures(self) -> tuple[str, ...]:
        broken = [f"{check.name}: {check.found}" for check in self.checks if not check.holds]
        erring = [
            f"{row.claim}: wrong in {100 * row.error:.1f} % of samples of {row.truth}, {row.setting}"
            for row in self.rows
            if row.beyond_chance
        ]
        return (*self.calibration.failures, *erring, *broken)

    @property
    def sentence(self) -> str:
        cases, checks = len(self.calibration.cases), len(self.checks)
        if not self.failures:
            others = f" and so is every one of {len(self.rows)} other claims," if self.rows else ""
            return (
                f"This installation is right: on {cases} landscapes whose truth is known every error is as "
                f"rare as promised,{others} and the evaluator passed all {checks} checks."
            )
        return f"This installation is NOT right: {'; '.join(self.failures)}."

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "doctor",
            "sentence": self.sentence,
            "failures": list(self.failures),
            "checks": [asdict(check) for check in self.checks],
            "calibration": self.calibration.to_json(),
            "claims": [row.to_json() for row in self.rows],
            "not_tried": list(NOT_TRIED),
            "versions": versions(),
        }


def check_evaluator(
    directory: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[Check, ...]:
    """Play short lines, in a small maze and of a pendulum, in ways that must come to the same, bit for bit.

    `directory` is a new one for the stores, or a temporary one.
    """
    if directory is None:
        with tempfile.TemporaryDirectory() as folder:
            return check_evaluator(Path(folder), progress)
    checks: list[Check] = []
    ways: dict[str, Callable[[_Line, Rollouts, Path], str]] = {
        "two workers find what one finds": _workers,
        "a store that is added to holds what a fresh run finds": _resumed,
        "alpha 0 and 1 are the checkpoints": _ends,
    }
    for name in TASKS:
        short = _Line(name)
        fresh = short.play(_EVALUATION)
        for what, differs in ways.items():
            if progress:
                progress(len(checks), len(TASKS) * len(ways))
            found = differs(short, fresh, directory)
            place = name.partition("@")[0]
            checks.append(Check(f"{what} ({place})", not found, found or "equal in every bit"))
    return tuple(checks)


_EVALUATION = Evaluation(EPISODES, stochastic=True)


class _Line:
    """The line between two random policies of a task."""

    def __init__(self, task: str) -> None:
        self.task = get_task(task)
        dims = env_spec(self.task)
        self.spec = ActorSpec(dims.observation_dim, dims.action_dim, (16, 16), "relu", layer_norm=False)
        self.ends = random_policy(self.spec, 0), random_policy(self.spec, 1)

    @property
    def points(self) -> list[Point]:
        return list(line(*self.ends, line_alphas(POINTS)))

    def play(self, evaluation: Evaluation, points: list[Point] | None = None) -> Rollouts:
        points = self.points if points is None else points
        return evaluate(self.spec, self.task, points, len(points), evaluation)


def random_policy(spec: ActorSpec, seed: int) -> dict[str, np.ndarray]:
    """Normally distributed parameters of an actor, large enough that policies act differently."""
    actor = ACTORS["tanh_gaussian"](
        (1,), spec.observation_dim, spec.action_dim, spec.hidden, activation=spec.activation
    )
    rng = np.random.default_rng(derive_seed(seed, "doctor"))
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in actor.state_dict().items()}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def _same(a: Rollouts, b: Rollouts) -> str:
    """Where two results differ; nothing if they are equal."""
    for name, values in vars(a).items():
        other = getattr(b, name)
        if not np.array_equal(values, other, equal_nan=values.dtype.kind == "f"):
            return f"{np.count_nonzero(values != other)} of {values.size} {name} differ"
    return ""


def _workers(short: _Line, fresh: Rollouts, _: Path) -> str:
    return _same(fresh, short.play(replace(_EVALUATION, workers=2)))


def _resumed(short: _Line, fresh: Rollouts, directory: Path) -> str:
    """Two points and fewer episodes first, then all of it, from a store."""
    stored = replace(_EVALUATION, store=directory)
    short.play(replace(stored, episodes=2), short.points[1:3])
    return _same(fresh, short.play(stored))


def _ends(short: _Line, fresh: Rollouts, _: Path) -> str:
    """The stored tensors, and the returns of the checkpoints alone."""
    first, last = short.points[0], short.points[-1]
    for point, end in ((first, short.ends[0]), (last, short.ends[1])):
        if any(not np.array_equal(point[name], end[name]) for name in end):
            return "the parameters at an end of the line are not those of its checkpoint"
    for row, end in ((0, short.ends[0]), (-1, short.ends[1])):
        alone = short.play(_EVALUATION, [end])
        if not np.array_equal(alone.returns[0], fresh.returns[row]):
            return "a checkpoint alone has other returns than the end of the line"
    return ""
