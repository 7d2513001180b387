"""Datasets on disk, in Minari's own format: written, read, listed and described.

A dataset written here is an ordinary Minari dataset (`minari.load_dataset(id)`, `minari list local`) holding
flat observations and the task's own reward. Minari datasets of the same environments made by others, D4RL's
HDF5 files and `.npz` files are converted while reading.
"""

import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_dataset import DATASET_ID_RE
from minari.dataset.minari_storage import MinariStorage

from smac.data import hub
from smac.data.belonging import check_belongs, recorded_spec
from smac.data.hdf5 import read_hdf5
from smac.data.npz import read_npz
from smac.data.recordings import Recording, check, clipped, converted, split
from smac.data.transitions import Episode
from smac.data.units import in_task_units, recorded_units
from smac.envs import env_spec, make_env
from smac.envs.units import Units
from smac.errors import UserError
from smac.provenance import versions
from smac.tasks import Task
from smac.tasks.environments import specification

logger = logging.getLogger(__name__)

FILES: Mapping[str, Callable[[Path, int | None], Iterator[Recording]]] = {  # and an episode's time limit
    ".hdf5": read_hdf5,
    ".h5": read_hdf5,
    ".npz": read_npz,
}
REQUIREMENTS = ["gymnasium-robotics>=1.4", "mujoco<3.11", "smac-landscape"]


def minari_root(root: Path | None) -> Path:
    """Folder of all datasets: `root`, else MINARI_DATASETS_PATH, else ~/.minari/datasets as Minari has it."""
    named = root or os.environ.get("MINARI_DATASETS_PATH")
    folder = Path(named) if named else Path.home() / ".minari" / "datasets"
    return folder.resolve()  # Minari joins a relative path to itself


