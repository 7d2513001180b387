"""Results as pictures read them: once from their directory, and what can be wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from landscape.results import LandscapeResult, ReportResult, load
from smac.errors import UserError

Floats = NDArray[np.float64]
Kind = TypeVar("Kind", bound=LandscapeResult)


def read(directory: Path) -> LandscapeResult:
    """The result in a directory, with what its version did not have.

    Raises:
        UserError: there is none, a file is missing or unreadable, or the kind of result is unknown.
    """
    with damaged(directory):
        result = load(directory)
    if not result.arrays and not isinstance(result, ReportResult):
        raise UserError(f"{directory / 'returns.npz'} is missing: {directory} is not a finished landscape.")
    return result


def read_as(kind: type[Kind], directory: Path) -> Kind:
    """The same; UserError where the result is of another kind."""
    result = read(directory)
    if not isinstance(result, kind):
        raise UserError(f"{directory}: is a result of `landscape {result.kind}`, which cannot be drawn here.")
    return result


@contextmanager
def damaged(directory: Path) -> Iterator[None]:
    """Turns what happens on files that lack something into a UserError; for code that reads, not draws."""
    try:
        yield
    except KeyError as error:
        raise UserError(f"The files in {directory} lack {error}; run the landscape again.") from error
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise UserError(
            f"The files in {directory} are damaged ({error}); run the landscape again."
        ) from error


def floats(values: Any) -> Floats:
    """Numbers from JSON, where an unknown value is null."""
    return np.array(values, dtype=np.float64)
