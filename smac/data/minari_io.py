"""Datasets on disk, in Minari's own format: written, read, listed and described.

A dataset written here is an ordinary Minari dataset (`minari.load_dataset(id)`, `minari list local`) holding
flat observations and the task's own reward. Minari datasets of the same environments made by others are
converted while reading.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_dataset import DATASET_ID_RE
from minari.dataset.minari_storage import MinariStorage

from smac.data.transitions import Episode, sparse_episode
from smac.envs import EnvDims, env_spec, make_env
from smac.errors import UserError
from smac.provenance import versions
from smac.tasks import Task, get_task, task_names

REQUIREMENTS = ["gymnasium-robotics>=1.4", "mujoco<3.11", "smac-landscape"]


def minari_root(root: Path | None) -> Path:
    """Folder of all datasets: `root`, else MINARI_DATASETS_PATH, else ~/.minari/datasets as Minari has it."""
    named = root or os.environ.get("MINARI_DATASETS_PATH")
    folder = Path(named) if named else Path.home() / ".minari" / "datasets"
    return folder.resolve()  # Minari joins a relative path to itself


def check_new_dataset(dataset_id: str, root: Path | None) -> Path:
    """Folder that a new dataset `dataset_id` will take; a malformed id or one in use is a UserError."""
    match = DATASET_ID_RE.fullmatch(dataset_id)
    if match is None or match.group("version") is None:
        raise UserError(
            f"dataset id {dataset_id!r} is malformed: use words of two letters or digits at least, as in group/name-v0"
        )
    folder = minari_root(root) / dataset_id
    if folder.exists():
        raise UserError(f"dataset {dataset_id} exists already in {folder}: choose another id or delete it")
    return folder


def write_dataset(
    episodes: Sequence[Episode],
    *,
    task: Task,
    dataset_id: str,
    root: Path | None,
    provenance: Mapping[str, Any],
) -> Path:
    """Writes `episodes` as a Minari dataset and returns its folder.

    Everything is written to a hidden folder first and then renamed. `provenance` (JSON values: who collected,
    with which options and seed) goes into the metadata with the versions of the packages involved. Raises
    UserError if the id is malformed or in use, or if there is no episode.
    """
    folder = check_new_dataset(dataset_id, root)
    if not episodes:
        raise UserError(f"dataset {dataset_id}: no episode to write")
    partial = minari_root(root) / f".partial-{uuid.uuid4().hex}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        _write_storage(partial / "data", episodes, task, dataset_id, provenance)
        os.rename(partial, folder)
    except OSError as error:
        raise UserError(f"dataset {dataset_id} could not be written to {folder}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write_storage(
    path: Path, episodes: Sequence[Episode], task: Task, dataset_id: str, provenance: Mapping[str, Any]
) -> None:
    env = make_env(task)
    storage = MinariStorage.new(
        path, observation_space=env.observation_space, action_space=env.action_space, env_spec=env.spec
    )
    env.close()
    storage.update_metadata(
        {
            "dataset_id": dataset_id,
            "minari_version": minari.__version__,
            "algorithm_name": str(provenance.get("collector", "unknown")),
            "description": f"{task.name}: {task.description}. Reward: {task.reward_convention}.",
            "requirements": REQUIREMENTS,
            "ref_min_score": task.random_return,
            "ref_max_score": task.expert_return,
            "task": task.name,
            "reward_convention": task.reward_convention,
            "provenance": {**provenance, "versions": versions()},
        }
    )
    storage.update_episodes([_buffer(episode) for episode in episodes])


def _buffer(episode: Episode) -> EpisodeBuffer:
    """Minari's form of an episode: flags per step, infos with an entry for the reset as well."""
    ends = np.zeros(len(episode), dtype=bool)
    ends[-1] = True
    return EpisodeBuffer(
        observations=episode.observations,
        actions=episode.actions,
        rewards=episode.rewards,
        terminations=ends & episode.terminated,
        truncations=ends & episode.truncated,
        infos={"success": np.concatenate([[False], episode.success])},
    )


def read_dataset(ref: str | Path, task: Task, root: Path | None = None) -> list[Episode]:
    """Episodes of a dataset, in the convention of `task`.

    `ref` is a dataset id under `root` or the path of a dataset's folder. Datasets of the same environment
    that were made elsewhere are converted: observations flattened by `task.observation_keys`, success from
    `infos["success"]` or else from the observation each step led to; under the reward `success` every episode
    is cut at its first success (terminated), rewards set to success - 1, and otherwise rewards and endings are
    those recorded. Raises UserError if the dataset is missing, damaged, of another task, or holds a field that
    does not fit the environment.
    """
    folder = find_dataset(ref, root, task)
    metadata = read_metadata(folder)
    found = task_of(metadata)
    if found is not None and found != task.name:
        raise UserError(f"dataset {folder} belongs to task {found}, not {task.name}: name another dataset")
    convert = _own if "task" in metadata else _convert
    dims = env_spec(task)
    episodes = []
    for raw in _raw_episodes(folder, int(metadata["total_episodes"])):
        where = f"dataset {folder}, episode {raw['id']}"
        observations = _flatten(raw["observations"], task, where)
        _check(raw, observations, dims, where)
        episodes.append(convert(raw, observations, task, where))
    return episodes


def find_dataset(ref: str | Path, root: Path | None, task: Task | None = None) -> Path:
    """Folder (the one that holds `data`) of a dataset named by id or path; UserError if there is none."""
    for folder in (minari_root(root) / ref, Path(ref)):
        if (folder / "data" / "metadata.json").is_file():
            return folder
    raise UserError(f"no dataset {str(ref)!r} in {minari_root(root)}: {_remedy(str(ref), task)}")


