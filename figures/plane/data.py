"""What the picture of a plane shows, read from a result directory.

Row j, column i of every surface [ny, nx] belongs to (xs[i], ys[j]). Positions are in the units of the axes:
Euclidean distances, or filter norms where the result says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from figures.files import Floats, damaged, read_as
from figures.labels import shortened
from figures.line.data import success_rates
from figures.style import number
from landscape.results import PlaneResult
from smac.errors import UserError

FIELD_LABELS = {
    "return": "mean return",
    "length": "mean length of an episode",
    "success": "success rate",
    "score": "normalised score",
    "q": "mean Q of the critic",
    "actor_loss": "actor loss",
    "critic_loss": "critic loss",
    "policy_shift": "policy shift",
}
PLAYED = ("return", "length", "success", "score")  # the others are of the critic, and need no episode
FINISHED = 1  # the status of an episode that finished
LINES, BANDS = 6, 5  # contour lines, about; bands of colour between two of them
LETTERS = 18  # of a checkpoint's name at an axis
ROOM = 0.05  # of the axes, around a checkpoint outside the grid


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint where it falls on the plane, with its own return beside that of the surface."""

    number: int
    """From 1: a trajectory in the order of training, then anchors, then others."""
    name: str
    x: float
    y: float
    share: float
    """Off the plane, of the distance from the origin: 0 in the plane, 1 at right angles to it."""
    anchor: bool
    own: float
    """NaN where no episode of it finished, as are `low`, `high`."""
    low: float
    high: float
    surface: float
    """NaN outside the grid, or beside a point where nothing finished."""

    @property
    def own_text(self) -> str:
        """`−69 [−75, −63]`, or just the return where the interval is unknown."""
        if np.isfinite([self.low, self.high]).all():
            return f"{number(self.own)} [{number(self.low)}, {number(self.high)}]"
        return number(self.own)

    @property
    def short_text(self) -> str:
        """`−69 ± 6`: the same with half the width of the interval."""
        if np.isfinite([self.low, self.high]).all():
            return f"{number(self.own)} ± {number((self.high - self.low) / 2, 2)}"
        return number(self.own)

    @property
    def share_text(self) -> str:
        """`37 %`; `0` only for a checkpoint that lies in the plane."""
        if self.anchor or self.share < 1e-6:
            return "0"
        return "< 1 %" if self.share < 0.01 else f"{100 * self.share:.0f} %"


