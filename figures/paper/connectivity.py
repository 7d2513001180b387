"""`connectivity`: a verdict per method and seed on the line, and on the path that fine-tuning really took."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from figures.paper.agreement import markdown, ranks, tabulate
from figures.paper.description import Reproduction
from smac.files import read_json, write_atomically, write_json, write_text


def draw(root: Path, preset: Reproduction) -> list[Path]:
    """The report of every task: page, tables, pictures; and whether lines and training runs agree."""
    out, written, tasks = root / "figures" / "connectivity", [], {}
    for benchmark in preset.benchmarks:
        folder = root / "connectivity" / benchmark.label
        for path in sorted(path for path in folder.glob("*.*") if path.name != "study.json"):
            written.append(write_atomically(out / benchmark.label / path.name, partial(shutil.copy, path)))
        matrix = root / "transfer" / benchmark.label / "transfer.json"
        tasks[benchmark.label] = read_json(matrix), read_json(folder / "report.json")
    found = tabulate(tasks)
    depths = {name: ranks(*files) for name, files in tasks.items()}
    numbers = {asked: {name: one.numbers() for name, one in of.items()} for asked, of in found.items()}
    return [
        *written,
        write_json(
            out / "agreement.json",
            {
                "preset": preset.name,
                "agreement": numbers,
                "ranks": {name: vars(one) for name, one in depths.items()},
            },
        ),
        write_text(out / "agreement.md", markdown(found, depths)),
    ]
