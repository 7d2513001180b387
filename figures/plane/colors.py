"""Colours of surfaces: one map for matplotlib and plotly, even to the eye and from dark to light in grey."""

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_hex

from figures.plane.data import Scale

# The darkest tenth is left out, so that lines in ink are seen on it
COLORMAP: Colormap = LinearSegmentedColormap.from_list(
    "surface", mpl.colormaps["viridis"](np.linspace(0.1, 1.0, 256))
)
COLORSCALE = [[float(share), to_hex(COLORMAP(share))] for share in np.linspace(0, 1, 33)]


def mappable(scale: Scale) -> ScalarMappable:
    """Turns values into colours, and is what a colour bar shows."""
    return ScalarMappable(Normalize(*scale.limits), COLORMAP)


def color_of(value: float, scale: Scale) -> str:
    """The colour of a value on a surface; white where it is unknown."""
    low, high = scale.limits
    return to_hex(COLORMAP((value - low) / (high - low))) if np.isfinite(value) else "#ffffff"
