"""The line between two checkpoints: mean return, its simultaneous band, success, and where a valley counts.

Everything is drawn from a result directory (`result.json` and `returns.npz`), so a picture can be made again
from the files alone. `alpha = 0` is *from* and `alpha = 1` is *to*, always.
"""

from pathlib import Path

from figures.line.data import depth_text, end_label, episodes_text, read_line
from figures.line.interactive import line_figure
from figures.line.still import line_still
from figures.style import embed, look, render, save, still
from smac.files import write_text


def draw_line(directory: Path) -> list[Path]:
    """Draw a landscape directory: `plot.png`, `plot.pdf` and the interactive, self-contained `plot.html`."""
    result, arrays = read_line(directory)
    fig = line_still(result, arrays)
    page = render(
        "page.html.j2",
        title=f"{look(result['from']['algorithm']).name} on {result['task']}",
        result=result,
        depth=depth_text(result),
        episodes=episodes_text(result),
        ends={name: {"label": end_label(result[name]), **result[name]} for name in ("from", "to")},
        plot=embed(line_figure(result, arrays), "line"),
        still=still(fig),
    )
    return [*save(fig, directory / "plot"), write_text(directory / "plot.html", page)]
