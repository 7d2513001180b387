"""Data of others made a dataset of ours, and datasets put together to one."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smac.data.minari_io import find_dataset, is_own, iterate_dataset, read_metadata, read_recordings
from smac.data.recordings import clipped, converted
from smac.data.replayed import Replay, check_repeats, replay
from smac.data.transitions import Episode
from smac.envs import env_spec
from smac.envs.units import Units, action_box
from smac.errors import UserError
from smac.tasks import Task

MOST_CLIPPED = 0.2  # share of actions beyond [-1, 1] that may be overshoot; door_human.npz has 5.6 %


def import_dataset(
    source: str | Path,
    task: Task,
    root: Path | None = None,
    units: Units | None = None,
    *,
    replayed: bool = True,
) -> tuple[list[Episode], dict]:
    """Episodes of a file or dataset made elsewhere, in the convention of `task`, and their provenance.

    What `read_dataset` does, and actions a little beyond [-1, 1] are clipped as the environments clip them;
    the provenance says how many. Of the shared demonstrations, door_human.npz needs it (-1.28 to 1.37), holds
    nothing after each episode's last action, which is dropped, and no success, which is read from the hinge;
    relocate_human.npz holds both, and both are used. `units` are those of
    the recorded actions, where the file does not say. Some steps are replayed where the environment's state
    can be set (`smac.data.replayed`), unless `replayed` is False. Raises UserError naming the field that does
    not fit, or if more than overshoot would be clipped for a box other than [-1, 1], where units can be
    mistaken, or if the data do not repeat themselves.
    """
    path = find_dataset(source, root, task)
    if is_own(path):
        raise UserError(f"{path} is a dataset of ours already: use it as it is, or `smac data mix`")
    dims, episodes = env_spec(task), []
    steps = entries = beyond = 0
    for recording in read_recordings(path, task, units):
        steps += len(recording)
        entries += recording.actions.size
        beyond += int((np.abs(recording.actions) > 1.0).sum())
        episodes.append(converted(clipped(recording), task, dims))
    if beyond > MOST_CLIPPED * entries and not action_box(task).is_unit:
        raise UserError(
            f"{path}: {beyond / entries:.0%} of its actions lie beyond [-1, 1], which is no "
            "overshoot: if they are those of the environment, state --action-units env"
        )
    found = replay(task, episodes) if replayed else Replay(0, float("nan"), "as was asked for")
    check_repeats(found, str(path), task)
    provenance = {
        "collector": "import",
        "source": path.name,
        "sha256": checksum(path),
        "recorded_steps": steps,
        "action_units": units or "as the file says",
        "actions_clipped": beyond / max(entries, 1),
        "replay": found.text,
    }
    return episodes, provenance


def checksum(path: Path) -> str:
    """SHA-256 of a file, or of a dataset's files by name, for the provenance of what was made from it."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while piece := stream.read(2**20):
                digest.update(piece)
    return digest.hexdigest()


def mix(
    parts: Sequence[str | Path], task: Task, root: Path | None = None, *, only_successes: bool = False
) -> tuple[list[Episode], dict]:
    """The episodes of several datasets, part after part, and a provenance that holds those of the parts.

    With `only_successes` the episodes that fail are left out, as AWAC and Cal-QL do for the binary Adroit
    tasks. There the parts are human demonstrations and rollouts of a policy cloned from them; both end at
    their first success (AWAC and Cal-QL cut after the last).
    """
    if len(parts) < 2:
        raise UserError("mixing takes at least two datasets")
    episodes: list[Episode] = []
    made_of: list[dict[str, Any]] = []
    for part in parts:
        path = find_dataset(part, root, task)
        taken = [e for e in iterate_dataset(path, task) if e.success.any() or not only_successes]
        if not taken:
            raise UserError(f"{path} has no episode {'that succeeds' if only_successes else 'to take'}")
        metadata = read_metadata(path) if path.is_dir() else {"dataset_id": path.name}
        made_of.append(
            {
                "dataset_id": metadata["dataset_id"],
                "episodes": len(taken),
                "transitions": sum(map(len, taken)),
                "sha256": checksum(path),
                "provenance": metadata.get("provenance", {}),
            }
        )
        episodes += taken
    return episodes, {"collector": "mix", "only_successes": only_successes, "parts": made_of}
