"""`landscape export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from analysis_cli.console import wrote
from figures.files import read
from landscape.export import check_export, export


@dataclass(frozen=True)
class Export:
    """Write every episode of a finished study as a table: a row per point and episode, with its return."""

    examples: ClassVar = (
        "landscape export runs/interpolate --to returns.csv",
        "landscape export runs/plane --to returns.parquet",
    )

    often: ClassVar = ("to",)
    directory: Positional[Path]
    """Directory with a result.json and a returns.npz."""
    to: Path
    """The table: NAME.csv, or NAME.parquet, which needs pandas and pyarrow."""

    def run(self) -> None:
        check_export(self.to)
        wrote(export(read(self.directory), self.to))
