"""What installed packages add: modules that they name under an entry-point group, imported once."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from smac.errors import UserError


@cache
def load_plugins(group: str) -> None:
    """Import the modules of a group, which register what they have; UserError if one cannot be."""
    for point in entry_points(group=group):
        try:
            point.load()
        except Exception as error:  # whatever another package's module raises
            raise UserError(
                f"entry point {point.name!r} of {group} ({point.value}) cannot be imported: {error!r}"
            ) from error
