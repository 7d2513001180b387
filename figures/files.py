"""Result directories as they come from disk: `result.json` and `returns.npz`, and what can be wrong there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from landscape.study.complete import completed
from smac.errors import UserError

Result = dict[str, Any]
Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]


def read_kind(directory: Path) -> str:
    """The kind of a result: `interpolate`, `plane`, ..."""
    return str(_read_json(directory).get("kind"))


def read_result(directory: Path, *kinds: str) -> tuple[Result, dict[str, NDArray[Any]]]:
    """The contents of `result.json`, with what its version did not have, and of `returns.npz`.

    Raises:
        UserError: a file is missing or unreadable, or the result is of none of `kinds`.
    """
    result = _read_json(directory)
    if result.get("kind") not in kinds:
        wanted = " or ".join(map(repr, kinds))
        raise UserError(f"{directory / 'result.json'} is of kind {result.get('kind')!r}, not {wanted}.")
    with _readable(directory), np.load(directory / "returns.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    with damaged(directory):
        return completed(result, arrays)[0], arrays


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


def _read_json(directory: Path) -> Result:
    with _readable(directory):
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    if not isinstance(result, dict):
        raise UserError(f"{directory / 'result.json'} holds no result; run the landscape again.")
    return result


@contextmanager
def _readable(directory: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{error.filename} is missing: {directory} is not a finished landscape.") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"A file in {directory} cannot be read ({error}); run the landscape again.") from None
