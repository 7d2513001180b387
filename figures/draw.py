"""Any result directory drawn from its files, whatever its kind, and the picture of any result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from figures.files import damaged, read
from figures.line import draw_line, line_data, line_still
from figures.plane import draw_plane, plane_data, plane_still
from figures.projection import draw_projection, projection_data, projection_still
from figures.report import draw_report, paths_still, report_data
from landscape.results import LandscapeResult, PathResult, PlaneResult, ProjectionResult, ReportResult


@dataclass(frozen=True)
class Pictures:
    """How a kind of result is drawn; what is drawn is gathered once for all pictures of a result."""

    gather: Callable[[Any], Any]
    still: Callable[[Any], Figure]
    write: Callable[[Any, Path], list[Path]]
    """All pictures and pages into a directory."""


KINDS: dict[type[LandscapeResult], Pictures] = {
    PathResult: Pictures(line_data, line_still, draw_line),
    PlaneResult: Pictures(plane_data, plane_still, draw_plane),
    ProjectionResult: Pictures(projection_data, projection_still, draw_projection),
    ReportResult: Pictures(report_data, paths_still, draw_report),
}


def draw(directory: Path) -> list[Path]:
    """Draw a result directory and return the files written; only pictures and pages are.

    Raises:
        UserError: the kind of result is unknown, or one of the files is missing or damaged.
    """
    result = read(directory)
    kind = KINDS[type(result)]
    with damaged(directory):
        found = kind.gather(result)
    return kind.write(found, directory)


def picture(result: LandscapeResult) -> Figure:
    """The figure that stands for a result."""
    kind = KINDS[type(result)]
    return kind.still(kind.gather(result))