def check_new_dataset(dataset_id: str, root: Path | None) -> Path:
    """Folder that a new dataset will take; UserError if its id is malformed, the hub's, or in use."""
    if hub.of_hub(dataset_id):
        raise UserError(
            f"dataset id {dataset_id!r} would pass for one of others: {' and '.join(hub.NAMESPACES)} are "
            "theirs, use a first word of your own"
        )
    match = DATASET_ID_RE.fullmatch(dataset_id)
    if match is None or match.group("version") is None:
        raise UserError(
            f"dataset id {dataset_id!r} is malformed: use words of two letters or digits at least, "
            "as in group/name-v0"
        )
    base = minari_root(root)
    folder = base / dataset_id
    if folder.exists():
        raise UserError(f"dataset {dataset_id} exists already in {folder}: choose another id or delete it")
    there = next(path for path in (base, *base.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(
            f"no dataset can be written to {base}: {there} is no folder, or may not be written to"
        )
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

    Everything is written to a hidden folder first and then renamed; what a killed process left of the same
    dataset is removed. `provenance` (JSON values: who collected, with which options and seed) goes into the
    metadata with the versions of the packages involved. Raises UserError if the id is malformed or in use, or
    if there is no episode.
    """
    folder = check_new_dataset(dataset_id, root)
    if not episodes:
        raise UserError(f"dataset {dataset_id}: no episode to write")
    base = minari_root(root)
    name = f".partial-{dataset_id.replace('/', '+')}-"
    partial = base / f"{name}{uuid.uuid4().hex}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in base.glob(f"{name}{'[0-9a-f]' * 32}"):
            shutil.rmtree(left, ignore_errors=True)
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


def read_dataset(
    ref: str | Path, task: Task, root: Path | None = None, *, clip_actions: bool = False
) -> list[Episode]:
    """Episodes of a dataset, in the convention of `task`; see `iterate_dataset`."""
    return list(iterate_dataset(ref, task, root, clip_actions=clip_actions))


def iterate_dataset(
    ref: str | Path, task: Task, root: Path | None = None, *, clip_actions: bool = False
) -> Iterator[Episode]:
    """Episodes of a dataset one by one, in the convention of `task`.

    `ref` is a dataset id under `root`, an id of Minari's hub (downloaded if it is not there), the path of a
    dataset's folder, of a `.hdf5` file in D4RL's layout (`smac.data.hdf5`) or of a `.npz` file
    (`smac.data.npz`). What was made elsewhere is converted, see `recordings.converted`; `clip_actions` clips
    its actions to [-1, 1]. Raises UserError if the dataset is missing, damaged, of another task, or holds a
    field that does not fit the environment.
    """
    path = find_dataset(ref, root, task)
    dims = env_spec(task)
    if is_own(path):
        check_belongs(read_metadata(path), task, str(path))
        for recording in _recordings(path, task):
            check(recording, dims)
            yield _own(recording)
        return
    for recording in read_recordings(path, task):
        yield converted(clipped(recording) if clip_actions else recording, task, dims)


def is_own(path: Path) -> bool:
    """Whether the dataset found at `path` was written by `write_dataset`."""
    return path.is_dir() and "task" in read_metadata(path)


def read_recordings(path: Path, task: Task, units: Units | None = None) -> Iterator[Recording]:
    """Episodes of a dataset made elsewhere as they were recorded, observations flat as the task's.

    Actions are in the task's units; `units` are those recorded, where the dataset does not say.
    """
    metadata = read_metadata(path) if path.is_dir() else {}
    check_belongs(metadata, task, str(path))
    units = recorded_units(path, metadata, task, units)
    if path.is_dir():
        recordings = _recordings(path, task)
    else:
        recordings = FILES[path.suffix](path, specification(task).max_episode_steps or task.horizon)
    for recording in recordings:
        yield in_task_units(recording, task, units)


def find_dataset(ref: str | Path, root: Path | None, task: Task | None = None) -> Path:
    """Folder (the one that holds `data`), or file, of a dataset named by id or path.

    An id of the hub that is not there is downloaded. Raises UserError if there is no such dataset.
    """
    for folder in (minari_root(root) / ref, Path(ref)):
        if (folder / "data" / "metadata.json").is_file():
            return folder
    if Path(ref).suffix in FILES:
        if Path(ref).is_file():
            return Path(ref)
        raise UserError(f"{ref}: no such file")
    if hub.of_hub(str(ref)):
        return hub.download(str(ref), minari_root(root))
    raise UserError(f"no dataset {str(ref)!r} in {minari_root(root)}: {_remedy(task)}")


def _remedy(task: Task | None) -> str:
    if task is not None and task.dataset is not None and task.dataset.endswith("-human-v0"):
        name = task.name.partition("-")[0]
        return f"create it with `smac data import --source {name}_human.npz --task {task.name}`"
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


def _recordings(folder: Path, task: Task) -> Iterator[Recording]:
    metadata = read_metadata(folder)
    spec = recorded_spec(metadata)
    for raw in _raw_episodes(folder, int(metadata["total_episodes"])):
        where = f"dataset {folder}, episode {raw['id']}"
        recording = Recording(
            where=where,
            observations=_flatten(raw["observations"], task, where),
            actions=raw["actions"],
            rewards=raw["rewards"],
            success=_recorded_success(raw, where),
            terminated=bool(raw["terminations"][-1:].any()),
            env_id=None if spec is None else spec["id"],
        )
        flags = [np.asarray(raw[name], bool).reshape(-1) for name in ("terminations", "truncations")]
        inside = int((flags[0] | flags[1])[:-1].sum())
        if inside == 0 or task.reward == "success" or task.subtasks:  # whose endings are made anew
            yield recording
            continue
        logger.warning("%s: cut at %d flags before its last step", where, inside)
        yield from split(recording, *flags)


def _raw_episodes(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    try:
        yield from MinariStorage.read(folder / "data").get_episodes(range(count))
    except (OSError, KeyError, ValueError, TypeError, AssertionError, RuntimeError) as error:
        raise UserError(f"dataset {folder} is damaged and cannot be read: {error!r}") from error


def _flatten(observations: Any, task: Task, where: str) -> np.ndarray:
    """Observations as one float32 array [T + 1, obs]; entries of a dict in the task's order."""
    if not isinstance(observations, dict):
        return np.asarray(observations, dtype=np.float32)
    keys = task.observation_keys or _keys_of_environment(task)
    if not keys:
        raise UserError(f"{where}: observations is a dict of {sorted(observations)}, the task needs an array")
    missing = [key for key in keys if key not in observations]
    if missing:
        raise UserError(f"{where}: observations lacks {missing} and holds {sorted(observations)}")
    return np.concatenate([observations[key] for key in keys], axis=1).astype(np.float32)


@cache
def _keys_of_environment(task: Task) -> tuple[str, ...]:
    """The entries that training takes of a task which names none: all of a dict, in its space's order."""
    env = make_env(task)
    try:
        return tuple(env.get_wrapper_attr("keys"))
    finally:
        env.close()


def _own(recording: Recording) -> Episode:
    """An episode that `write_dataset` wrote."""
    if recording.success is None:
        raise UserError(f"{recording.where}: infos/success is missing")
    return Episode(
        observations=recording.observations,
        actions=recording.actions,
        rewards=recording.rewards,
        success=recording.success,
        terminated=recording.terminated,
        truncated=not recording.terminated,
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
