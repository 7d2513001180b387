"""`landscape plot`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from analysis_cli.console import wrote
from figures.draw import draw


@dataclass(frozen=True)
class Plot:
    """Draw finished studies again from their files; results stay as they are, pictures are replaced."""

    examples: ClassVar = (
        "landscape plot runs/interpolate",
        "landscape plot runs/report runs/plane",
    )
    often: ClassVar = ()
    directories: Positional[tuple[Path, ...]]
    """Directories with a result.json and a returns.npz, or with a report.json."""

    def run(self) -> None:
        for directory in self.directories:
            for path in draw(directory):
                wrote(path)
