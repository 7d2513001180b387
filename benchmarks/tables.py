"""What a benchmark returns, and the files that are made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smac.files import write_json, write_text


@dataclass(frozen=True)
class Options:
    """How all benchmarks measure."""

    repeats: int = 3
    """Turns of every contestant; figures are medians over them."""
    seconds: float = 0.3
    """Of a turn of every contestant."""
    compiled: tuple[str, ...] = ("sac", "smac", "cal_ql")
    """Algorithms of which compiled updates are timed. Compiling takes minutes of each, once: what was
    compiled is kept where `--updates compile` keeps it."""
    cleanrl: Path | None = None
    """Folder of CleanRL's source (github.com/vwxyzjn/cleanrl), to be timed beside ours."""
    corl: Path | None = None
    """Folder of CORL's source (github.com/tinkoff-ai/CORL), likewise."""


@dataclass(frozen=True)
class Table:
    """The outcome of a benchmark: what is said of it, and rows of cells."""

    title: str
    about: str
    """What is compared, over what a ratio is taken, by which clock."""
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    finding: str
    """In a sentence with numbers."""
    notes: tuple[str, ...] = ()
    """What was left out, and other things to know."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further numbers, for the JSON file."""


def times(ratio: Mapping[str, Any]) -> str:
    """`1.52 (1.50 to 1.55)` of a median and its range over the turns."""
    return "{:.2f} ({:.2f} to {:.2f})".format(ratio["median"], *ratio["range"])


def write(folder: Path, name: str, table: Table, made: Mapping[str, Any]) -> None:
    """`name.json` and `name.md`; `made` holds command, versions and machine."""
    write_json(folder / f"{name}.json", {**made, **asdict(table)})
    write_text(folder / f"{name}.md", "\n".join(_page(table, made)) + "\n")


def write_index(folder: Path) -> None:
    """`README.md` of all tables that are in the folder."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    write_text(folder / "README.md", "\n".join(_index(found)) + "\n")


def _page(table: Table, made: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"# {table.title}", "", table.finding, "", table.about, "")
    yield from _grid(table.columns, table.rows)
    yield ""
    for note in table.notes:
        yield from (note, "")
    yield _circumstances(made)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def _circumstances(made: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    before, after = made["load"]
    return (
        f"`{made['command']}`, {made['seconds']:.0f} s; {made['cores']} cores, {made['machine']}, "
        f"{made['threads']} thread; load average {before:.1f} before and {after:.1f} after; {versions}."
    )


def _index(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("# Benchmarks", "", "    python -m benchmarks [--only NAME ...] [--out FOLDER]", "")
    yield (
        "Every figure is a ratio over a named peer that was measured in the same run, in turns with it, "
        "and by processor time, which what else runs on the machine does not take; a column by the wall "
        "clock says so. One module of [`benchmarks`](../../benchmarks) makes one table, as Markdown and as "
        "JSON; its command, versions and the load of the machine are at its foot."
    )
    yield ""
    rows = [(f"[`{name}`]({name}.md)", one["title"], one["finding"]) for name, one in found.items()]
    yield from _grid(("benchmark", "of what", "found"), rows)
