"""Writes `docs/tasks.md`, the tables of tasks and conventions, from the tasks themselves.

python docs/make_tasks.py
"""

from collections.abc import Sequence
from pathlib import Path

from smac.tasks import REWARDS, Task, get_task, is_own, task_names

PAGE = Path(__file__).parent / "tasks.md"
TEXT = """\
# Tasks and conventions

A task is an environment with a stated reward, a horizon, and two reference returns. A name determines it:
`smac tasks show NAME` explains one to its last default, and [`results/tasks.md`](../results/tasks.md) has
what random and best policies reach, measured. The id of any other environment of gymnasium, such as
`Pendulum-v1`, is a task too, with the environment's own reward.

*Return* is the undiscounted sum of the task's own rewards; *score* is (return - random) / (expert - random),
for Kitchen the share of the sub-tasks solved; the *margin* of verdicts is 5 % of expert - random unless
stated. Actions lie in [-1, 1] for every task.

<!-- The tables are written by docs/make_tasks.py. -->

## Tasks

{tasks}

## Reward conventions

{rewards}

## Options

They follow an @, separated by commas, as in `kitchen-complete@reward=solved` or
`Pendulum-v1@horizon=100,random=-1200,expert=-150`, and every result carries them.

| option | meaning |
| --- | --- |
| `horizon=100` | steps, after which an episode is truncated: the last state keeps its value |
| `reward=own` | one of the task's conventions |
| `random=-1200`, `expert=-150` | reference returns of the score and the margin |
| `keys=a+b` | entries of a dict observation, in this order |
| `env.NAME=VALUE` | an argument of the environment, as JSON |
{options}

A change of environment, reward or horizon removes references that were measured without it.
"""


def page() -> str:
    """The whole page."""
    tasks = [task for task in map(get_task, task_names()) if is_own(task)]
    head = ("task", "environment", "horizon", "reward", "success", "random, expert return", "dataset")
    rewards = [(f"`{name}`", of.reward, of.ends) for name, of in REWARDS.items()]
    return TEXT.format(
        tasks=table(head, [row(task) for task in tasks]),
        rewards=table(("`reward=`", "reward", "ends"), rewards),
        options="\n".join(f"| {name} | {meaning} |" for name, meaning in own_options(tasks).items()),
    )


def row(task: Task) -> tuple[str, ...]:
    """What one task is, in the columns of the table."""
    return (
        f"`{task.name}`",
        task.env_id,
        str(task.horizon),
        ", ".join(f"`{name}`" for name in (task.reward, *(r for r in task.rewards if r != task.reward))),
        task.success or "–",
        f"{task.random_return:.1f}, {task.expert_return:.1f}",
        task.dataset or "–",
    )


def own_options(tasks: list[Task]) -> dict[str, str]:
    """Options that some tasks alone have -> their values and whose they are."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        for name, values in task.options.items():
            found.setdefault(f"`{name}={'`, `'.join(values)}`", []).append(task.name)
    return {option: f"of {', '.join(names)}" for option, names in found.items()}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
