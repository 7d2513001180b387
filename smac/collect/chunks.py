"""Playing episodes: in pieces of work over processes, each piece kept on disk until all are done."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import joblib
import numpy as np
import torch

from smac.collect.players import Player, make_player
from smac.collect.recipes import Recipe
from smac.data.transitions import Episode
from smac.envs import make_env
from smac.files import write_atomically
from smac.parent import end_with
from smac.provenance import versions
from smac.tasks import Task

CHUNK = 10  # episodes per piece of work
Work = tuple[np.random.SeedSequence, Recipe]  # of one episode
# Fields of an episode, in its order
ARRAYS = ("observations", "actions", "rewards", "success")
FLAGS = ("terminated", "truncated")


def play(
    task: Task,
    work: Sequence[Work],
    *,
    workers: int,
    keep: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Episode]:
    """One episode for each entry of `work`, in this order, whatever the number of `workers`.

    Pieces are kept in the folder `keep`, if there is one, and not played again if they lie there already.
    `progress` is called with (episodes done, episodes).
    """
    jobs = [
        (task, work[i : i + CHUNK], None if keep is None else keep / f"{i:08d}.npz")
        for i in range(0, len(work), CHUNK)
    ]
    done: list[Episode] = []
    for part in _parts(jobs, workers):
        done.extend(part)
        if progress is not None:
            progress(len(done), len(work))
    return done


def keep_folder(root: Path, **decisive: Any) -> Path:
    """A hidden folder under `root` for the pieces of a collection, named by all that decides its episodes."""
    text = json.dumps({**decisive, "versions": versions()}, sort_keys=True, default=str)
    return root / f".collecting-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _parts(jobs: Sequence[tuple], workers: int) -> Iterable[list[Episode]]:
    """The pieces' episodes in order, from this process or from `workers` others."""
    if workers == 1:
        return (_chunk(*job) for job in jobs)
    parallel = joblib.Parallel(
        n_jobs=workers, backend="loky", return_as="generator",
        initializer=partial(end_with, os.getpid(), of_thread=False),
    )  # fmt: skip
    return parallel(joblib.delayed(_chunk)(*job) for job in jobs)


def _chunk(task: Task, work: Sequence[Work], file: Path | None) -> list[Episode]:
    kept = _kept(file)
    if kept is not None:
        return kept
    episodes = _played(task, work)
    if file is not None:
        write_atomically(file, lambda path: _save(path, episodes))
    return episodes


def _played(task: Task, work: Sequence[Work]) -> list[Episode]:
    """One episode after the other in one environment."""
    env = make_env(task)
    players: dict[Recipe, Player] = {}
    try:
        with _one_thread():
            for _, recipe in work:
                if recipe not in players:
                    players[recipe] = make_player(recipe, task, env)
            return [_episode(env, players[recipe], seed, recipe.noise) for seed, recipe in work]
    finally:
        env.close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in matrix products would otherwise depend on how many threads a worker has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _episode(env: gymnasium.Env, player: Player, seed: np.random.SeedSequence, noise: float) -> Episode:
    # a SeedSequence counts its children: without a copy, what it gives would depend on earlier calls
    seed = np.random.SeedSequence(entropy=seed.entropy, spawn_key=seed.spawn_key)
    env_seed, policy_seed = seed.spawn(2)
    rng = np.random.default_rng(policy_seed)
    observation, _ = env.reset(seed=int(env_seed.generate_state(1)[0]), options=player.reset_options(rng))
    player.begin(observation, rng)
    observations, actions, rewards, success = [observation], [], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        wanted = player.action(observation)
        if wanted is None:
            truncated = True
            break
        disturbed = wanted + noise * rng.standard_normal(len(wanted))
        action = (player.scale * np.clip(disturbed, -1.0, 1.0)).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        success.append(bool(info.get("success", False)))
    return Episode(
        observations=np.stack(observations),
        actions=np.stack(actions),
        rewards=np.array(rewards, dtype=np.float32),
        success=np.array(success, dtype=bool),
        terminated=terminated,
        truncated=truncated,
    )


def _save(path: Path, episodes: Sequence[Episode]) -> None:
    values = {f"{name}_{i}": getattr(e, name) for i, e in enumerate(episodes) for name in ARRAYS + FLAGS}
    with open(path, "wb") as file:
        np.savez(file, **values)


def _kept(file: Path | None) -> list[Episode] | None:
    """The episodes of a finished piece; None if there is none that can be read."""
    if file is None or not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as values:
            count = len(values.files) // len(ARRAYS + FLAGS)
            return [
                Episode(
                    *(values[f"{name}_{i}"] for name in ARRAYS),
                    *(bool(values[f"{name}_{i}"]) for name in FLAGS),
                )
                for i in range(count)
            ]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
