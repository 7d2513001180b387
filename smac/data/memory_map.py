"""Transitions that stay on disk: columns of numbers, mapped into memory, read where they are used."""

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from smac.data.minari_io import find_dataset, iterate_dataset, minari_root, read_dataset, read_metadata
from smac.data.transitions import Episode, Transitions
from smac.envs import env_spec
from smac.errors import UserError
from smac.files import read_json, write_json
from smac.provenance import versions
from smac.tasks import Task

FORMAT = 1  # of the folders written here; another number and they are made anew
PIECE = 2**18  # transitions converted at a time
MAP_ABOVE = 4 * 2**30  # bytes: larger datasets are mapped
_INDEX = "columns.json"


class MappedTransitions(Transitions):
    """Transitions on disk. They stay there, and on the CPU; what is moved to a device are batches."""

    def to(self, device: torch.device | str) -> Transitions:
        """These, wherever the device."""
        return self


def load_transitions(
    ref: str | Path,
    task: Task,
    root: Path | None = None,
    *,
    discount: float,
    map_above: int = MAP_ABOVE,
    cache: Path | None = None,
) -> Transitions:
    """Transitions of a dataset in memory, or mapped from disk if they take more than `map_above` bytes.

    Mapped ones are written once to a folder under `cache` (None: `.transitions` next to the datasets), named
    by the dataset's files (path, size, time of change), the task and the discount, and used again from then
    on. Batches are the same as from memory. For errors see `iterate_dataset`.
    """
    path = find_dataset(ref, root, task)
    if _bytes(path, task) <= map_above:
        return Transitions.from_episodes(
            read_dataset(path, task), discount=discount, failure_reward=task.failure_reward
        )
    key = {
        "format": FORMAT,
        "dataset": _stamp(path),
        "task": task.name,
        "discount": discount,
        "failure_reward": task.failure_reward,
        "package": versions()["smac-landscape"],
    }
    folder = (cache or minari_root(root) / ".transitions") / _name(key)
    if not (folder / _INDEX).is_file():
        episodes = iterate_dataset(path, task)
        write_mapped(episodes, folder, discount=discount, failure_reward=task.failure_reward)
    return open_mapped(folder)


def _name(key: dict[str, object]) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(key, sort_keys=True)).hex


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """Path, size and time of change of a dataset's files: hashing their content would take minutes."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]


def _bytes(path: Path, task: Task) -> int:
    """What the transitions take in memory: of a dataset at most (episodes may be cut), of a file about."""
    if not path.is_dir():
        return 2 * path.stat().st_size  # observations come twice; compression is not accounted for
    dims = env_spec(task)
    row = 4 * (2 * dims.observation_dim + dims.action_dim + 5) + 16
    return row * int(read_metadata(path)["total_steps"])


def write_mapped(
    episodes: Iterable[Episode], folder: Path, *, discount: float, failure_reward: float | None
) -> Path:
    """Writes the transitions of `episodes` to a folder that `open_mapped` opens, holding few in memory.

    The folder appears when it is complete; if another process was faster, its folder stays.
    """
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    try:
        index = _append_all(_pieces(episodes, discount, failure_reward), partial)
        write_json(partial / _INDEX, index)
        if not folder.exists():
            os.rename(partial, folder)
    except OSError as error:
        raise UserError(f"{folder}: the memory-mapped transitions could not be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _pieces(
    episodes: Iterable[Episode], discount: float, failure_reward: float | None
) -> Iterator[Transitions]:
    """Transitions of some whole episodes at a time; ids are counted through."""
    waiting: list[Episode] = []
    first = steps = 0

    def piece() -> Transitions:
        made = Transitions.from_episodes(waiting, discount=discount, failure_reward=failure_reward)
        made.episode_ids.add_(first)
        return made

    for episode in episodes:
        waiting.append(episode)
        steps += len(episode)
        if steps >= PIECE:
            yield piece()
            first, steps = first + len(waiting), 0
            waiting.clear()
    if waiting or first == 0:
        yield piece()  # refuses a dataset without episodes


def _append_all(pieces: Iterable[Transitions], folder: Path) -> dict[str, dict]:
    """Appends the pieces' columns to one file each; dtype and shape of every column."""
    names = [f.name for f in fields(Transitions)]
    index: dict[str, dict] = {}
    files = {name: (folder / f"{name}.bin").open("wb") for name in names}
    try:
        for piece in pieces:
            for name, file in files.items():
                column = getattr(piece, name).numpy()
                column.tofile(file)
                rows = len(column) + (index[name]["shape"][0] if name in index else 0)
                index[name] = {"dtype": str(column.dtype), "shape": [rows, *column.shape[1:]]}
    finally:
        for file in files.values():
            file.close()
    return index


def open_mapped(folder: Path) -> Transitions:
    """The transitions of a folder, mapped; changes to them stay in this process. UserError if damaged."""
    columns = {}
    for name, about in read_json(folder / _INDEX).items():
        file, shape = folder / f"{name}.bin", tuple(about["shape"])
        dtype = np.dtype(about["dtype"])
        expected = dtype.itemsize * math.prod(shape)
        if not file.is_file() or file.stat().st_size != expected:
            raise UserError(f"{file}: not the {expected} bytes it should have; delete the folder {folder}")
        # copy-on-write, since torch wants writable memory
        columns[name] = torch.from_numpy(np.memmap(file, dtype=dtype, mode="c", shape=shape))
    return MappedTransitions(**columns)
