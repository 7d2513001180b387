"""`project`: many fine-tuning trajectories in two dimensions, every checkpoint with its own return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landscape.evaluate import DEFAULT, Evaluation, Progress, evaluate
from landscape.geometry import (
    Embedding,
    as_vector,
    check_embedding,
    distance_matrix,
    distinct,
    embed,
    flatten,
    layout_of,
)
from landscape.study.common import (
    Study,
    check_complete,
    describe_evaluation,
    describe_policy,
    episode_arrays,
    failures,
    fields_of,
    load_policies,
    none_solved,
    plain,
)
from landscape.study.plane import mean_interval
from landscape.study.runs import of_seed_folder
from landscape.study.trajectory import online_steps
from smac.agents import method_label
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.rollout import Rollouts
from smac.tasks import Task, get_task

LOST = {
    "tsne": "t-SNE keeps neighbourhoods and nothing else: distances between clusters, their sizes, their "
    "densities and the empty space between them mean nothing. A valley between clusters cannot be read off "
    "this picture; play the line or the plane between the checkpoints.",
    "pca": "PCA shows two directions: points apart in others fall onto each other. What lies between "
    "two points was not played; a valley there needs the line or the plane between the checkpoints.",
    "mds": "MDS keeps the distances on the whole, up to the stress; a single one may be far off. What lies "
    "between two points was not played; a valley there needs the line or the plane between the checkpoints.",
}
NAMES = {"tsne": "t-SNE", "pca": "PCA", "mds": "MDS"}


@dataclass(frozen=True)
class Track:
    """One fine-tuning run, as points of the projection in the order of training."""

    folder: Path
    offline: str
    """Algorithms, as in `AGENTS`."""
    online: str
    seed: int
    group: str
    """Of its method: runs of one directory share it."""
    name: str
    """The group, and what tells the run apart in it."""
    points: tuple[int, ...]
    """Rows of the projection; the offline checkpoint's may be in other runs too."""
    steps: tuple[int, ...]
    """Environment steps of fine-tuning."""


@dataclass(frozen=True, repr=False)
class ProjectionStudy(Study):
    """Trajectories in two dimensions; row k of everything is point k, one per different actor."""

    kind = "project"
    task: Task
    policies: tuple[PolicyCheckpoint, ...]
    """Of every point the first checkpoint that has its parameters."""
    tracks: tuple[Track, ...]
    distances: np.ndarray
    """Euclidean, between actors, [points, points]."""
    embedding: Embedding
    evaluation: Evaluation
    rollouts: Rollouts

    @property
    def fields(self) -> dict[str, np.ndarray]:
        return fields_of(self.task, self.rollouts)

    @property
    def warning(self) -> str:
        """What this kind of picture does not show."""
        return LOST[self.embedding.by]

    @property
    def sentence(self) -> str:
        """How true the picture is, what the returns span, and where the lowest is."""
        found, returns = self.embedding, self.fields["return"]
        text = (
            f"{len(self.policies)} actors of {len(self.tracks)} "
            f"run{'s' if len(self.tracks) > 1 else ''} by {NAMES[found.by]}: "
            f"stress-1 {found.stress:.2f}, trustworthiness {found.trustworthiness:.2f}"
        )
        if found.explained is not None:
            text += f", {sum(found.explained):.0%} of the variance"
        if not np.isfinite(returns).any():
            return f"{text}. Not one episode finished."
        low, high = int(np.nanargmin(returns)), int(np.nanargmax(returns))
        text += (
            f". Mean returns run from {returns[low]:.1f} ({self.place(low)}) to {returns[high]:.1f} "
            f"({self.place(high)})."
        )
        if failed := failures(self.rollouts):
            counted = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in failed.items())
            text += f" Episodes that did not finish: {counted}."
        return text + none_solved(self.task, self.rollouts)

    def place(self, point: int) -> str:
        """A point in words: its run and step, or which method's offline checkpoint it is."""
        track = next(track for track in self.tracks if point in track.points)
        step = track.steps[track.points.index(point)]
        return f"{track.name} at step {step}" if step else f"offline {method_label(track.offline)}"

    def to_json(self) -> dict[str, Any]:
        return describe_evaluation(self.task, self.evaluation) | {
            "embedding": {
                name: getattr(self.embedding, name)
                for name in (
                    "by", "stress", "trustworthiness", "neighbours", "seed", "perplexity", "explained",
                )
            },
            "runs": [vars(track) | {"folder": str(track.folder)} for track in self.tracks],
            "points": self._points(),
            "failures": failures(self.rollouts),
            "sentence": self.sentence,
            "warning": self.warning,
        }  # fmt: skip

    def _points(self) -> list[dict[str, Any]]:
        fields = {name: plain(values) for name, values in self.fields.items()}
        found = []
        for k, (policy, (x, y)) in enumerate(zip(self.policies, self.embedding.positions, strict=True)):
            low, high = mean_interval(self.rollouts.returns[k])
            measured = {name: values[k] for name, values in fields.items()} | {"low": low, "high": high}
            place = {"name": self.place(k), "x": float(x), "y": float(y)}
            found.append(describe_policy(policy) | place | {"measured": measured})
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        places = {"positions": self.embedding.positions, "distances": self.distances}
        return places | episode_arrays(self.rollouts, self.evaluation, (len(self.policies),))


