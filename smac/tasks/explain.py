"""A task in plain words, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from smac.tasks.task import REWARDS, Task

Rows = list[tuple[str, str]]  # what a line is about, and what there is to say


def explain(
    task: Task, *, observation_dim: int, action_dim: int, package: str, wrappers: Sequence[str]
) -> Rows:
    """All that a number on this task depends on. `package` is where its environment comes from, with version.

    `wrappers` are the environment's, innermost first.
    """
    convention = REWARDS[task.reward]
    scaled = "" if task.action_scale == 1.0 else f"; the environment gets them times {task.action_scale:.3g}"
    keys = f" (entries {', '.join(task.observation_keys)})" if task.observation_keys else ""
    rows = [
        ("what it is", task.description),
        ("environment", f"{task.env_id} of {package}"),
        *((f"  with {name}", _value(value)) for name, value in task.env_kwargs.items()),
        ("wrapped in", ", ".join(wrappers)),
        ("observation", f"{observation_dim} numbers{keys}" + (f": {task.observes}" if task.observes else "")),
        ("action", f"{action_dim} numbers in [-1, 1]{scaled}"),
        (
            "horizon",
            f"{task.horizon} steps, then truncated: the last state keeps its value",
        ),
        ("reward", f"`{task.reward}`: {convention.reward}"),
        ("ends", convention.ends),
        ("success", _success(task)),
        ("score", _score(task)),
        *_references(task),
        ("dataset", task.dataset or "none of its own: name one with --dataset"),
        *([("datasets of others", ", ".join(task.minari))] if task.minari else []),
        *_options(task),
    ]
    return rows + [(f"defaults, {algorithm}", _fields(some)) for algorithm, some in task.defaults.items()]


def _success(task: Task) -> str:
    if not task.has_success:
        return "where the environment reports it; else look at return and score"
    return task.success or "as the environment reports it"


def _score(task: Task) -> str:
    if task.subtasks:
        return f"sub-tasks solved at any time / {len(task.subtasks)}"
    if task.random_return is None or task.expert_return is None:
        return "none: state references, as in @random=-1200,expert=-150"
    return "(return - random return) / (expert return - random return)"


def _references(task: Task) -> Rows:
    if task.random_return is None or task.expert_return is None:
        return []
    return [
        ("random, expert return", f"{task.random_return:.1f}, {task.expert_return:.1f}"),
        ("  which are", task.references or "as stated"),
        ("margin", f"{task.margin:.1f}: returns closer than this count as equal"),
    ]


def _options(task: Task) -> Rows:
    rows = [("options", f"{task.name.partition('@')[0]}@KEY=VALUE,...")]
    if len(task.rewards) > 1:
        rows.append(("  reward", " or ".join(task.rewards)))
    rows += [(f"  {name}", " or ".join(values)) for name, values in task.options.items()]
    return [*rows, ("  and", "horizon, random, expert, keys, env.NAME")]


def _fields(some: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in some.items())


def _value(value: Any) -> str:
    """A value in few characters; rows of cells become words."""
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], (list, tuple)):
            return " ".join("".join(map(str, row)) for row in value)
        words = any(isinstance(item, str) for item in value)
        return (", " if words else " ").join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
