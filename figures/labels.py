"""Where words go so that none lies on another: boxes in points, placed one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from figures.files import Floats
from figures.style import RC

REACH = (0.0, 4.0, 9.0, 16.0, 26.0)  # how much farther than right beside its point a label may go
TURNS = 16
LESS, COVERED = 12.0, 4.0  # what a shorter wording and a covered point cost, in points of reach


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    low: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.low + self.height / 2

    def hits(self, other: "Box") -> bool:
        """Whether the two overlap; touching is no overlap."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.low < other.low + other.height
            and other.low < self.low + self.height
        )

    def inside(self, other: "Box") -> bool:
        return (
            other.left <= self.left
            and other.low <= self.low
            and self.left + self.width <= other.left + other.width
            and self.low + self.height <= other.low + other.height
        )


def around(x: float, y: float, radius: float) -> Box:
    """The box of a marker."""
    return Box(x - radius, y - radius, 2 * radius, 2 * radius)


def text_size(text: str, size: float, *, bold: bool = False) -> tuple[float, float]:
    """Width and height in points of one line of text, with the room that its box needs."""
    font = FontProperties(family=RC["font.family"], size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) + 2.0, 1.15 * size


def shortened(text: str, letters: int) -> str:
    """At most so many letters; what is left out of the middle becomes an ellipsis."""
    if len(text) <= letters:
        return text
    end = (letters - 1) // 2
    return f"{text[: letters - 1 - end]}…{text[-end:]}"


def wrapped(text: str, size: float, width: float) -> list[str]:
    """A text as lines no wider than `width` points, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_size(longer, size)[0] > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def place(
    points: Floats,
    sizes: Sequence[Sequence[tuple[float, float]]],
    bounds: Box,
    *,
    radius: float,
    busy: Floats,
) -> list[tuple[int, Box] | None]:
    """A place for a label beside each of the points [n, 2], in points of 1/72 inch.

    `sizes[k]` are the widths and heights of the wordings of label k, the best one first: a later one is taken
    where an earlier one finds no place, or only a much worse one. No label overlaps another one, or a marker
    of `radius`, or leaves the bounds; of the places that are left, the one near its marker that covers least
    of the `busy` points [m, 2] is taken. Returns the wording's index and its box, or None where there is no
    place at all.
    """
    markers = [around(x, y, radius) for x, y in points]
    placed: list[Box] = []
    found: list[tuple[int, Box] | None] = []
    for (x, y), wordings in zip(points, sizes, strict=True):
        free = [
            (cost + LESS * wording + COVERED * _covered(box, busy), wording, box)
            for wording, (width, height) in enumerate(wordings)
            for cost, box in _candidates(x, y, width, height, radius)
            if box.inside(bounds) and not any(box.hits(other) for other in [*markers, *placed])
        ]
        best = min(free, key=lambda one: one[0])[1:] if free else None
        found.append(best)
        if best:
            placed.append(best[1])
    return found


def _candidates(x: float, y: float, width: float, height: float, radius: float) -> list[tuple[float, Box]]:
    """Boxes around a marker, with what their distance costs; right of it is best."""
    boxes = []
    for reach in REACH:
        for turn in np.arange(TURNS) * 2 * np.pi / TURNS:
            right, up = float(np.cos(turn)), float(np.sin(turn))
            away = radius + 1.5 + reach
            # A corner or side of the box faces the marker, as far away in every direction.
            left = x + away * right + (0 if right > 0.3 else -width if right < -0.3 else -width / 2)
            low = y + away * up + (0 if up > 0.3 else -height if up < -0.3 else -height / 2)
            boxes.append((reach + 0.5 * abs(turn) / np.pi, Box(left, low, width, height)))
    return boxes


def _covered(box: Box, busy: Floats) -> int:
    if not len(busy):
        return 0
    x, y = busy.T
    return int(
        np.count_nonzero(
            (x > box.left) & (x < box.left + box.width) & (y > box.low) & (y < box.low + box.height)
        )
    )
