"""Data as plain numpy arrays in one `.npz` file.

| array | shape | |
|---|---|---|
| `observations` | [N, obs] | what each step began with, in the task's own layout; episodes end to end |
| `actions` | [N, act] | in [-1, 1], or as `action_units` says |
| `rewards` | [N] | in the task's convention; not used where it is made of successes or sub-tasks |
| `terminations` or `terminals` | [N] | whether the step ended the task |
| `truncations` or `timeouts` | [N] | whether the recording stopped after the step |
| `episode_lengths` | [episodes] | may take the place of the two |
| `next_observations` | [N, obs] | optional; without it the last step of a truncated episode is dropped |
| `action_units` | [] | `unit` or `env`; needed where the environment's box is not [-1, 1] |
| `success` | [N] | optional: whether the step reached the goal |
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from smac.data.recordings import Recording, cut
from smac.errors import UserError

REQUIRED = ("observations", "actions", "rewards")
ENDS = {
    "terminations": "terminations",
    "terminals": "terminations",
    "truncations": "truncations",
    "timeouts": "truncations",
    "episode_lengths": "episode_lengths",
}
OPTIONAL = ("next_observations", "success")


def read_npz(path: Path, limit: int | None = None) -> Iterator[Recording]:
    """Episodes of a file in the layout above; for how they are cut see `recordings.cut`.

    Raises UserError if the file cannot be read, lacks an array, or holds one twice by two names.
    """
    columns = _columns(path)
    for name in REQUIRED:
        if not np.issubdtype(columns[name].dtype, np.floating):
            raise UserError(f"{path}: {name} must hold floating-point numbers, not {columns[name].dtype}")
    yield from cut(columns, str(path), limit=limit)


def _columns(path: Path) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    if path.is_file() and not zipfile.is_zipfile(path):  # which NumPy would take for a pickle
        raise UserError(
            f"{path}: not a readable .npz file of plain arrays (it is damaged, or something else)"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in REQUIRED if name not in file]
            if missing:
                raise UserError(f"{path}: the array {missing[0]} is missing; it holds {', '.join(file)}")
            for name, ours in ({n: n for n in (*REQUIRED, *OPTIONAL)} | ENDS).items():
                if name in file and ours in columns:
                    raise UserError(f"{path}: holds {ours} twice, the second time as {name}")
                if name in file:
                    columns[ours] = file[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not a readable .npz file of plain arrays ({error})") from None
    if not columns.keys() & set(ENDS.values()):
        raise UserError(f"{path}: no array says where episodes end; give one of {', '.join(ENDS)}")
    return columns
