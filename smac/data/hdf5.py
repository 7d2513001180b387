"""D4RL's HDF5 files (Fu et al. 2020), and any in that layout.

One row a step, episodes end to end: `observations`, `actions`, `rewards`, `terminals`, and where there are
`timeouts`, `next_observations` and `infos/success`. Other entries (`infos/qpos`, `metadata`) are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from smac.data.recordings import Recording, cut
from smac.errors import UserError

REQUIRED = {name: name for name in ("observations", "actions", "rewards")} | {"terminals": "terminations"}
OPTIONAL = {"timeouts": "truncations", "next_observations": "next_observations", "infos/success": "success"}


def read_hdf5(path: Path, limit: int | None = None) -> Iterator[Recording]:
    """Episodes of a file, read one by one; for how they are cut see `recordings.cut`.

    Raises UserError if the file cannot be read or lacks a field.
    """
    try:
        with h5py.File(path, "r") as file:
            yield from cut(_columns(file, path), str(path), env_id="D4RL", limit=limit)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise UserError(f"{path}: not a readable HDF5 file in D4RL's layout ({error})") from None


def _columns(file: Any, path: Path) -> dict[str, Any]:
    missing = [name for name in REQUIRED if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        raise UserError(f"{path}: the field {missing[0]} is missing; it holds {', '.join(file)}")
    present = {name: ours for name, ours in OPTIONAL.items() if isinstance(file.get(name), h5py.Dataset)}
    return {ours: file[name] for name, ours in (REQUIRED | present).items()}
