"""`smac tasks`: list the tasks, or explain one in plain words."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro
from rich.table import Table
from rich.text import Text
from tyro.conf import subcommand

from analysis_cli.console import console
from smac.envs import describe_env
from smac.tasks import get_task, task_names
from smac.tasks.explain import explain


@dataclass(frozen=True)
class ListTasks:
    """List the tasks."""

    def run(self) -> None:
        table = Table("task", "horizon", "reward", "random, expert return", "what it is")
        for name in task_names():
            task = get_task(name)
            references = f"{task.random_return:.1f}, {task.expert_return:.1f}"
            table.add_row(name, str(task.horizon), task.reward, references, task.description)
        console.print(table)
        console.print("`smac tasks show NAME` explains one, or any other environment that gymnasium knows")


@dataclass(frozen=True)
class ShowTask:
    """Explain one task: environment, reward convention, ending, success, references, data, defaults."""

    task: tyro.conf.Positional[str]
    """Name of a task, or the id of a gymnasium environment; options follow an @, as in
    kitchen-complete@reward=solved."""

    def run(self) -> None:
        task = get_task(self.task)
        facts = describe_env(task)
        table = Table("", "", show_header=False, title=task.name)
        for row in explain(task, **vars(facts)):
            table.add_row(*map(Text, row))  # brackets are no markup here
        console.print(table)


@dataclass(frozen=True)
class Tasks:
    """List the tasks, or explain one."""

    command: Annotated[ListTasks, subcommand("list")] | Annotated[ShowTask, subcommand("show")] = field(
        default_factory=ListTasks
    )

    def run(self) -> None:
        self.command.run()
