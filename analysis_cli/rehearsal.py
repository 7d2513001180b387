"""`--dry-run` of commands that follow one another: later ones begin from what earlier ones will leave.

Two episodes of every dataset are collected, every kind of training is tried for a few steps on them, and
episodes are played with what that leaves, all in a temporary folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from analysis_cli.cells import finetuning, pretraining
from analysis_cli.dry import UNTRAINED, Planned, Trials, seconds_per_episode, trials
from analysis_cli.train import Pretrain, option_of
from analysis_cli.transfer import Plan, of_cells, tried_cells
from smac.data.minari_io import write_dataset
from smac.errors import UserError
from smac.policies.playing import playable
from smac.tasks import get_task
from smac.training.jobs import Job


@dataclass
class Rehearsal:
    """Plans of commands in the order in which they will be given."""

    tried: Trials
    workers: int = 1
    jobs: dict[Path, Job] = field(default_factory=dict)
    """Directory that a training will write to -> its job, which begins from short runs."""
    data: dict[str, str] = field(default_factory=dict)
    """Task -> dataset of two episodes."""
    _episode: dict[Path, float] = field(default_factory=dict)

    def planned(self, words: Sequence[str]) -> Planned:
        """Of a command; UserError where it is refused."""
        program, *arguments = words
        verb = next(name for name in PLANS if " ".join(arguments).startswith(name))
        return PLANS[verb](self, program, arguments)

    def _parsed(self, program: str, words: Sequence[str]) -> Any:
        return import_module(f"analysis_cli.{program}").parse(words)

    def collect(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words).command
        task = get_task(command.task)
        episodes, each = command.in_brief()
        if task.name not in self.data:
            self.data[task.name] = f"rehearsal/{len(self.data)}-v0"
            write_dataset(
                episodes, task=task, dataset_id=self.data[task.name], root=self._root, provenance={}
            )
        search = "" if command.success_rate is None else ", after a search for --success-rate, not counted"
        amounts = {
            "episodes": command.episodes,
            "environment steps, at most": command.episodes * task.horizon,
        }
        return Planned(f"{task.name}{search}", amounts, each * command.episodes / self.workers)

    def subset(self, program: str, words: Sequence[str]) -> Planned:
        return Planned("a share of a dataset", {}, 0.0)

    def pretrain(self, program: str, words: Sequence[str]) -> Planned:
        job = self._with_data(pretraining(words[1:]))
        self.jobs[_out(words)] = job
        return self.tried.planned(job)

    def finetune(self, program: str, words: Sequence[str]) -> Planned:
        before = self._before(Path(option_of(words, "", "--from")))
        algorithm = option_of(words, "sac", "--algorithm")
        job = finetuning(words[1:], algorithm, before.task, before.agent)
        job = replace(self._with_data(job, before.task), start=self.tried.of(before).directory)
        self.jobs[_out(words)] = job
        return self.tried.planned(job)

    def transfer(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words)
        command = replace(command, dataset=self._dataset(command.task), data_root=self._root)
        cells = tried_cells(Plan.of(command), command.task, self.tried)
        self.jobs |= {_out(words) / name: job for name, job in cells.items()}
        return of_cells({name: self.tried.planned(job) for name, job in cells.items()}, self.workers)

    def interpolate(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words)
        return self._episodes(command.start, command.points, command.evaluation.episodes)

    def trajectory(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words)
        checkpoints = self._checkpoints(command.run_folder, command.every)
        return self._episodes(command.run_folder, checkpoints, command.evaluation.episodes)

    def project(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words)
        counts = [self._checkpoints(folder, command.every) for folder in command.folders]
        return self._episodes(command.folders[0], sum(counts), command.evaluation.episodes)

    def report(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words)
        runs = [path for path in command.inputs if path in self.jobs]
        lines = sum(self.tried.of(self.jobs[run]).seeds for run in runs)
        return self._episodes(runs[0], lines * command.points, command.evaluation.episodes)

    def plane(self, program: str, words: Sequence[str]) -> Planned:
        command = self._parsed(program, words)
        points = command.nx * command.ny + len(command.through)
        return self._episodes(command.through[0], points, command.evaluation.episodes)

    @property
    def _root(self) -> Path:
        return self.tried.folder / "data"

    def _dataset(self, task: str) -> str:
        return str(self._root / self.data[get_task(task).name])

    def _with_data(self, job: Any, task: str | None = None) -> Any:
        return replace(job, dataset=self._dataset(task or job.task), data_root=self._root)

    def _job(self, place: Path) -> Any:
        """The job that will write a run in which `place` lies."""
        return next(self.jobs[path] for path in (place, *place.parents) if path in self.jobs)

    def _checkpoints(self, folder: Path, every: int) -> int:
        """How many checkpoints the path of a fine-tuning run has, its ends among them."""
        online = self._job(folder).online
        return 1 + math.ceil(math.ceil(online.steps / online.trajectory_every) / every)

    def _before(self, start: Path) -> Pretrain:
        job = self._job(start)
        assert isinstance(job, Pretrain)
        return job

    def _episodes(self, of: Path, points: int, episodes: int) -> Planned:
        """So many points, with as many episodes each, played as those of the run in which `of` lies."""
        run = self.tried.of(self._job(of)).directory
        policy = playable(sorted(run.glob("seed-*/*.safetensors"))[0], None, None, None)
        if run not in self._episode:
            self._episode[run] = seconds_per_episode(policy)
        total = points * episodes
        amounts = {"episodes": total, "environment steps, at most": total * policy.task.horizon}
        return Planned(f"{points} points", amounts, total * self._episode[run] / self.workers, UNTRAINED)


PLANS: Mapping[str, Callable[[Rehearsal, str, Sequence[str]], Planned]] = {
    "data collect": Rehearsal.collect,
    "data subset": Rehearsal.subset,
    "pretrain": Rehearsal.pretrain,
    "finetune": Rehearsal.finetune,
    "transfer": Rehearsal.transfer,
    "interpolate": Rehearsal.interpolate,
    "trajectory": Rehearsal.trajectory,
    "project": Rehearsal.project,
    "report": Rehearsal.report,
    "plane": Rehearsal.plane,
}
"""By what a command begins with."""


@contextmanager
def rehearsal(workers: int) -> Iterator[Rehearsal]:
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}")
    with trials() as tried:
        yield Rehearsal(tried, workers)


def _out(words: Sequence[str]) -> Path:
    return Path(option_of(words, "", "--out"))
