"""The file of what was measured of the tasks: a JSON file of rows and, next to it, the same as a table.

Rows are added and never replaced, but for those that lacked a policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smac.collect.measure import CONFIDENCE, DOUBT, SPEED_SECONDS
from smac.errors import UserError
from smac.files import read_json, write_json, write_text
from smac.provenance import versions
from smac.tables import markdown_table
from smac.tasks import task_names

FORMAT = "smac tasks measure 1"
Rows = dict[str, dict[str, Any]]  # by the task's name, see `smac.collect.measure.measure`
COLUMNS = (
    "task", "policy", "episodes, seed", "return", "score", "success", "length", "its README states", "agrees",
    "steps/s",
)  # fmt: skip
MEANS = ("task", "policy", "return", "score", "success", "length")
DIGITS = {"return": 1, "score": 2, "success": 2, "length": 0}


def json_beside(table: Path) -> Path:
    """The JSON file of a table; UserError if the table's name is not one of Markdown."""
    if table.suffix != ".md":
        raise UserError(f"{table}: the table is written in Markdown; give a name that ends in .md")
    return table.with_suffix(".json")


def load_rows(table: Path) -> Rows:
    """What the file next to `table` holds; nothing if there is none.

    UserError if either of the two is something else, or was measured with other versions.
    """
    path = json_beside(table)
    if not path.exists():
        if table.exists():
            raise UserError(
                f"{table}: not written by this command ({path.name} is missing); choose another --out"
            )
        return {}
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(f"{path}: not written by this command; choose another --out")
    here, there = versions(), found["versions"]
    other = [
        f"{name} {there.get(name)} (here {here[name]})" for name in here if here[name] != there.get(name)
    ]
    if other:
        raise UserError(f"{path}: measured with {', '.join(other)}; choose another --out")
    return {row["task"]: row for row in found["rows"]}


def save_rows(table: Path, rows: Rows) -> None:
    """Writes both files, each atomically; tasks in the order in which they are listed."""
    names = [name for name in task_names() if name in rows]
    ordered = {name: rows[name] for name in [*names, *sorted(set(rows) - set(names))]}
    about = {"format": FORMAT, "versions": versions()}
    try:
        write_json(json_beside(table), about | {"rows": list(ordered.values())})
        write_text(table, markdown(ordered))
    except OSError as error:
        raise UserError(f"{table}: cannot be written ({error})") from None


def is_measured(rows: Rows, task: str, settings: Mapping[str, Any]) -> bool:
    """Whether nothing is left to do for a task; UserError if it was measured with other settings."""
    if task not in rows:
        return False
    had = rows[task]["settings"]
    if had == settings:
        return True
    differing = [f"{key} {had[key]}, not {settings[key]}" for key in settings if had[key] != settings[key]]
    if had | {"best": None} == dict(settings) | {"best": None}:
        if "missing" in settings["best"]:
            return True  # there is more in the row than would be measured now
        if "missing" in had["best"]:
            return False
    raise UserError(f"{task} was measured with {'; '.join(differing)}: choose another --out")


def markdown(rows: Rows) -> str:
    """The table, and what its numbers are."""
    table = markdown_table(COLUMNS, [line for row in rows.values() for line in table_lines(row)])
    made_with = ", ".join(f"{name} {version}" for name, version in versions().items())
    machines = "; ".join(dict.fromkeys(row["machine"] for row in rows.values()))
    return _ABOUT.format(table=table, versions=made_with, machines=machines)


def means(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The columns MEANS of a row's two lines, without intervals."""
    shown = []
    for name in ("random", "best"):
        found = row[name] or {}
        policy = _policy(row["settings"]["best"]) if name == "best" else "random"
        values = [f"{found[q]['mean']:z.{DIGITS[q]}f}" if found.get(q) else "" for q in MEANS[2:]]
        shown.append((row["task"], policy, *values))
    return shown


def table_lines(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Two lines of a table: the random policy and the best one at hand, or what is missing for that."""
    how = row["settings"]
    counts = f"{how['episodes']}, {how['seed']}"
    speed = f"{row['steps_per_second']:.0f}"
    random = (row["task"], "random", counts, *_numbers(row["random"]), "", "", speed)
    if row["best"] is None:
        return [random, (row["task"], _policy(how["best"]), *[""] * (len(COLUMNS) - 2))]
    best = (row["task"], _policy(how["best"]), counts, *_numbers(row["best"]), *_comparison(row), "")
    return [random, best]


def _policy(made_by: Mapping[str, Any]) -> str:
    if "missing" in made_by:
        return f"missing: {made_by['missing']}"
    name = made_by.get("policy", f"{made_by['collector']} controller")
    led = " led along waypoints" if made_by["collector"] == "ant" else ""
    return name + led + (", sampled" if made_by.get("stochastic") else "")


def _numbers(values: Mapping[str, Any]) -> list[str]:
    return [_interval(values[name], digits) for name, digits in DIGITS.items()]


def _interval(value: Mapping[str, float | None] | None, digits: int) -> str:
    if value is None:
        return "-"
    if value["low"] is None:
        return f"{value['mean']:z.{digits}f}"
    return f"{value['mean']:z.{digits}f} [{value['low']:z.{digits}f}, {value['high']:z.{digits}f}]"


def _comparison(row: Mapping[str, Any]) -> tuple[str, str]:
    stated = row["stated"]
    if stated is None:
        return "-", "-"
    if stated["quantity"] == "success":
        number = f"success {stated['mean']:.2f}"
    else:
        number = f"return {stated['mean']:.0f}, sd {stated['deviation']:.0f}"
    return f"{number}, {stated['episodes']} episodes", {True: "yes", False: "no", None: "-"}[row["agrees"]]


_ABOUT = f"""# The tasks, measured

Written by `smac tasks measure [TASK ...] --policies DIR --episodes N --seed S`; the JSON file of this name
holds the same numbers.

Means over episodes with {100 * CONFIDENCE:g} % intervals: Student's t, for success Wilson's. An interval
without width says that all episodes were alike. Both policies of a task start from the same states. The score
is 0 for the task's random and 1 for its expert reference return (`smac tasks show TASK`), and for Kitchen the
share of the four sub-tasks.

* random: uniform actions. Controllers are the scripted ones, without noise.
* agrees: our number and the one that the policy's README states may be of one policy. Fisher's exact test for
  success, Welch's test for returns; "no" below {DOUBT:g}.
* steps/s: environment steps with uniform actions, resets counted, per second of processor time of a single
  process, over {SPEED_SECONDS:g} s in the same run ({{machines}}).

{{table}}

{{versions}}
"""
