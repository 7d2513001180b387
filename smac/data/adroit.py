"""Human door demonstrations of hand_dapg (Rajeswaran et al. 2018), converted to numpy arrays."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from smac.data.transitions import Episode, sparse_episode
from smac.errors import UserError
from smac.tasks.adroit import door_open

OBSERVATION_DIM, ACTION_DIM = 39, 28


def import_door_human(path: Path) -> list[Episode]:
    """Episodes of `door_human.npz` in the door-binary task's convention.

    Recorded actions (-1.28 to 1.37) are clipped to [-1, 1], as the environment does. The success of a step is
    read from the hinge angle of the observation after it. The recording ends without an observation after the
    last action, so that action is dropped: T recorded steps give T - 1 transitions. Reward is success - 1;
    an episode is cut at its first success (terminated), others are truncated. Raises UserError naming the
    field of a file that does not fit.
    """
    arrays = _load(Path(path), ("observations", "actions", "episode_lengths"))
    observations, actions, lengths = (arrays[k] for k in ("observations", "actions", "episode_lengths"))
    _check_shape(path, "observations", observations, OBSERVATION_DIM)
    _check_shape(path, "actions", actions, ACTION_DIM)
    if len(actions) != len(observations):
        raise UserError(f"{path}: actions has {len(actions)} rows, observations {len(observations)}")
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer) or np.any(lengths < 2):
        raise UserError(f"{path}: episode_lengths must be whole numbers of at least 2 in one row")
    if lengths.sum() != len(observations):
        raise UserError(f"{path}: episode_lengths sum to {lengths.sum()}, observations {len(observations)}")
    cuts = np.cumsum(lengths)[:-1]
    return [
        sparse_episode(obs, np.clip(act[:-1], -1.0, 1.0), door_open(obs[1:]))
        for obs, act in zip(np.split(observations, cuts), np.split(actions, cuts), strict=True)
    ]


def checksum(path: Path) -> str:
    """SHA-256 of a file, for the provenance of what was made from it."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _load(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of door_human.npz")
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in names:
                if name not in file:
                    raise UserError(f"{path}: the array {name} is missing; is this door_human.npz?")
                arrays[name] = file[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not a readable .npz file of plain arrays ({error})") from error
    return arrays


def _check_shape(path: Path, name: str, array: np.ndarray, width: int) -> None:
    if array.ndim != 2 or array.shape[1] != width:
        raise UserError(f"{path}: {name} has shape {array.shape}, expected (steps, {width})")
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise UserError(f"{path}: {name} must hold finite floating-point numbers")
