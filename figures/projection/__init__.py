"""Many fine-tuning runs in two dimensions, every checkpoint in the colour of its own return.

Everything is drawn from a result directory (`result.json` and `returns.npz`), so a picture can be made again
from the files alone. What the kind of projection does not show is written on the picture and on the page.
"""

from pathlib import Path

from markupsafe import Markup

from figures.files import Arrays, Result
from figures.projection.data import METHODS, projection_data, read_projection, summary_text
from figures.projection.interactive import projection_figure, run_rows
from figures.projection.still import projection_still
from figures.style import counted, embed, render, save, still
from smac.files import write_text

__all__ = ["draw_projection", "projection_figure", "projection_still", "read_projection"]

WIDE = 760  # pixels


def draw_projection(directory: Path) -> list[Path]:
    """Draw a directory of a projection: `plot.png`, `plot.pdf` and the self-contained page `plot.html`."""
    result, arrays = read_projection(directory)
    fig = projection_still(result, arrays)
    found = projection_data(result, arrays)
    page = render(
        "project.html.j2",
        title=f"{METHODS[found.by]} of {counted(len(found.runs), 'fine-tuning run')}: {result['task']}",
        result=result,
        summary=summary_text(result),
        rows=run_rows(found),
        plot=_embedded(result, arrays),
        still=still(fig),
    )
    return [*save(fig, directory / "plot"), write_text(directory / "plot.html", page)]


def _embedded(result: Result, arrays: Arrays) -> Markup:
    """The interactive picture, as high as its width asks for."""
    figure = projection_figure(result, arrays)
    margin, tall = figure.layout.margin, projection_data(result, arrays).aspect
    sides, ends = margin.l + margin.r, margin.t + margin.b
    height = f"calc((min(100vw - 1.8rem, {WIDE}px) - {sides}px) * {tall:.3f} + {ends}px)"
    return embed(figure, "projection", height=height)
