"""Every episode of a result as a table: CSV without more packages, Parquet with pandas and pyarrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smac.api import Place, frame
from smac.errors import UserError
from smac.files import write_atomically, write_text
from smac.rollout import Status

if TYPE_CHECKING:
    from landscape.results import LandscapeResult

Columns = dict[str, np.ndarray]
OF_EPISODES = {"returns": "return", "lengths": "length", "successes": "success"}
SUFFIXES = (".csv", ".parquet")


def episodes(result: LandscapeResult) -> Columns:
    """Columns of equal length, a row per episode that was played: its point, its seed and how it went.

    Returns of episodes that failed are nan, and `status` says why. Of a path the point is `alpha`, of a plane
    `x` and `y`, of a projection `name`, `x` and `y`.

    Raises:
        UserError: the result has no episodes of its own, as that of a report.
    """
    places = result.places()
    if not places or "returns" not in result.arrays:
        raise UserError(f"this {result.kind} has no returns.npz, so it has no episodes to export")
    arrays = {name: np.asarray(values) for name, values in result.arrays.items()}
    count = arrays["returns"].shape[-1]
    returns = arrays["returns"].reshape(-1, count)
    points = len(returns)
    statuses = np.where(np.isfinite(returns), Status.FINISHED, Status.DIVERGED)  # of older versions
    statuses = arrays.get("statuses", statuses).reshape(points, count)
    columns: Columns = {name: np.repeat(of, count) for name, of in places.items()}
    columns |= {"episode": np.tile(np.arange(count), points)}
    if "episode_seeds" in arrays:
        columns["episode_seed"] = np.tile(arrays["episode_seeds"], points)
    columns |= {word: arrays[name].reshape(-1) for name, word in OF_EPISODES.items() if name in arrays}
    if not result.tells_success:
        columns.pop("success", None)
    columns["status"] = np.array([Status(value).name.lower() for value in statuses.reshape(-1)])
    played = statuses.reshape(-1) != Status.NOT_PLAYED
    return {name: values[played] for name, values in columns.items()}


def export(result: LandscapeResult, file: Place) -> Path:
    """Write `episodes` of a result as `.csv` or `.parquet`.

    Raises:
        UserError: another suffix, a file that exists, a result without episodes, or Parquet without pandas
            and pyarrow.
    """
    path = Path(file)
    check_export(path)
    columns = episodes(result)
    if path.suffix == ".csv":
        return write_text(path, as_csv(columns))
    return write_atomically(path, lambda temporary: frame(columns).to_parquet(temporary, index=False))


def export_as(result: LandscapeResult, file: Place, suffix: str) -> Path:
    """The same with one suffix, which the file's name must have."""
    if Path(file).suffix != suffix:
        raise UserError(f"{file}: end its name with {suffix}")
    return export(result, file)


def check_export(path: Path) -> None:
    """UserError for a file that cannot be exported to."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: a table is written as {' or '.join(SUFFIXES)}; end its name so")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    missing = [name for name in ("pandas", "pyarrow") if find_spec(name) is None]
    if path.suffix == ".parquet" and missing:
        raise UserError(
            f"{path}: Parquet needs {' and '.join(missing)}: pip install 'smac-landscape[parquet]'"
        )


def as_csv(columns: Mapping[str, np.ndarray]) -> str:
    """A table with a heading; numbers are written so that they are read back exactly, nan is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*(values.tolist() for values in columns.values()), strict=True):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return "" if isinstance(value, float) and value != value else value
