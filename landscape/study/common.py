"""What all studies share: two policies that can be compared, the margin, episodes per point, files."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from landscape.evaluate import Evaluation, Progress
from landscape.geometry import check_same_layout
from landscape.statistics.path import check_options
from smac.agents import method_label
from smac.checkpoint import Description
from smac.envs import notice_of, reports_success, tells_success
from smac.errors import UserError
from smac.files import write_atomically, write_json
from smac.policies import PolicyCheckpoint, load_policy, of_one_kind
from smac.provenance import versions
from smac.rollout import Rollouts, Status
from smac.tasks import Task, get_task

FORMAT = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Margin:
    """The depth of a valley that does not matter, and where that number comes from."""

    delta: float
    source: str


def margin_of(task: Task, given: float | None) -> Margin:
    """5 % of the task's score range if none is given."""
    if given is None:
        return Margin(task.margin, f"5 % of the score range of {task.name}")
    if not (np.isfinite(given) and given >= 0):
        raise UserError(f"--margin must be a finite return difference >= 0, got {given}")
    return Margin(given, "given with --margin")


def score_range(task: Task) -> float | None:
    """From the random policy to the expert, what a failed episode loses; None where a task does not know."""
    if task.random_return is None or task.expert_return is None:
        return None
    return float(task.expert_return - task.random_return)


def path_margin(task: Task, given: float | None, confidence: float, points: int = 3) -> Margin:
    """`margin_of` for a path, whose other options are checked too: before an episode is played, not after."""
    if points < 3:
        raise UserError(f"--points must be at least 3 (both ends and one between), got {points}")
    allowed = margin_of(task, given)
    check_options(allowed.delta, confidence, draws=1)
    return allowed


class Study(ABC):
    """A frozen result: what was asked, every episode, and what they say."""

    kind: str  # the verb

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What was found, in words and numbers."""

    def __repr__(self) -> str:
        return f"<{self.kind}: {self.sentence}>"

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything but the episodes, as plain values."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """Every episode of every point, and where the points are."""

    def contents(self, command: str) -> dict[str, Any]:
        """What `result.json` holds."""
        return {"kind": self.kind, "format_version": FORMAT} | self.to_json() | {"command": command}

    def write(self, directory: Path, command: str) -> None:
        """`returns.npz` with every episode's result, then `result.json`."""
        write_files(directory, self.contents(command), self.arrays())


