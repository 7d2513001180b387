"""Episodes on disk: append-only, addressed by what was played, so that none is ever played twice.

A store is a directory of shards. Every process appends to a shard of its own, one line of JSON per episode,
written when the episode has ended; a process that is killed loses the episodes in flight and no more. What an
episode is filed under is a digest of everything that its result depends on: the policy's parameters and
architecture, how it acts, the environment with its wrappers, versions and the files that define it, and
`EVALUATOR`, the version of what plays it (`point_key`), and the episode's seed. So studies can share a store,
more episodes can be added later, and stores of several machines are merged by putting their lines together.

An episode that is not in a store was not played: no value stands for "missing".
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from smac.envs.sources import sources
from smac.errors import UserError
from smac.files import write_text
from smac.policies import ActorSpec
from smac.provenance import versions
from smac.rollout import Rollouts, Status
from smac.tasks import Task

log = logging.getLogger(__name__)

EVALUATOR = 2  # to be raised by every change that makes an episode end otherwise
SIMULATORS = ("gymnasium", "gymnasium-robotics", "mujoco")
SUFFIX = ".jsonl"


class Episode(NamedTuple):
    """What one episode came to. The return is None unless the status is `finished`."""

    value: float | None
    length: int
    success: bool
    solved: float | None
    status: str


@dataclass(frozen=True)
class Merged:
    """What `merge` found."""

    stores: int
    points: int
    episodes: int
    duplicates: int
    damaged: int
    """Lines that were no episodes and were left out."""

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def scene_key(spec: ActorSpec, task: Task, stochastic: bool, time_limit: float) -> bytes:
    """A digest of everything that the points of a study have in common."""
    installed = versions()
    scene = {
        "evaluator": EVALUATOR,
        "actor": spec.to_json(),
        "actions": "sampled" if stochastic else "mean",
        "time_limit": str(time_limit),
        "environment": {
            "id": task.env_id,
            "kwargs": dict(task.env_kwargs),
            "horizon": task.horizon,
            "observation_keys": task.observation_keys,
            "wrappers": task.wrappers,
            "action_scale": task.action_scale,
            "reward": task.reward,
            "subtasks": task.subtasks,
            "sources": sources(task),
        },
        "simulators": {name: installed[name] for name in SIMULATORS},
    }
    return hashlib.sha256(json.dumps(scene, sort_keys=True, default=str).encode()).digest()


def point_key(scene: bytes, params: Mapping[str, np.ndarray]) -> str:
    """What the episodes of a policy are filed under: the scene and every bit of its parameters."""
    digest = hashlib.sha256(scene)
    for name in sorted(params):
        tensor = np.ascontiguousarray(params[name])
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape} ".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()[:32]


class Store:
    """The episodes of a directory as they were when it was read. `append` is for any process at any time.

    A damaged line is a UserError; with `repair` it is left out and counted.
    """

    def __init__(self, directory: Path, repair: bool = False) -> None:
        self.directory = directory
        self.episodes: dict[str, dict[int, Episode]] = {}
        self.duplicates = self.damaged = 0
        if directory.exists() and not directory.is_dir():
            raise UserError(f"{directory}: is a file; a store of episodes is a directory")
        for shard in sorted(directory.glob(f"*{SUFFIX}")):
            for line in _lines(shard):
                if isinstance(line, tuple):
                    self._add(*line, shard)
                elif repair:
                    self.damaged += 1
                else:
                    raise UserError(
                        f"{shard}, {line}; `landscape merge {directory} --out NEW --repair` makes a store "
                        "without such lines, whose episodes are then played again"
                    )

    def _add(self, point: str, seed: int, episode: Episode, shard: Path) -> None:
        known = self.episodes.setdefault(point, {})
        if known.setdefault(seed, episode) != episode:
            raise UserError(
                f"{shard}: episode {seed} of policy {point} came to {episode}, elsewhere to {known[seed]}: "
                "the simulator does not repeat itself, or the stores come from unlike machines"
            )
        self.duplicates += known[seed] is not episode

    @property
    def size(self) -> int:
        """How many episodes there are."""
        return sum(map(len, self.episodes.values()))

    def of(self, point: str) -> Mapping[int, Episode]:
        """The episodes of a policy, by seed."""
        return self.episodes.get(point, {})


_local = threading.local()  # every thread of every process has its own shard


def append(directory: Path, episodes: Sequence[tuple[str, int, Episode]]) -> None:
    """Add episodes, each with its policy's key and its seed. All lines are written at once."""
    data = "".join(_line(*each) for each in episodes).encode()
    directory.mkdir(parents=True, exist_ok=True)
    file = os.open(_shard(directory), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    before = os.fstat(file).st_size
    try:
        _write(file, data)
    except OSError as error:
        os.ftruncate(file, before)  # half a line would spoil the one after it
        raise OSError(error.errno, error.strerror, str(directory)) from None
    finally:
        os.close(file)


def _shard(directory: Path) -> Path:
    """The file of this thread in a store; it is there unless nothing was written yet."""
    shards: dict[tuple[Path, int], Path] = _local.__dict__.setdefault("shards", {})
    owner = (directory, os.getpid())  # a forked process must not write into its parent's shard
    if owner not in shards:
        shards[owner] = directory / f"{secrets.token_hex(8)}{SUFFIX}"
    elif not shards[owner].exists():
        log.warning("%s: episodes were deleted while more were played, which are kept", directory)
    return shards[owner]


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def episode_of(played: Rollouts, row: int, column: int) -> Episode:
    at = (row, column)
    status = Status(int(played.statuses[at]))
    return Episode(
        float(played.returns[at]) if status is Status.FINISHED else None,
        int(played.lengths[at]),
        bool(played.successes[at]),
        float(played.solved[at]) if np.isfinite(played.solved[at]) else None,
        status.name.lower(),
    )


def fill(rollouts: Rollouts, row: int, column: int, episode: Episode) -> None:
    """Put a stored episode into its place."""
    at = (row, column)
    rollouts.returns[at] = np.nan if episode.value is None else episode.value
    rollouts.lengths[at], rollouts.successes[at] = episode.length, episode.success
    rollouts.solved[at] = np.nan if episode.solved is None else episode.solved
    rollouts.statuses[at] = Status[episode.status.upper()]


def _line(point: str, seed: int, episode: Episode) -> str:
    return json.dumps([point, seed, *episode], separators=(",", ":")) + "\n"


def _lines(shard: Path) -> Iterator[tuple[str, int, Episode] | str]:
    """The episodes of a shard; of a damaged line, which one it is and what is wrong with it.

    A last line that a killed process did not finish is left out.
    """
    try:
        data = shard.read_bytes()
    except OSError as error:
        raise UserError(f"{shard}: not a readable shard of episodes ({error})") from None
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            return
        try:
            point, seed, *rest = json.loads(line)
            episode = Episode(*rest)
            _check(point, seed, episode)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            yield f"line {number}: not an episode ({error})"
        else:
            yield point, seed, episode


def _check(point: Any, seed: Any, episode: Episode) -> None:
    status = Status[episode.status.upper()]
    if not (isinstance(point, str) and isinstance(seed, int)):
        raise ValueError("a policy's digest and a seed come first")
    if (episode.value is not None) != (status is Status.FINISHED):
        raise ValueError(f"a return of {episode.value} does not go with the status {episode.status}")


def merge(stores: Sequence[Path], into: Path, repair: bool = False) -> Merged:
    """Put the episodes of several stores into the new directory `into`; the stores are left as they are.

    Two stores may hold the same episode; if they disagree about it, a UserError names it. Damaged lines are
    refused, or with `repair` left out.
    """
    if into.exists() and any(into.iterdir() if into.is_dir() else [into]):
        raise UserError(f"{into}: already exists and is not empty; choose another --out")
    merged = Store(into)
    for directory in stores:
        if not directory.is_dir() or not any(directory.glob(f"*{SUFFIX}")):
            raise UserError(f"{directory}: not a store of episodes (no *{SUFFIX} in it)")
        read = Store(directory, repair)
        merged.duplicates += read.duplicates
        merged.damaged += read.damaged
        for point, episodes in read.episodes.items():
            for seed, episode in episodes.items():
                merged._add(point, seed, episode, directory)
    lines = [
        _line(point, seed, merged.episodes[point][seed])
        for point in sorted(merged.episodes)
        for seed in sorted(merged.episodes[point])
    ]
    write_text(into / f"merged{SUFFIX}", "".join(lines))
    return Merged(len(stores), len(merged.episodes), merged.size, merged.duplicates, merged.damaged)
