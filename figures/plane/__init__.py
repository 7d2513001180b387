"""A plane through checkpoints: the surface of returns, and every checkpoint's own return beside it.

Everything is drawn from a result directory (`result.json` and `returns.npz`), so a picture can be made again
from the files alone. A marker is filled in the colour of what the checkpoint itself measured: one that
vanishes in the surface is well shown by the plane, and one that stands out is not.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from figures.library import write_page
from figures.plane.data import (
    Plane,
    correlation_text,
    critic_fields,
    plane_data,
    read_plane,
)
from figures.plane.interactive import MARGINS, plane_figure, surface_figure
from figures.plane.still import episodes_text, pair_still, plane_still, planes_still, surface_still
from figures.style import embed, number, render, save, still

__all__ = [
    "Plane",
    "draw_plane",
    "draw_planes",
    "map_embed",
    "pair_still",
    "plane_data",
    "plane_figure",
    "plane_still",
    "planes_still",
    "read_plane",
    "surface_figure",
    "surface_still",
]

WHOLE, HALF = 640, 484  # pixels: the widest a map gets on a page, alone and beside another


def draw_plane(plane: Plane, directory: Path) -> list[Path]:
    """Draw a plane into its directory: `plot` (map) and `surface` as PNG and PDF, and the page `plot.html`.

    Where the result has the critic's Q on the same grid, also `pair`: reward, and what the critic believes.
    """
    stills = {"plot": plane_still(plane), "surface": surface_still(plane)}
    if "q" in plane.fields:
        stills["pair"] = pair_still(plane)
    pages = [write_page(directory / "plot.html", plane_page(plane, stills))]
    return [path for name, fig in stills.items() for path in save(fig, directory / name)] + pages


def draw_planes(directories: Sequence[Path], stem: Path) -> list[Path]:
    """Draw some directories of planes side by side on one scale of colours: `stem.png` and `stem.pdf`."""
    return save(planes_still([read_plane(directory) for directory in directories]), stem)


def plane_page(plane: Plane, stills: dict[str, Figure]) -> str:
    """The page of one plane, with the stills for paper inside."""
    beliefs = critic_fields(plane)
    pair = ["return", "q"] if "q" in beliefs else []
    return render(
        "plane.html.j2",
        title=f"{plane_title(plane)}: {plane.result.task}",
        result=plane.result.result,
        plane=plane,
        episodes=episodes_text(plane),
        notes=notes(plane),
        map=map_embed(plane, "return", "map"),
        pair={name: map_embed(plane, name, f"pair-{name}", width=HALF) for name in pair},
        panels={
            name: map_embed(plane, name, f"map-{name}", width=HALF) for name in beliefs if name not in pair
        },
        surface=embed(surface_figure(plane), "surface", height="min(92vw, 500px)"),
        stills={name: still(fig) for name, fig in stills.items()},
        correlation=correlation_text(plane),
    )


def map_embed(plane: Plane, field: str, div_id: str, *, width: int = WHOLE) -> Markup:
    """The map of a field as a piece of HTML, at most `width` pixels wide and as high as that asks for."""
    tall = float(np.clip(plane.aspect, 0.3, 1.3))
    sides, ends = MARGINS["l"] + MARGINS["r"], MARGINS["t"] + MARGINS["b"]
    height = f"calc((min(100vw - 1.8rem, {width}px) - {sides}px) * {tall:.3f} + {ends}px)"
    return embed(plane_figure(plane, field), div_id, height=height)


def plane_title(plane: Plane) -> str:
    """Where this plane lies, in a few words."""
    anchors = list(plane.result.result["plane"]["anchors"])
    if plane.result.result.get("trajectory_plane"):
        return "The plane of a training trajectory"
    if len(anchors) < 2:
        return f"A plane around {anchors[0]}" if anchors else "A plane"
    return f"The plane through {', '.join(anchors[:-1])} and {anchors[-1]}"


def notes(plane: Plane) -> list[str]:
    """What a reader must know of the map, a sentence each."""
    found = []
    if plane.level is not None:
        what = f"the lower of {plane.ends[0]} and {plane.ends[1]}" if len(plane.ends) > 1 else plane.ends[0]
        nowhere = (
            "" if np.nanmin(plane.fields["return"]) < plane.level else ", which is nowhere on this plane"
        )
        found.append(
            f"Dashed: {what}, less the margin of {number(plane.margin)}; a valley counts below it{nowhere}."
        )
    if plane.oblique:
        found.append(
            f"Axes: shares of {plane.labels[0]} and of {plane.labels[1]} (θ of the actors); {plane.oblique}. "
            "Lengths and angles on this map are not those of parameter space."
        )
    if plane.components:
        found.append(
            "Axes: distances along the principal components of the trajectory, with their shares of "
            "the variance."
        )
    if len(plane.trajectory) > 1:
        found.append("Thin line: training, in the direction of the arrows.")
    for what, cells in (
        ("Hatched: some episodes failed", plane.some_failed),
        ("White and hatched: all episodes failed", plane.all_failed),
    ):
        if count := int(np.count_nonzero(cells)):
            found.append(f"{what}, at {count} point{'s' if count > 1 else ''} of the grid.")
    return found
