"""Any result directory redrawn from its files, whatever its kind; only pictures and pages are written."""

from collections.abc import Callable
from pathlib import Path

from figures.files import read_kind
from figures.line import draw_line
from figures.plane import draw_plane
from figures.projection import draw_projection
from figures.report import draw_report
from smac.errors import UserError

KINDS: dict[str, Callable[[Path], list[Path]]] = {
    "interpolate": draw_line,
    "trajectory": draw_line,
    "curve": draw_line,
    "align": draw_line,
    "plane": draw_plane,
    "project": draw_projection,
}


def draw(directory: Path) -> list[Path]:
    """Draw a result directory and return the files written.

    Raises:
        UserError: the kind of result is unknown, or one of the files is missing or damaged.
    """
    if (directory / "report.json").exists():
        return draw_report(directory)
    kind = read_kind(directory)
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise UserError(f"{directory / 'result.json'} is of kind {kind!r}; pictures are drawn of {known}.")
    return KINDS[kind](directory)
