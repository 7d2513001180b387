"""Many fine-tuning runs in two dimensions, every checkpoint in the colour of its own return.

Everything is drawn from a result directory (`result.json` and `returns.npz`), so a picture can be made again
from the files alone. What the kind of projection does not show is written on the picture and on the page.
"""

from pathlib import Path

from markupsafe import Markup

from figures.library import write_page
from figures.projection.data import METHODS, Projection, projection_data, read_projection, summary_text
from figures.projection.interactive import projection_figure, run_rows
from figures.projection.still import projection_still
from figures.style import counted, embed, render, save, still

__all__ = [
    "Projection",
    "draw_projection",
    "projection_data",
    "projection_figure",
    "projection_still",
    "read_projection",
]

WIDE = 760  # pixels


def draw_projection(found: Projection, directory: Path) -> list[Path]:
    """Draw a projection into its directory: `plot.png`, `plot.pdf` and the page `plot.html`."""
    fig = projection_still(found)
    page = render(
        "project.html.j2",
        title=f"{METHODS[found.by]} of {counted(len(found.runs), 'fine-tuning run')}: {found.result.task}",
        result=found.result.result,
        summary=summary_text(found),
        rows=run_rows(found),
        plot=_embedded(found),
        still=still(fig),
    )
    return [*save(fig, directory / "plot"), write_page(directory / "plot.html", page)]


def _embedded(found: Projection) -> Markup:
    """The interactive picture, as high as its width asks for."""
    figure = projection_figure(found)
    margin, tall = figure.layout.margin, found.aspect
    sides, ends = margin.l + margin.r, margin.t + margin.b
    height = f"calc((min(100vw - 1.8rem, {WIDE}px) - {sides}px) * {tall:.3f} + {ends}px)"
    return embed(figure, "projection", height=height)
