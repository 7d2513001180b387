"""What a figure of the paper needs: commands in order, and what is drawn from what they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from figures.paper.presets import Preset


@dataclass(frozen=True)
class Step:
    """One command. Paths in it that begin with `./` are relative to the directory of the reproduction."""

    words: tuple[str, ...]
    done: str
    """The file that is there when the command has ended; the same command again goes on where it was."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure or table of the paper, with our own runs."""

    name: str
    shows: str
    steps: Callable[[Preset], Sequence[Step]]
    draw: Callable[[Path, Preset], Sequence[Path]]
