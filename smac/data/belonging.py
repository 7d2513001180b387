"""Which task a dataset belongs to, and whether it can be used for another one."""

import json
import re
from collections.abc import Mapping
from typing import Any

from smac.errors import UserError
from smac.tasks import Task, get_task, task_names
from smac.tasks.environments import check_stated, specification

Walls = tuple[tuple[bool, ...], ...]

_VARIANT = re.compile(r"(_Diverse_GR?)?(Dense|Sparse)?(?=-v\d+$)")  # other goals or rewards, the same world
_VERSION = re.compile(r"-v\d+$")
# Arguments of environments that only matter for its own reward and ending, or not at all
_ENDING = ("continuing_task", "reset_target", "reward_type")
_NO_MATTER = ("maze_map", "tasks_to_complete", "render_mode", "width", "height")


def task_of(metadata: Mapping[str, Any]) -> str | None:
    """Task a dataset belongs to; None if nothing tells.

    Its own word; else the task that lists its id; else the first in whose world it was recorded (for the
    kitchen: with the same sub-tasks); else the id of its environment.
    """
    if "task" in metadata:
        return str(metadata["task"])
    for name in task_names():
        if metadata.get("dataset_id") in get_task(name).minari:
            return name
    spec = recorded_spec(metadata)
    if spec is None:
        return None
    for name in task_names():
        if not _foreign_differences(spec, get_task(name)):
            return name
    return str(spec["id"])


def recorded_spec(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The specification of the environment that the data were recorded in: id, kwargs and more."""
    try:
        spec = json.loads(metadata["env_spec"])
        return {"kwargs": {}, **spec, "id": str(spec["id"])}
    except (KeyError, ValueError, TypeError):
        return None


def check_belongs(metadata: Mapping[str, Any], task: Task, where: str) -> None:
    """UserError if the data of this dataset do not fit `task`, with what differs.

    Data written here fit a task of the same environment, reward convention, observation and action scale:
    horizon, references and start cells make no difference. Data of others are converted, so only the world
    they were recorded in has to be the task's.
    """
    if "task" in metadata:
        if metadata["task"] == task.name:
            return
        check_stated(str(metadata["task"]), where)
        differing = _own_differences(get_task(str(metadata["task"])), task)
    else:
        spec = recorded_spec(metadata)
        if spec is None:
            return  # nothing tells; shapes are checked episode by episode
        differing = _foreign_differences(spec, task)
        if task.action_scale != 1.0:
            differing.append(f"actions as the environment takes them, not scaled by {task.action_scale:g}")
    if differing:
        raise UserError(
            f"dataset {where} belongs to task {task_of(metadata)}, not {task.name} "
            f"({'; '.join(differing)}): name another dataset"
        )


def _own_differences(theirs: Task, ours: Task) -> list[str]:
    a, b = _what_matters(theirs), _what_matters(ours)
    return [f"{key} {a.get(key)}, not {b.get(key)}" for key in (a | b) if a.get(key) != b.get(key)] + _maze(
        task_walls(theirs), ours
    )


def _what_matters(task: Task) -> dict[str, Any]:
    """What two tasks must have in common to use the same data, besides the walls of their maze."""
    ignored = (*_NO_MATTER, *_ENDING) if task.reward == "success" else _NO_MATTER
    return {
        "environment": _VARIANT.sub("", task.env_id) if task.reward == "success" else task.env_id,
        "reward": task.reward,
        "observation entries": task.observation_keys,
        "wrappers": task.wrappers,
        "action scale": task.action_scale,
        "sub-tasks": sorted(task.subtasks),
        **{name: value for name, value in task.env_kwargs.items() if name not in ignored},
    }


def _foreign_differences(spec: Mapping[str, Any], task: Task) -> list[str]:
    theirs, ours = spec["id"], task.env_id
    uses_rewards = task.reward in ("own", "corrected")
    if theirs != ours and (uses_rewards or _world(theirs) != _world(ours)):
        return [f"environment {theirs}, not {ours}"]
    subtasks = spec["kwargs"].get("tasks_to_complete")
    if task.subtasks and subtasks is not None and set(subtasks) != set(task.subtasks):
        return [f"sub-tasks {', '.join(subtasks)}, not {', '.join(task.subtasks)}"]
    return _maze(walls(spec["kwargs"].get("maze_map")), task)


def _world(env_id: str) -> str:
    """Environment id without version, reward type and goals: they change neither dynamics nor walls."""
    return _VERSION.sub("", _VARIANT.sub("", env_id))


def _maze(theirs: Walls | None, task: Task) -> list[str]:
    if theirs is None:
        return []
    ours = task_walls(task)
    if ours is None or theirs == ours:
        return []
    return [f"the walls of its maze_map are {_drawn(theirs)}, not {_drawn(ours)}"]


def _drawn(rows: Walls) -> str:
    return "/".join("".join("#" if wall else "." for wall in row) for row in rows)


def walls(maze_map: Any) -> Walls | None:
    """Which cells are walls: starts and goals are free cells like others. None for no map."""
    return None if maze_map is None else tuple(tuple(cell in (1, "1") for cell in row) for row in maze_map)


def task_walls(task: Task) -> Walls | None:
    """Walls of a task's maze: its own, else those its environment is registered with; None without maze."""
    if "maze_map" in task.env_kwargs:
        return walls(task.env_kwargs["maze_map"])
    return walls(specification(task).kwargs.get("maze_map"))
