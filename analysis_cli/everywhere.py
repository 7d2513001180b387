"""Options that every command takes, read before the command's own: help, quiet, JSON, a file of options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smac.errors import UserError

HELP_ALL, QUIET, JSON, DRY_RUN, CONFIG = "--help-all", "--quiet", "--json", "--dry-run", "--config"
FORMER = {"--momenta": "--optimiser-state"}  # an option's old word -> its word
ABOUT = {
    f"{CONFIG} FILE": "options from a TOML file or a run's config.json; the command line wins",
    DRY_RUN: "print what would be run and an estimate of the time; write nothing",
    JSON: "print one line of JSON, the verdict and the numbers, and nothing else",
    QUIET: "print errors only",
}


@dataclass(frozen=True)
class Shared:
    """What was asked of these options."""

    help_all: bool = False
    quiet: bool = False
    json: bool = False
    dry_run: bool = False
    config: Path | None = None


def split_shared(
    words: Sequence[str], *, json: bool, dry_run: bool, former: Mapping[str, str] | None = None
) -> tuple[Shared, list[str]]:
    """The shared options of a line, and the words that are left; old words for options become today's.

    `json`, `dry_run`: whether the command takes these two; they are left in the line if it does not.
    `former`: old words of this command alone.
    """
    flags = {HELP_ALL: "help_all", QUIET: "quiet"}
    flags |= {JSON: "json"} if json else {}
    flags |= {DRY_RUN: "dry_run"} if dry_run else {}
    today = FORMER | dict(former or {})
    asked: dict[str, bool] = {}
    config: Path | None = None
    left: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in flags:
            asked[flags[word]] = True
        elif name == CONFIG:
            value = value if equals else next(rest, "")
            if not value or value.startswith("-"):
                raise UserError(f"{CONFIG} needs a file: TOML, or the config.json of a run")
            config = Path(value).expanduser()
        else:
            left.append(today.get(name, name) + equals + value)
    return Shared(**asked, config=config), left


def told(*, json: bool, dry_run: bool, folded: int) -> str:
    """The options that every command takes, for its help; `folded`: how many of its own are not shown."""
    absent = {JSON: not json, DRY_RUN: not dry_run}
    lines = [f"  {name:<14} {about}" for name, about in ABOUT.items() if not absent.get(name)]
    if folded:
        lines.append(f"  {HELP_ALL:<14} show {folded} more options, which are rarely needed")
    return "\n".join(["Also:", *lines])
