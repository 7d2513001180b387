"""Lines, planes, curves, projections and alignment in parameter space.

NumPy and SciPy only, and scikit-learn to embed.

Networks are mappings from tensor name to array or, through a `Layout`, float64 vectors [d]. Orientation
everywhere: *from* is 0 and *to* is 1. Section numbers are those of docs/landscape.md.
"""

from landscape.geometry.alignment import Alignment, align, function_change, transform_units
from landscape.geometry.curves import Curve, polyline, straight_chain
from landscape.geometry.directions import (
    Update,
    cosine,
    filter_normalise,
    input_axes,
    orthonormalise,
    random_direction,
    random_orthogonal_directions,
    unit,
    update_direction,
)
from landscape.geometry.embedding import (
    By,
    Embedding,
    check_embedding,
    distance_matrix,
    distinct,
    embed,
    kruskal_stress,
    principal_components,
)
from landscape.geometry.grids import Grid, axis, knotted, parse_axis
from landscape.geometry.groups import ACTOR, hold, layers, matching, restrict
from landscape.geometry.lines import line, line_alphas, point_on_line, ray
from landscape.geometry.networks import forward
from landscape.geometry.planes import (
    Anchor,
    Plane,
    Projection,
    Unit,
    coordinates_in,
    plane_along,
    plane_on_axes,
    plane_through,
    plane_with_random,
)
from landscape.geometry.trajectories import RandomWalk, TrajectoryPlane, plane_of_trajectory, random_walk
from landscape.geometry.vectors import (
    Layout,
    Params,
    Vector,
    as_vector,
    check_same_layout,
    displacements,
    distance,
    flatten,
    layout_of,
    unflatten,
)

__all__ = [
    "ACTOR",
    "Alignment",
    "Anchor",
    "By",
    "Curve",
    "Embedding",
    "Grid",
    "Layout",
    "Params",
    "Plane",
    "Projection",
    "RandomWalk",
    "TrajectoryPlane",
    "Unit",
    "Update",
    "Vector",
    "align",
    "as_vector",
    "axis",
    "check_embedding",
    "check_same_layout",
    "coordinates_in",
    "cosine",
    "displacements",
    "distance",
    "distance_matrix",
    "distinct",
    "embed",
    "filter_normalise",
    "flatten",
    "forward",
    "function_change",
    "hold",
    "input_axes",
    "knotted",
    "kruskal_stress",
    "layers",
    "layout_of",
    "line",
    "line_alphas",
    "matching",
    "orthonormalise",
    "parse_axis",
    "plane_along",
    "plane_of_trajectory",
    "plane_on_axes",
    "plane_through",
    "plane_with_random",
    "point_on_line",
    "polyline",
    "principal_components",
    "random_direction",
    "random_orthogonal_directions",
    "random_walk",
    "ray",
    "restrict",
    "straight_chain",
    "transform_units",
    "unflatten",
    "unit",
    "update_direction",
]
