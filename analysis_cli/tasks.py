"""`smac tasks`: list the tasks, explain one in plain words, or measure them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.table import Table
from rich.text import Text
from tyro.conf import subcommand

from analysis_cli.console import console, progress, wrote
from analysis_cli.dry import Planned, Watch
from smac.collect.collecting import collect_parts
from smac.collect.measure import SPEED_SECONDS, measure, recipes_of, settings
from smac.collect.measurements import MEANS, is_measured, json_beside, load_rows, means, save_rows
from smac.collect.recipes import Part
from smac.envs import describe_env
from smac.errors import UserError
from smac.tasks import Task, get_task, task_names
from smac.tasks.explain import explain


@dataclass(frozen=True)
class ListTasks:
    """List the tasks."""

    examples: ClassVar = (
        "smac tasks list",
        "smac tasks list --env-import my_package.envs",
    )
    often: ClassVar = ()

    def run(self) -> None:
        table = Table("task", "horizon", "reward", "random, expert return", "what it is")
        for name in task_names():
            task = get_task(name)
            known = (task.random_return, task.expert_return)
            references = ", ".join("none" if x is None else f"{x:.1f}" for x in known)
            table.add_row(name, str(task.horizon), task.reward, references, task.description)
        console.print(table)
        console.print("`smac tasks show NAME` explains one, or any other environment that gymnasium knows")


@dataclass(frozen=True)
class ShowTask:
    """Explain one task: environment, reward convention, ending, success, references, data, defaults."""

    examples: ClassVar = (
        "smac tasks show pointmaze-umaze",
        "smac tasks show Pendulum-v1",
    )
    often: ClassVar = ()
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
class MeasureTasks:
    """Measure what tasks give to a random policy and to the best one at hand, as a table.

    The best is the scripted controller for PointMaze and Kitchen; for the others a published policy in the
    folder --policies. Each task is written as soon as it is measured, and not measured again.
    """

    examples: ClassVar = (
        "smac tasks measure pointmaze-umaze --episodes 100",
        "smac tasks measure --policies published --workers 8",
    )
    often: ClassVar = ("policies", "episodes", "workers", "out")
    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of tasks; default: all."""
    policies: Path | None = None
    """Folder with the published policies, in folders by their source (hand_dapg, rl_trained_agents,
    antmaze_gen)."""
    episodes: int = 20
    """Episodes of each policy."""
    seed: int = 0
    """Seed of everything random."""
    workers: int = 1
    """Processes; the numbers do not depend on it."""
    out: Path = Path("runs/tasks.md")
    """The table; a JSON file of the same name is written next to it."""

    def run(self) -> None:
        """Measures what is left, writes after each task, prints the table."""
        tasks = [get_task(name) for name in self.tasks or task_names()]
        rows = load_rows(self.out)
        left = self._left(tasks, rows)
        for task in left:
            with progress(f"measuring {task.name}") as bar:
                rows[task.name] = measure(
                    task,
                    self.policies,
                    episodes=self.episodes,
                    seed=self.seed,
                    workers=self.workers,
                    progress=bar,
                )
            save_rows(self.out, rows)
        if not left:
            save_rows(self.out, rows)  # the table may have been deleted
        table = Table(*MEANS)
        for line in (line for task in tasks for line in means(rows[task.name])):
            table.add_row(*map(Text, line))
        console.print(table)
        console.print(f"measured now: {len(left)} of {len(tasks)}")
        for path in (self.out, json_beside(self.out)):
            wrote(path)

    def planned(self) -> Planned:
        tasks = [get_task(name) for name in self.tasks or task_names()]
        left = self._left(tasks, load_rows(self.out))
        episodes, steps, seconds = 0, 0, 0.0
        for task in left:
            recipes = recipes_of(task, self.policies)
            with Watch() as watch:
                for made_by in recipes:
                    collect_parts(task, [Part("all", 1.0, made_by)], episodes=1, seed=self.seed, workers=1)
            episodes += len(recipes) * self.episodes
            steps += len(recipes) * self.episodes * task.horizon
            seconds += watch.seconds * self.episodes / self.workers + SPEED_SECONDS
        what = f"{len(left)} of {len(tasks)} tasks, which are not in {self.out} yet"
        return Planned(what, {"episodes": episodes, "environment steps, at most": steps}, seconds)

    def _left(self, tasks: Sequence[Task], rows: dict[str, dict[str, Any]]) -> list[Task]:
        """The tasks that are not measured yet; UserError for wrong options."""
        if self.policies is not None and not self.policies.is_dir():
            raise UserError(f"--policies {self.policies}: no such folder")
        if self.workers < 1:
            raise UserError(f"--workers must be at least 1, got {self.workers}")
        how = {t: settings(t, self.policies, episodes=self.episodes, seed=self.seed) for t in tasks}
        return [task for task in tasks if not is_measured(rows, task.name, how[task])]


@dataclass(frozen=True)
class Tasks:
    """List the tasks, explain one, or measure them."""

    examples: ClassVar = (
        "smac tasks",
        "smac tasks show pointmaze-umaze",
    )
    often: ClassVar = ()
    command: (
        Annotated[ListTasks, subcommand("list")]
        | Annotated[ShowTask, subcommand("show")]
        | Annotated[MeasureTasks, subcommand("measure")]
    ) = field(default_factory=ListTasks)

    def run(self) -> None:
        self.command.run()
