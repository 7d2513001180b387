"""`landscape plot`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from analysis_cli.console import wrote
from figures.draw import draw
from figures.output import Format, StyleName, asked_for, written_as


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
    style: StyleName = "screen"
    """`paper`: letters as in most papers' text, thinner lines."""
    width: str | None = None
    """Of a column of the paper, such as 3.25in, 8.2cm or 234pt; pictures of many panels span two. Default:
    each picture's own."""
    formats: tuple[Format, ...] = ("png", "pdf")
    """What is written of every picture."""
    latex: bool = False
    """With --style paper: have LaTeX set the letters, in its own fonts; it must be installed."""

    def run(self) -> None:
        with written_as(asked_for(self.style, self.width, self.formats, self.latex)):
            for directory in self.directories:
                for path in draw(directory):
                    wrote(path)
