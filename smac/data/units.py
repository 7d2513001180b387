"""Units of a dataset's actions: read from the file or its metadata, or said; then those of the task, [-1, 1].

D4RL and Minari record what the environment took; files of ours, and the `.npz` layout, hold [-1, 1].
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from smac.data.recordings import Recording
from smac.envs.units import Box, Units, action_box
from smac.errors import UserError
from smac.tasks import Task

ROUNDING = 1e-6  # beyond 1, that a change of units may bring


def recorded_units(path: Path, metadata: Mapping[str, Any], task: Task, said: Units | None) -> Units:
    """Units of the actions in a dataset made elsewhere; `metadata` is Minari's, if it is one.

    UserError where the environment's box is not [-1, 1] and neither the file nor `said` tells.
    """
    box = action_box(task)
    if box.is_unit:
        return "unit"  # there is no difference
    if said is not None:
        return said
    if path.suffix in (".hdf5", ".h5"):
        return "env"
    found = _of_space(metadata, box) if path.is_dir() else _of_npz(path)
    if found is None:
        inside = "" if path.is_dir() else ", or with an array action_units in the file"
        raise UserError(
            f"{path}: nothing says whether its actions are those of the environment, {box}, or in [-1, 1]: "
            f"state `smac data import --action-units env` or `unit`{inside}"
        )
    return found


def in_task_units(recording: Recording, task: Task, units: Units) -> Recording:
    """Actions in the task's [-1, 1]; ends of the environment's box become -1 and 1 exactly."""
    box = action_box(task)
    if units == "unit" or recording.actions.shape[1:] != box.half.shape:  # a shape that `check` refuses
        return recording
    actions = (np.asarray(recording.actions, np.float64) - box.centre) / box.half
    overshoot = np.abs(actions) <= 1.0 + ROUNDING
    return replace(recording, actions=np.where(overshoot, np.clip(actions, -1.0, 1.0), actions))


def _of_space(metadata: Mapping[str, Any], box: Box) -> Units | None:
    """By the action space that Minari recorded: the environment's box, or [-1, 1]."""
    try:
        space = json.loads(metadata["action_space"])
        recorded = Box(tuple(map(float, space["low"])), tuple(map(float, space["high"])))
    except (KeyError, ValueError, TypeError):
        return None
    if recorded.same_as(box):
        return "env"
    return "unit" if recorded.is_unit else None


def _of_npz(path: Path) -> Units | None:
    """What the array `action_units` says, if there is one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            said = str(file["action_units"]) if "action_units" in file else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
        return "unit"  # no file of arrays, as its reader will say
    if said is not None and said not in get_args(Units):
        raise UserError(f"{path}: action_units must be env or unit, not {said!r}")
    return said  # type: ignore[return-value]
