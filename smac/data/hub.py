"""Minari's hub: datasets of others, by id."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import minari

from smac.errors import UserError

NAMESPACES = ("D4RL", "mujoco")  # the hub's: nothing written here may look like one of them


def of_hub(dataset_id: str) -> bool:
    """Whether an id is one of the hub's by its first word."""
    return dataset_id.split("/")[0].lower() in [name.lower() for name in NAMESPACES]


def download(dataset_id: str, root: Path) -> Path:
    """Downloads a dataset into `root` and returns its folder; UserError that tells a way out if it fails."""
    try:
        with _datasets_path(root):
            minari.download_dataset(dataset_id)
    except Exception as error:  # whatever the network and three layers of clients come up with
        raise UserError(
            f"no dataset {dataset_id!r} in {root}, and downloading it failed: {_reason(error)}. Try `minari "
            f"download {dataset_id}` (the hub may be out of reach) on a machine with a network and copy the "
            "folder here; `minari list remote` shows the ids there are; or make your own with `smac data`"
        ) from None
    folder = root / dataset_id
    if not (folder / "data" / "metadata.json").is_file():  # Minari leaves a folder that exists as it is
        raise UserError(f"{folder}: an incomplete download; delete this folder and try again")
    return folder


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")


@contextlib.contextmanager
def _datasets_path(root: Path) -> Iterator[None]:
    """Minari knows where to write from the environment alone."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
