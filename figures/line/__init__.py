"""A line or path between two checkpoints: mean return, its simultaneous band, success, where a valley counts.

Everything is drawn from a result directory (`result.json` and `returns.npz`), so a picture can be made again
from the files alone. `alpha = 0` is *from* and `alpha = 1` is *to*, always. A trajectory has its training
steps on the axis, a curve or an aligned line has the straight line as it was behind it in grey.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures.library import write_page
from figures.line.data import (
    Line,
    depth_text,
    end_label,
    ends_title,
    episodes_text,
    failed_text,
    fall_text,
    line_data,
    monotone_text,
)
from figures.line.interactive import line_figure
from figures.line.still import line_still
from figures.style import embed, render, save, still
from landscape.videos import FOLDER, LIST
from smac.files import read_json

__all__ = ["Line", "draw_line", "line_data", "line_figure", "line_still", "notes"]


def draw_line(line: Line, directory: Path) -> list[Path]:
    """Draw a landscape into its directory: `plot.png`, `plot.pdf` and the page `plot.html`."""
    result, fig = line.result, line_still(line)
    ends = dict(zip(("from", "to"), result.ends, strict=True))
    page = render(
        "page.html.j2",
        title=f"{ends_title(result)} on {result.task}",
        result=result.result,
        depth=depth_text(result),
        fall=fall_text(result),
        monotone=monotone_text(result),
        episodes=episodes_text(result),
        notes=notes(line),
        ends={name: {"label": end_label(end), **end} for name, end in ends.items()},
        plot=embed(line_figure(line), "line"),
        still=still(fig),
        films=films(directory),
    )
    return [*save(fig, directory / "plot"), write_page(directory / "plot.html", page)]


def films(directory: Path) -> Mapping[str, Any] | None:
    """What `landscape.videos` wrote about episodes drawn at both ends and at the lowest point, if it did."""
    listed = directory / FOLDER / LIST
    return read_json(listed) if listed.exists() else None


def notes(line: Line) -> list[str]:
    """What a reader must know beyond the band and the level, a sentence each."""
    found = []
    if line.behind:
        found.append(
            f"Grey: {line.behind.label}, {line.behind.verdict}, {line.behind.depth}. "
            f"In colour: {line.behind.own_label}."
        )
    if line.axis.checkpoints:
        found.append("Ticks: the checkpoints; between two of them the path is straight.")
    if len(line.failed):
        what = "; ".join(failed_text(line, run) for run in line.failed_runs)
        found.append(f"Grey stretches: episodes did not finish there ({what}).")
    return found