def write_files(directory: Path, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """`returns.npz`, then `result.json`, each atomically."""
    every: dict[str, Any] = dict(arrays)
    write_atomically(directory / "returns.npz", lambda path: np.savez_compressed(path, **every))
    write_json(directory / "result.json", result)


def load_policies(
    paths: Sequence[Path | str | PolicyCheckpoint], evaluation: Evaluation
) -> list[PolicyCheckpoint]:
    """Policies of one task and one architecture, so that there are lines between them.

    Where one is deterministic all of them become so, and keep their mean actions. UserError names the first
    that does not fit.
    """
    policies = [
        path
        if isinstance(path, PolicyCheckpoint)
        else load_policy(path, evaluation.task, evaluation.action_units, evaluation.normaliser)
        for path in paths
    ]
    first = policies[0]
    for policy in policies[1:]:
        if policy.description.task != first.description.task:
            raise UserError(
                f"{first.path} is of task {first.description.task} but {policy.path} is of task "
                f"{policy.description.task}; compare checkpoints of one task"
            )
    policies = of_one_kind(policies, stochastic=evaluation.stochastic)
    first = policies[0]
    for policy in policies[1:]:
        if policy.spec != first.spec:
            raise UserError(
                f"{first.path} and {policy.path} have actors of different architectures: {first.spec} and "
                f"{policy.spec}"
            )
        check_same_layout(first.params, policy.params, str(first.path), str(policy.path))
    _tell_repetition(get_task(first.description.task))
    return policies


@cache
def _tell_repetition(task: Task) -> None:
    """Say once if episodes of the task cannot be paired, as every comparison of points supposes."""
    if notice := notice_of(task):
        log.warning(notice)


def labels(policies: Sequence[PolicyCheckpoint]) -> list[str]:
    """A short name for each, such as `offline SMAC`, with what tells it apart where names are equal."""
    names = [_short(policy) for policy in policies]
    for more in (_descent, lambda about: f", seed {about.seed}", lambda about: f", step {about.step}"):
        groups: dict[str, set[str]] = {}
        told = [more(policy.description) for policy in policies]
        for name, text in zip(names, told, strict=True):
            groups.setdefault(name, set()).add(text)
        names = [name + text * (len(groups[name]) > 1) for name, text in zip(names, told, strict=True)]
    count = Counter(names)
    return [
        f"{name} ({names[: i + 1].count(name)})" if count[name] > 1 else name for i, name in enumerate(names)
    ]


def _short(policy: PolicyCheckpoint) -> str:
    about = policy.description
    if about.moment != "trajectory":
        return policy.name
    return f"{policy.name.removeprefix('trajectory ')} step {about.step}"


def _descent(about: Description) -> str:
    """Which agent it was fine-tuned from, if any."""
    before = about.history[-1]["algorithm"] if about.history else ""
    return f" after {method_label(before)}" if before else ""


def describe_policy(policy: PolicyCheckpoint) -> dict[str, Any]:
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


def describe_evaluation(task: Task, evaluation: Evaluation) -> dict[str, Any]:
    """What was played, and with which software."""
    return {
        "task": task.name,
        "reward_convention": task.reward_convention,
        "episodes": evaluation.episodes,
        "actions": evaluation.actions,
        "seed": evaluation.seed,
        "repetition": notice_of(task),
        "versions": versions(),
    }


def episode_arrays(
    rollouts: Rollouts, evaluation: Evaluation, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Every episode's result as arrays [*shape, episodes] for a file; `shape` is that of the points."""
    arrays = {name: values.reshape(*shape, -1) for name, values in vars(rollouts).items()}
    return arrays | {"episode_seeds": np.asarray(evaluation.seeds, dtype=np.int64)}


def fields_of(task: Task, rollouts: Rollouts) -> dict[str, np.ndarray]:
    """Means over the finished episodes of every point, [points], by name; NaN where none finished.

    Success and score only for tasks that have them.
    """
    finished = rollouts.statuses == Status.FINISHED
    values = {"return": rollouts.returns, "length": rollouts.lengths.astype(float)}
    if tells_success(task, rollouts.successes):
        values["success"] = rollouts.successes.astype(float)
    score = np.asarray(task.score(rollouts.returns, rollouts.solved))
    if np.isfinite(score).any():
        values["score"] = score
    count = finished.sum(axis=1)
    return {
        name: np.where(finished, value, 0.0).sum(axis=1) / np.where(count, count, np.nan)
        for name, value in values.items()
    }


def rows_of(rollouts: Rollouts, index: slice) -> Rollouts:
    """The results of some of the points."""
    return Rollouts(*(getattr(rollouts, f.name)[index] for f in fields(rollouts)))


def failures(rollouts: Rollouts) -> dict[str, int]:
    """How many episodes did not finish, by status."""
    counts = {
        status.name.lower(): int(np.count_nonzero(rollouts.statuses == status))
        for status in Status
        if status is not Status.FINISHED
    }
    return {name: count for name, count in counts.items() if count}


def check_complete(rollouts: Rollouts, evaluation: Evaluation) -> None:
    """UserError where this was one share of a study, whose points have not all been played."""
    missing = int(np.count_nonzero(rollouts.statuses == Status.NOT_PLAYED))
    if missing:
        assert evaluation.shard is not None  # nothing else leaves points out
        share, shares = evaluation.shard
        raise Incomplete(
            f"share {share} of {shares} is in {evaluation.store}; {missing} episodes belong to the others. "
            "When all are there, `landscape merge` them and run the same command with --store and without "
            "--shard"
        )


class Incomplete(UserError):
    """One share of a study has been played; there is no result yet, and nothing went wrong."""


def part_of(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress of a later evaluation within a study of `total` episodes."""
    if progress is None:
        return None
    show = progress
    return lambda done, _: show(before + done, total)


def one_of(progress: Progress | None, k: int, count: int) -> Progress | None:
    """The progress of evaluation k (from 0) of `count` that play equally many episodes."""
    if progress is None:
        return None
    show = progress
    return lambda done, total: show(k * total + done, count * total)


def none_solved(task: Task, rollouts: Rollouts) -> str:
    """A warning for sentences where success is out of the picture altogether; else nothing."""
    if not reports_success(task) or rollouts.successes.any():
        return ""
    return " No episode succeeded at any point, so this says nothing about solving the task."


def plain(values: np.ndarray) -> Any:
    """An array as nested lists for a file, where a number that is not finite is null."""
    if np.ndim(values):
        return [plain(part) for part in values]
    return float(values) if np.isfinite(values) else None
