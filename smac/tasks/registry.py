"""Tasks by name: ours, and those that other packages register.

    import smac

    smac.register_task(smac.Task(name="reach", family="mine", env_id="my_package.envs:Reach-v0", ...))

A package that names its module under the entry-point group `smac.tasks` is found by itself.
"""

from __future__ import annotations

import re

from smac.errors import UserError
from smac.plugins import load_plugins
from smac.tasks.task import REWARDS, Task

GROUP = "smac.tasks"  # entry points whose modules register tasks when they are imported

TASKS: dict[str, Task] = {}


def register_task(task: Task) -> Task:
    """Make a task known by its name, to commands, help and tables; returns it.

    UserError for a name that another task has, that is no lower-case word or looks like an environment's id,
    and for a reward convention that there is none of.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_.-]*", task.name) or re.fullmatch(r".+-v\d+", task.name):
        raise UserError(
            f"task {task.name!r}: a name is made of lower-case letters, digits and -, and has no version"
        )
    if TASKS.get(task.name, task) != task:
        raise UserError(f"task {task.name!r} is that of {TASKS[task.name].env_id}: take another name")
    for reward in (task.reward, *task.rewards):
        if reward not in REWARDS or task.reward not in task.rewards:
            raise UserError(
                f"task {task.name!r}: reward {task.reward!r} of {task.rewards}; known: {', '.join(REWARDS)}"
            )
    TASKS[task.name] = task
    return task


def registered(name: str) -> Task | None:
    """The task of that name, if any."""
    if name not in TASKS:
        load_plugins(GROUP)
    return TASKS.get(name)


def task_names() -> tuple[str, ...]:
    """Names of all registered tasks."""
    load_plugins(GROUP)
    return tuple(TASKS)
