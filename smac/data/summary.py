"""What datasets there are, and what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from smac.data.belonging import task_of
from smac.data.minari_io import find_dataset, minari_root, read_dataset, read_metadata
from smac.data.transitions import Episode
from smac.errors import UserError
from smac.tasks import Task, get_task, kitchen


@dataclass(frozen=True)
class DatasetEntry:
    """One line of the list of datasets; `task` is None for an environment that no task uses."""

    dataset_id: str
    path: Path
    task: str | None
    episodes: int
    transitions: int


@dataclass(frozen=True)
class DatasetSummary:
    """What a dataset holds, counted after conversion to its task's convention.

    Returns are undiscounted, lengths in steps; action statistics are per dimension over all transitions.
    """

    dataset_id: str
    path: Path
    task: str
    episodes: int
    transitions: int
    return_mean: float
    return_min: float
    return_max: float
    success_rate: float | None  # share of episodes with a success; None for a task that does not tell
    subtasks_solved: tuple[int, ...]  # episodes that solved 0, 1, 2, ... sub-tasks; () for a task without
    length_mean: float
    length_min: int
    length_max: int
    action_mean: np.ndarray  # [act]
    action_std: np.ndarray  # [act]
    action_at_bound: float  # share of action entries with absolute value 1
    provenance: Mapping[str, Any]  # empty for datasets made elsewhere

    @property
    def subtasks_mean(self) -> float | None:
        """Mean number of sub-tasks that an episode solved; None for a task without."""
        if not self.subtasks_solved:
            return None
        return sum(k * n for k, n in enumerate(self.subtasks_solved)) / self.episodes

    def plain(self) -> dict[str, Any]:
        """All of it as JSON values, without the folder, which belongs to one machine."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "path"}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        return plain | {"subtasks_solved": list(self.subtasks_solved), "subtasks_mean": self.subtasks_mean}


def subtasks_solved(task: Task, episode: Episode) -> int:
    """How many of the task's sub-tasks an episode solved at any time, by its observations."""
    now = kitchen.satisfied(episode.observations[1:], task.subtasks)
    return int(kitchen.solved_so_far(now)[-1])


def list_datasets(root: Path | None = None) -> list[DatasetEntry]:
    """All datasets under `root` (None: Minari's own folder), sorted by id; UserError for no folder."""
    base = minari_root(root)
    if root is not None and not base.is_dir():
        raise UserError(f"{root}: no such folder")
    entries = []
    for file in sorted(base.glob("**/data/metadata.json")):
        folder = file.parent.parent
        if any(part.startswith(".") for part in folder.relative_to(base).parts):
            continue  # being written
        metadata = read_metadata(folder)
        entries.append(
            DatasetEntry(
                dataset_id=metadata["dataset_id"],
                path=folder,
                task=task_of(metadata),
                episodes=int(metadata["total_episodes"]),
                transitions=int(metadata["total_steps"]),
            )
        )
    return entries


def describe_dataset(ref: str | Path, root: Path | None = None, task: str | None = None) -> DatasetSummary:
    """Counts, returns, success, lengths and actions of one dataset, read in its own task's convention.

    `task` names another one; a file that is no Minari dataset needs it.
    """
    path = find_dataset(ref, root)
    metadata: Mapping[str, Any] = read_metadata(path) if path.is_dir() else {"dataset_id": path.name}
    name = task or task_of(metadata)
    if name is None:
        raise UserError(f"{path} does not say which task it is for: name one with --task")
    try:
        chosen = get_task(name)
    except UserError as error:
        raise UserError(f"dataset {path} fits no task ({error}); name one with --task") from None
    return summarise(
        read_dataset(path, chosen),
        dataset_id=metadata["dataset_id"],
        path=path,
        task=name,
        provenance=metadata.get("provenance", {}),
    )


def summarise(
    episodes: list[Episode], *, dataset_id: str, path: Path, task: str, provenance: Mapping[str, Any]
) -> DatasetSummary:
    """Summary of `episodes` (at least one)."""
    if not episodes:
        raise UserError(f"dataset {dataset_id} in {path} holds no episode")
    chosen = get_task(task)
    solved = [subtasks_solved(chosen, episode) for episode in episodes] if chosen.subtasks else []
    returns = np.array([episode.rewards.sum(dtype=np.float64) for episode in episodes])
    successes = [episode.success.any() for episode in episodes]
    told = chosen.has_success or any(successes)  # in addition to a reward of its own, where it was recorded
    lengths = np.array([len(episode) for episode in episodes])
    actions = np.concatenate([episode.actions for episode in episodes])
    return DatasetSummary(
        dataset_id=dataset_id,
        path=path,
        task=task,
        episodes=len(episodes),
        transitions=int(lengths.sum()),
        return_mean=float(returns.mean()),
        return_min=float(returns.min()),
        return_max=float(returns.max()),
        success_rate=float(np.mean(successes)) if told else None,
        subtasks_solved=tuple(solved.count(k) for k in range(len(chosen.subtasks) + 1)) if solved else (),
        length_mean=float(lengths.mean()),
        length_min=int(lengths.min()),
        length_max=int(lengths.max()),
        action_mean=actions.mean(axis=0, dtype=np.float64),
        action_std=actions.std(axis=0, dtype=np.float64),
        action_at_bound=float(np.mean(np.abs(actions) >= 1.0 - 1e-6)),
        provenance=provenance,
    )