@dataclass(frozen=True)
class Plane:
    """What is drawn."""

    result: PlaneResult
    """What it was read from."""
    xs: Floats
    ys: Floats
    scale: float
    """Length of a unit of y over that of a unit of x, for equal scales."""
    labels: tuple[str, str]
    components: bool
    """Whether the axes are principal components of a trajectory."""
    oblique: str
    """What lengths and angles there are where the axes are u and v; else empty."""
    fields: dict[str, Floats]
    success: Floats | None
    """Rates [ny, nx]; None for a task that tells no success."""
    finished: NDArray[np.int64]
    """Episodes that finished [ny, nx]."""
    episodes: int
    checkpoints: tuple[Checkpoint, ...]
    trajectory: tuple[Checkpoint, ...]
    """In the order of training; empty without one."""
    level: float | None
    """The lower of the returns of the first two anchors, less the margin; None without a margin."""
    margin: float | None
    ends: tuple[str, ...]
    """The names of the anchors that the level is taken from."""
    correlation: float | None
    """Spearman's, between return and Q."""

    @property
    def some_failed(self) -> NDArray[np.bool_]:
        """Cells [ny, nx] where some episodes failed, but not all."""
        return (self.finished < self.episodes) & (self.finished > 0)

    @property
    def all_failed(self) -> NDArray[np.bool_]:
        return self.finished == 0

    @property
    def extent(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Limits of x and of y: the grid, and every checkpoint outside it with a little room."""
        limits = []
        for axis, own in (
            (self.xs, [c.x for c in self.checkpoints]),
            (self.ys, [c.y for c in self.checkpoints]),
        ):
            room = ROOM * float(np.ptp([*axis, *own]))
            low = min([float(axis[0]), *(value - room for value in own if value < axis[0])])
            high = max([float(axis[-1]), *(value + room for value in own if value > axis[-1])])
            limits.append((low, high))
        return limits[0], limits[1]

    @property
    def aspect(self) -> float:
        """Height over width of the axes at equal scales."""
        (left, right), (low, high) = self.extent
        return self.scale * (high - low) / (right - left)

    def cell(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, right, low and high of the part of the plane nearest to a point of the grid."""
        return *_edges(self.xs, column), *_edges(self.ys, row)

    def filled(self, field: str) -> Floats:
        """A field with the nearest known value wherever one is unknown, for drawing under hatches."""
        from scipy.ndimage import distance_transform_edt  # slow to load, and lines do without

        values = self.fields[field]
        nearest = distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
        return values[tuple(nearest)]


@dataclass(frozen=True)
class Scale:
    """Colours of a field: `lines` are labelled contour lines, and the first and last end the colour map."""

    lines: Floats

    @property
    def limits(self) -> tuple[float, float]:
        return float(self.lines[0]), float(self.lines[-1])

    @property
    def bands(self) -> Floats:
        """Edges of the bands of one colour, which every line is one of."""
        return np.linspace(*self.limits, BANDS * (len(self.lines) - 1) + 1)


def scale_of(field: str, *planes: Plane) -> Scale:
    """One scale for the surfaces of some planes, and for their checkpoints' own returns if these are it."""
    found = [plane.fields[field].ravel() for plane in planes]
    if field == "return":
        found += [np.array([checkpoint.own for checkpoint in plane.checkpoints]) for plane in planes]
    return scale_over(np.concatenate(found))


def scale_over(values: Floats) -> Scale:
    """The scale of some values, of which at least one is known."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return Scale(np.asarray(MaxNLocator(LINES, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)))


def read_plane(directory: Path) -> Plane:
    """Read `result.json` and `returns.npz` of a plane.

    Raises:
        UserError: a file is missing, unreadable or damaged, it is not a plane, or no episode finished on it.
    """
    result = read_as(PlaneResult, directory)
    with damaged(directory):
        return plane_data(result)


def plane_data(found: PlaneResult) -> Plane:
    """Gather what is drawn; UserError where no episode finished."""
    result, arrays = found.result, found.arrays
    (x_name, x_length), (y_name, y_length) = (
        (unit["name"], float(unit["length"])) for unit in result["plane"]["units"]
    )
    lengths = [
        1.0 if name == "distance" else length for name, length in ((x_name, x_length), (y_name, y_length))
    ]
    xs, ys = found.xs / lengths[0], found.ys / lengths[1]
    done = arrays["statuses"] == FINISHED
    fields = found.surfaces
    for name, values in [*fields.items(), ("statuses", done[..., 0])]:
        if values.shape != (len(ys), len(xs)):
            raise ValueError(
                f"{name} has shape {values.shape} on a grid of {len(ys)} rows, {len(xs)} columns"
            )
    checkpoints = _checkpoints(result, lengths)
    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoints}
    margin = (result.get("margin") or {}).get("delta")
    ends = tuple(name for name in result["plane"]["anchors"] if name in by_name)[:2]
    lower = min((by_name[name].own for name in ends), default=float("nan"))
    if not done.any():
        raise UserError("No episode of this plane finished; there is nothing to draw.")
    return Plane(
        result=found,
        xs=xs,
        ys=ys,
        scale=lengths[1] / lengths[0],
        labels=_labels(result, (x_name, y_name)),
        components=bool(result.get("trajectory_plane")) and result["plane"].get("axes") != "uv",
        oblique=_oblique(result["plane"]),
        fields=fields,
        success=success_rates(arrays["successes"], done) if found.tells_success else None,
        finished=done.sum(axis=2),
        episodes=done.shape[2],
        checkpoints=checkpoints,
        trajectory=tuple(by_name[name] for name in result.get("trajectory") or ()),
        level=lower - margin if margin is not None and np.isfinite(lower) else None,
        margin=margin,
        ends=ends,
        correlation=(result.get("correlation") or {}).get("q"),
    )


def _checkpoints(result: Mapping[str, Any], lengths: Sequence[float]) -> tuple[Checkpoint, ...]:
    """A trajectory in the order of training, then anchors, then others as in the file."""
    order = {name: rank for rank, name in enumerate(result.get("trajectory") or ())}
    sorted_ = sorted(result["checkpoints"], key=lambda c: (order.get(c["name"], len(order)), not c["anchor"]))
    return tuple(
        Checkpoint(
            number=rank,
            name=str(one["name"]),
            x=float(one["x"]) / lengths[0],
            y=float(one["y"]) / lengths[1],
            share=float(one["share"]),
            anchor=bool(one["anchor"]),
            own=_known(one["measured"]["return"]),
            low=_known(one["measured"]["low"]),
            high=_known(one["measured"]["high"]),
            surface=_known(one["surface"]),
        )
        for rank, one in enumerate(sorted_, start=1)
    )


def _labels(result: Mapping[str, Any], units: tuple[str, str]) -> tuple[str, str]:
    """The axes' units; what u and v are; of principal components, which are distances, their shares of the
    variance."""
    trajectory = result.get("trajectory_plane")
    if result["plane"].get("axes") == "uv":
        start, *ends = (shortened(name, LETTERS) for name in result["plane"]["anchors"])
        first, second = (f"{axis} = {end} − {start}" for axis, end in zip("uv", ends, strict=True))
        return first, second
    if not trajectory:
        return tuple(units)  # type: ignore[return-value]
    shares = trajectory["explained"]
    first, second = (f"component {i + 1} ({100 * shares[i]:.0f} %)" for i in range(2))
    return first, second


def _oblique(plane: dict[str, Any]) -> str:
    if plane.get("axes") != "uv":
        return ""
    u, v = plane["lengths"]
    cosine = f"{plane['cosine']:.2f}".replace("-", "−")
    return f"‖u‖ = {number(u)}, ‖v‖ = {number(v)}, cosine {cosine}"


def field_label(field: str) -> str:
    """A field in words; one we do not know goes under its own name."""
    return FIELD_LABELS.get(field, field.replace("_", " "))


def critic_fields(plane: Plane) -> list[str]:
    """The fields that come from the critic, Q first."""
    return sorted((name for name in plane.fields if name not in PLAYED), key=lambda name: name != "q")


def correlation_text(plane: Plane) -> str:
    """`Spearman ρ = 0.82` between return and Q; says so where it is unknown."""
    if plane.correlation is None:
        return "Spearman ρ unknown"
    return f"Spearman ρ = {plane.correlation:.2f}".replace("-", "−")


def _edges(axis: Floats, index: int) -> tuple[float, float]:
    edges = np.concatenate([axis[:1], (axis[1:] + axis[:-1]) / 2, axis[-1:]])
    return float(edges[index]), float(edges[index + 1])


def _known(value: Any) -> float:
    return float("nan") if value is None else float(value)