def _remedy(ref: str, task: Task | None) -> str:
    if ref.startswith(("D4RL/", "mujoco/")):
        return f"try `minari download {ref}` (its hub may be out of reach), or make your own with `smac data`"
    if task is not None and task.family == "adroit":
        return f"create it with `smac data import --source door_human.npz --task {task.name}`"
    name = task.name if task is not None else "TASK"
    return f"create it with `smac data collect --task {name}`, or see `smac data list`"


def read_metadata(folder: Path) -> dict[str, Any]:
    """The dataset's `metadata.json` as it stands; UserError if it is damaged."""
    path = folder / "data" / "metadata.json"
    try:
        metadata = json.loads(path.read_text())
        for key in ("dataset_id", "total_episodes", "total_steps"):
            metadata[key]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the metadata of a Minari dataset ({error!r})") from error
    return metadata


def _raw_episodes(folder: Path, count: int) -> list[dict[str, Any]]:
    try:
        storage = MinariStorage.read(folder / "data")
        return list(storage.get_episodes(range(count)))
    except (OSError, KeyError, ValueError, TypeError, AssertionError) as error:
        raise UserError(f"dataset {folder} is damaged and cannot be read: {error!r}") from error


def task_of(metadata: Mapping[str, Any]) -> str | None:
    """Task a dataset belongs to: its own word, else the environment it was recorded in; None if unknown."""
    if "task" in metadata:
        return str(metadata["task"])
    if "env_spec" not in metadata:
        return None
    env_id = json.loads(metadata["env_spec"])["id"]
    for name in task_names():
        if _bare(get_task(name).env_id) == _bare(env_id):
            return name
    return str(env_id)


def _bare(env_id: str) -> str:
    """Environment id without version and reward type: they change neither dynamics nor observations."""
    return re.sub(r"(Dense|Sparse)?(-v\d+)?$", "", env_id)


def _flatten(observations: Any, task: Task, where: str) -> np.ndarray:
    """Observations as one float32 array [T + 1, obs]; entries of a dict in the task's order."""
    if not isinstance(observations, dict):
        return np.asarray(observations, dtype=np.float32)
    if not task.observation_keys:
        raise UserError(f"{where}: observations is a dict of {sorted(observations)}, the task needs an array")
    missing = [key for key in task.observation_keys if key not in observations]
    if missing:
        raise UserError(f"{where}: observations lacks {missing} and holds {sorted(observations)}")
    return np.concatenate([observations[key] for key in task.observation_keys], axis=1).astype(np.float32)


def _check(raw: Mapping[str, Any], observations: np.ndarray, dims: EnvDims, where: str) -> None:
    """UserError that names the field which does not fit the task's environment."""
    actions = raw["actions"]
    steps = len(actions)
    if steps == 0:
        raise UserError(f"{where}: actions is empty")
    for name, array, shape in (
        ("observations", observations, (steps + 1, dims.observation_dim)),
        ("actions", actions, (steps, dims.action_dim)),
        ("rewards", raw["rewards"], (steps,)),
    ):
        if array.shape != shape:
            raise UserError(f"{where}: {name} has shape {array.shape}, the task needs {shape}")
        if not np.isfinite(array).all():
            raise UserError(f"{where}: {name} holds a number that is not finite")
    largest = float(np.abs(actions).max())
    if largest > 1.0 + 1e-6:
        raise UserError(f"{where}: actions reach {largest:.3g}, the task's environment takes [-1, 1]")


def _own(raw: Mapping[str, Any], observations: np.ndarray, task: Task, where: str) -> Episode:
    """An episode that `write_dataset` wrote."""
    success = _recorded_success(raw, where)
    if success is None:
        raise UserError(f"{where}: infos/success is missing")
    return Episode(
        observations=observations,
        actions=raw["actions"],
        rewards=raw["rewards"],
        success=success,
        terminated=bool(raw["terminations"][-1]),
        truncated=bool(raw["truncations"][-1]),
    )


def _convert(raw: Mapping[str, Any], observations: np.ndarray, task: Task, where: str) -> Episode:
    """An episode of a dataset made elsewhere, with the task's reward: see `read_dataset`."""
    success = _recorded_success(raw, where)
    if success is None and task.solved is not None:
        success = task.solved(observations[1:])
    if task.reward == "success":
        if success is None:
            raise UserError(f"{where}: infos/success is missing, which the reward `success` is made of")
        return sparse_episode(observations, raw["actions"], success)
    return Episode(
        observations=observations,
        actions=raw["actions"].astype(np.float32),
        rewards=raw["rewards"].astype(np.float32),
        success=np.zeros(len(raw["actions"]), bool) if success is None else success,
        terminated=bool(raw["terminations"][-1]),
        truncated=not raw["terminations"][-1],
    )


def _recorded_success(raw: Mapping[str, Any], where: str) -> np.ndarray | None:
    """`infos["success"]` of each step, bool [T], or None; Minari's infos begin with one for the reset."""
    recorded = (raw["infos"] or {}).get("success")
    if recorded is None:
        return None
    steps = len(raw["actions"])
    if len(recorded) not in (steps, steps + 1):
        raise UserError(f"{where}: infos/success has {len(recorded)} entries for {steps} steps")
    return np.asarray(recorded, dtype=bool).reshape(-1)[-steps:]