def project(
    folders: Sequence[Path | str],
    *,
    by: str = "tsne",
    perplexity: float | None = None,
    embedding_seed: int = 0,
    every: int = 1,
    evaluation: Evaluation = DEFAULT,
    progress: Progress | None = None,
) -> ProjectionStudy:
    """Embed the actors of fine-tuning runs' `seed-K` folders, and evaluate each on the same episodes.

    Equal actors are one point: runs from one offline checkpoint share it. Where one actor is deterministic
    all become so, and keep their mean actions. `every` keeps each N-th checkpoint of a run, and the last.
    Raises UserError, before an episode is played, where runs do not fit each other or cannot be embedded so.
    """
    if embedding_seed < 0:
        raise UserError(f"--embedding-seed must be at least 0, got {embedding_seed}")
    runs = loaded([Path(folder) for folder in folders], every)
    policies = load_policies([policy for run in runs.values() for policy in run], evaluation)
    layout = layout_of(policies[0].params)
    vectors = [as_vector(flatten(p.params, layout), str(p.path)) for p in policies]
    first = distinct(vectors)
    kept = sorted(set(first))
    check_embedding(len(kept), by, perplexity)
    rows = [kept.index(k) for k in first]
    distances = distance_matrix(np.array([vectors[k] for k in kept]))
    del vectors
    found = embed(distances, by, seed=embedding_seed, perplexity=perplexity)
    shown = tuple(policies[k] for k in kept)
    task = get_task(shown[0].description.task)
    points = (policy.params for policy in shown)
    rollouts = evaluate(shown[0].spec, task, points, len(shown), evaluation, progress=progress)
    check_complete(rollouts, evaluation)
    return ProjectionStudy(task, shown, _tracks(runs, rows), distances, found, evaluation, rollouts)


def loaded(folders: Sequence[Path], every: int) -> dict[Path, list[PolicyCheckpoint]]:
    """The checkpoints of every run; UserError where one is named twice, or none is."""
    if every < 1:
        raise UserError(f"--every must be at least 1, got {every}")
    if not folders:
        raise UserError("name the seed-K folders of fine-tuning runs, such as runs/finetune/seed-0")
    found: dict[Path, list[PolicyCheckpoint]] = {}
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise UserError(f"{folder}: is named twice")
        seen.add(folder.resolve())
        if folder.is_file():
            raise UserError(f"{folder}: is one checkpoint; name the seed-K folder of its run")
        run = of_seed_folder(folder)
        found[folder] = [*run[:-1:every], run[-1]]
    return found


def _tracks(runs: dict[Path, list[PolicyCheckpoint]], rows: Sequence[int]) -> tuple[Track, ...]:
    """Every run with its points; `rows` are those of all checkpoints, run after run."""
    found, start = [], 0
    for (folder, run), group in zip(runs.items(), _groups(runs), strict=True):
        ends = [run[k].description for k in (0, -1)]
        points = tuple(rows[start : start + len(run)])
        steps = tuple(online_steps(policy) for policy in run)
        offline, online = (about.algorithm for about in ends)
        found.append(Track(folder, offline, online, ends[1].seed, group, group, points, steps))
        start += len(run)
    return _told_apart(found)


def _groups(runs: dict[Path, list[PolicyCheckpoint]]) -> list[str]:
    """Of every run the method, such as `SMAC → SAC`; with its directory where several directories have it."""
    methods = {
        folder: " → ".join(method_label(run[k].description.algorithm) for k in (0, -1))
        for folder, run in runs.items()
    }
    parents: dict[str, list[Path]] = {}
    for folder, method in methods.items():
        homes = parents.setdefault(method, [])
        if folder.resolve().parent not in homes:
            homes.append(folder.resolve().parent)
    found = []
    for folder, method in methods.items():
        homes, home = parents[method], folder.resolve().parent
        if len(homes) == 1:
            found.append(method)
            continue
        alike = [other for other in homes if other.name == home.name]
        rank = f" {alike.index(home) + 1}" if len(alike) > 1 else ""
        found.append(f"{method} ({home.name}{rank})")
    return found


def _told_apart(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """With the seed in the names of runs that share a method."""
    count = Counter(track.group for track in tracks)
    return tuple(
        replace(track, name=f"{track.group}, seed {track.seed}") if count[track.group] > 1 else track
        for track in tracks
    )
