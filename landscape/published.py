"""What of a landscape goes to the Hugging Face hub, and the card that says what it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from landscape.results import LandscapeResult, load
from smac.api import Place
from smac.errors import UserError
from smac.hub import MAIN, Parcel, Progress, pull, push
from smac.published import LIBRARY, code, table, versions_text

PICTURES = ("plot.png", "surface.png", "pair.png", "paths.png", "profile.png")
OF_RESULT = ("result.json", "returns.npz", "aligned.safetensors", *PICTURES)
OF_REPORT = ("report.json", "report.md", "report.tex", *PICTURES, *(f"pairs/*/{name}" for name in OF_RESULT))


def push_to_hub(
    result: Place,
    repo: str,
    *,
    private: bool = False,
    revision: str = MAIN,
    replace: bool = False,
    progress: Progress | None = None,
) -> str:
    """Push the directory of a finished landscape or report, with a card, as `landscape push`; the commit's
    address. Further arguments and errors: `smac.hub.push`."""
    found = parcel(Path(result), repo)
    return push(found, repo, private=private, revision=revision, replace=replace, progress=progress)


def pull_from_hub(
    repo: str, out: Place | None = None, *, revision: str = MAIN, progress: Progress | None = None
) -> Path:
    """Fetch a landscape into a new directory, which is returned; see `smac.hub.pull`.

    `landscape.load` reads it from there, and `landscape plot` draws its page again.
    """
    place = None if out is None else Path(out)
    return pull(repo, "dataset", place, revision=revision, progress=progress)[1]


def parcel(directory: Path, repo: str) -> Parcel:
    """What is pushed of a result: every number and episode, and its still pictures; no pages, no store.

    Raises:
        UserError: the directory holds no result.
    """
    result = load(directory)
    patterns = OF_REPORT if result.kind == "report" else OF_RESULT
    files = {p.relative_to(directory).as_posix(): p for pattern in patterns for p in directory.glob(pattern)}
    if result.kind != "report" and "returns.npz" not in files:
        raise UserError(f"{directory / 'returns.npz'} is missing: this is not a finished landscape")
    title = f"{result.kind} on {result.task}"
    numbers = result.numbers()
    columns = list(dict.fromkeys(name for row in numbers.values() for name in row))
    rows = [(name, *(_cell(row.get(column)) for column in columns)) for name, row in numbers.items()]
    page = [
        f"# {title}",
        result.sentence,
        *(f"![{result.kind}]({name})" for name in PICTURES if name in files),
        "## Numbers",
        table(("", *columns), rows),
        f"What they mean is in the documentation of {LIBRARY}, under *Definitions*.",
        "## Load it",
        code("sh", f"landscape pull {repo} --out result\nlandscape plot result"),
        code(
            "python",
            f'import landscape\n\nresult = landscape.load(landscape.pull_from_hub("{repo}"))\nresult',
        ),
        "## How it was made",
        code("sh", str(result.result.get("command", ""))),
        versions_text(_versions(result)),
    ]
    return Parcel("dataset", dict(sorted(files.items())), _about(result, title), "\n\n".join(page) + "\n")


def _about(result: LandscapeResult, title: str) -> dict[str, Any]:
    tags = ["reinforcement-learning", "reward-landscape", "mode-connectivity", LIBRARY, result.kind]
    return {
        "pretty_name": title,
        "tags": [*tags, result.task.partition("@")[0]],
        "task": result.task,
        "verdicts": {
            name: row["verdict"] for name, row in result.numbers().items() if "verdict" in row
        },
    }  # fmt: skip


def _versions(result: LandscapeResult) -> dict[str, str]:
    measured = result.result.get("measured", {})
    return dict(result.result.get("versions", measured.get("versions", {})))


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "" if value is None else "∞"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
