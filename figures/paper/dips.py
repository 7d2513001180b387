"""The dip in figures and tables: unbiased, or raw for all of them where runs kept no episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smac.training.comparison import DIP, RAW_DIP, common_dip, told_raw

NO_DROP = 0.02  # of the score: what counts as "without a drop"
DIP_WORDS = {DIP: "dip of the score", RAW_DIP: "dip of the score, raw"}
DIP_HEADINGS = {DIP: "dip", RAW_DIP: "dip, raw"}
DIP_MEANING = {
    DIP: "The dip is the score at the switch minus the worst evaluation after it, which is found on one half "
    "of the episodes and measured on the other, so that without a fall it is 0 in the mean",
    RAW_DIP: "The dip is raw: the score at the switch minus the worst evaluation after it, both found and "
    "measured on the same episodes, which makes it too large; not all of these runs kept their episodes",
}


def number(cell: Mapping[str, Any], name: str) -> dict[str, float]:
    """A cell's mean over seeds with its interval: {mean, low, high, seeds}."""
    found: dict[str, float] = told_raw(cell["over_seeds"])[name]
    return found


def dip_name(tasks: Iterable[Mapping[str, Any]]) -> str:
    """The dip that all cells of these tasks have."""
    return common_dip([cell for task in tasks for cell in task["online"].values()])
