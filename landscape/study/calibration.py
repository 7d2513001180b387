"""The table of calibration: every question of `landscape.statistics.calibration`, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from landscape.statistics.calibration import NOT_TRIED, Question, markdown, measure, questions
from smac.errors import UserError
from smac.files import read_json, write_atomically, write_json
from smac.provenance import versions


def calibration_table(
    out: Path,
    *,
    repeats: int = 200,
    seed: int = 0,
    command: str = "landscape doctor --calibration",
    asked: Sequence[Question] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure what has not been measured yet, and write the table `out` and its numbers next to it (.json).

    Every question is written when it is answered, so a killed calibration goes on where it stopped. UserError
    where the numbers are of other samples.
    """
    if out.suffix != ".md":
        raise UserError(f"{out}: the table of calibration is Markdown; give --out a name that ends in .md")
    if repeats < 1:
        raise UserError(f"--repeats must be at least 1, got {repeats}")
    asked, numbers = questions() if asked is None else asked, out.with_suffix(".json")
    options: dict[str, Any] = {"kind": "calibration", "repeats": repeats, "seed": seed}
    known = _known(numbers, options)

    def keep() -> None:
        write_json(numbers, options | {"rows": known, "not_tried": NOT_TRIED, "versions": versions()})

    for k, question in enumerate(asked):
        key = f"{question.truth}; {question.setting}"
        if key not in known:
            known[key] = [row.to_json() for row in measure(question, repeats, seed)]
            keep()
        if progress:
            progress(k + 1, len(asked))
    keep()
    rows = [row for question in asked for row in known[f"{question.truth}; {question.setting}"]]
    write_atomically(out, lambda path: path.write_text(markdown(rows, command), encoding="utf-8"))
    return rows


def _known(numbers: Path, options: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The answers that are there already; UserError if they are of other samples."""
    if not numbers.exists():
        return {}
    found = read_json(numbers)
    if not isinstance(found, dict) or any(found.get(name) != value for name, value in options.items()):
        raise UserError(
            f"{numbers}: was not made with --repeats {options['repeats']} --seed {options['seed']}; give "
            "these as they were, or choose another --out"
        )
    return dict(found["rows"])
