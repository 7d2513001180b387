"""`--dry-run`: what a command would run, how many episodes and steps, and an estimate of its time.

Nothing is written where the command would write. Times are measured: two episodes of the policy, or a few
steps of the training itself in a temporary directory. What else runs on the machine meanwhile makes estimates
larger.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from analysis_cli.console import console, duration
from smac.api import played
from smac.errors import UserError
from smac.policies.playing import Playable
from smac.training.episodes import Evaluations
from smac.training.jobs import Job, Pretraining
from smac.training.online import OnlineOptions
from smac.training.recorder import Schedule
from smac.training.run import Run

TRIAL_STEPS, TRIAL_EPISODES = 40, 2
MEASURED = "a few steps or episodes"
UNTRAINED = "a few steps, and episodes of policies that are not trained, which take longest"


@dataclass(frozen=True)
class Planned:
    """What would be run."""

    what: str
    """In words."""
    amounts: Mapping[str, int]
    """Unit -> how many, such as episodes."""
    seconds: float
    """An estimate; nan where there is none."""
    basis: str = MEASURED
    """What the estimate was made from."""
    parts: tuple[str, ...] = ()
    """Of a plan of several commands, a line each."""


class Watch:
    """`with Watch() as watch: ...`, then `watch.seconds`."""

    seconds: float = 0.0

    def __enter__(self) -> Watch:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started


@dataclass(frozen=True)
class DryRun:
    """A command of which only the plan is wanted."""

    command: Any
    prog: str

    def run(self) -> None:
        plan: Planned = self.command.planned()
        console.print(f"would run `{self.prog}`: {plan.what}", markup=False)
        for unit, count in plan.amounts.items():
            console.print(f"{unit}: {count}", markup=False)
        for part in plan.parts:
            console.print(f"  {part}", markup=False)
        if not math.isnan(plan.seconds):
            told = f"time: about {duration(plan.seconds)}, estimated from {plan.basis}"
            console.print(told, markup=False)
        console.print("nothing was written")


def together(what: str, plans: Iterable[Planned], parts: Sequence[str] = ()) -> Planned:
    """Plans that are carried out one after another, as one."""
    amounts: Counter[str] = Counter()
    seconds, bases = 0.0, {MEASURED}
    for plan in plans:
        amounts.update(plan.amounts)
        seconds += plan.seconds
        bases.add(plan.basis)
    return Planned(what, amounts, seconds, UNTRAINED if UNTRAINED in bases else MEASURED, tuple(parts))


def lasting(seconds: Sequence[float], workers: int) -> float:
    """How long so many workers take for commands of these lengths, none of which can be cut."""
    return max([sum(seconds) / workers, *seconds], default=0.0)


def of_episodes(what: str, policy: Playable, episodes: int, workers: int, stochastic: bool) -> Planned:
    """A plan of playing so many episodes with policies like this one."""
    if workers < 1:
        raise UserError(f"--workers must be at least 1, got {workers}")
    if episodes < 1:
        raise UserError("--episodes must be at least 1")
    seconds = seconds_per_episode(policy, stochastic)
    amounts = {"episodes": episodes, "environment steps, at most": episodes * policy.task.horizon}
    return Planned(f"{what} on {policy.task.name}", amounts, episodes * seconds / workers)


def seconds_per_episode(policy: Playable, stochastic: bool = False) -> float:
    """Measured on two episodes; those that take place together share the cost of the network."""
    with Watch() as watch:
        played([policy], episodes=TRIAL_EPISODES, seed=0, stochastic=stochastic)
    return watch.seconds / TRIAL_EPISODES


class Clocked(Run):
    """A run that notes when every step was."""

    times: dict[str, list[float]]
    evaluated: float
    """When the last evaluation had been played."""

    def _begin(self, directory: Path) -> None:
        super()._begin(directory)
        self.times = {}

    def keep(self, evaluation: Evaluations) -> None:
        self.evaluated = time.perf_counter()
        super().keep(evaluation)

    def step_seconds(self, phase: str) -> float:
        """The median time of a step; 0 for a phase that was not run."""
        gaps = np.diff(self.times.get(phase, []))
        return float(np.median(gaps)) if len(gaps) else 0.0

    def episode_seconds(self) -> float:
        """The time of the evaluation after the last step, one episode of every seed."""
        *_, times = self.times.values()
        before, step = times[-2:-1], self.step_seconds([*self.times][-1])
        return max(0.0, self.evaluated - before[0] - step) if before else 0.0

    def progress(self, phase: str, step: int, total: int) -> None:
        self.times.setdefault(phase, []).append(time.perf_counter())
        super().progress(phase, step, total)


@dataclass(frozen=True)
class Trial:
    """A short run: the directory that it left, and the times that it took."""

    directory: Path
    steps: Mapping[str, float]
    """Phase -> seconds of a step, of all seeds."""
    episode: float
    """Seconds of an evaluation episode of all seeds."""
    seeds: int


class Trials:
    """Short runs in a folder of their own. Jobs that differ in learning rates alone are tried once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Trial] = {}

    def of(self, job: Job) -> Trial:
        """What is wrong with the job is refused as the command itself refuses it."""
        brief, phases = shortened(job)
        kind = _kind(brief)
        if kind not in self._known:
            directory = self.folder / f"run-{len(self._known)}"
            run = brief.execute(lambda _: Clocked(directory, {"command": job.command}))
            assert isinstance(run, Clocked)
            steps = {phase: run.step_seconds(phase) for phase in phases}
            self._known[kind] = Trial(directory, steps, run.episode_seconds(), len(run.latest))
        return self._known[kind]

    def planned(self, job: Job) -> Planned:
        trial, phases = self.of(job), shortened(job)[1]
        schedule: Schedule = job.offline if isinstance(job, Pretraining) else job.online  # type: ignore[attr-defined]
        count = evaluations(schedule)
        seconds = sum(steps * trial.steps[phase] for phase, steps in phases.items())
        seconds += count * schedule.eval_episodes * trial.episode
        amounts = {f"{phase} steps": steps for phase, steps in phases.items()}
        amounts |= {"evaluations": count, "evaluation episodes": count * schedule.eval_episodes * trial.seeds}
        _, *names = job.folder_words()
        what = f"{' '.join(names)}, {trial.seeds} {'seed' if trial.seeds == 1 else 'seeds'}"
        return Planned(what, amounts, seconds)


@contextmanager
def trials() -> Iterator[Trials]:
    with TemporaryDirectory() as folder:
        yield Trials(Path(folder))


def of_training(job: Job) -> Planned:
    """A plan of a training run, from a few of its steps in a temporary directory."""
    with trials() as tried:
        return tried.planned(job)


def _kind(brief: Any) -> str:
    """All of a job that its time may depend on."""
    agent = {name: value for name, value in asdict(brief.agent).items() if not isinstance(value, float)}
    options = brief.offline if isinstance(brief, Pretraining) else brief.online
    start = (getattr(brief, "start", None), getattr(brief, "task", None), getattr(brief, "seeds", None))
    return repr((brief.command, start, brief.algorithm, agent, options, brief.device, brief.threads))


def evaluations(schedule: Any) -> int:
    """How many evaluations a phase of this schedule has: those due, the last step's, and online the first."""
    due = sum(schedule.evaluation_due(step) for step in range(1, schedule.steps))
    return due + 1 + isinstance(schedule, OnlineOptions)


def shortened(job: Any) -> tuple[Any, dict[str, int]]:
    """The job with a few steps and one short evaluation, and the steps of every phase of the whole job."""
    none: dict[str, Any] = {"eval_episodes": 1, "trajectory_every": 0, "save_every": 0, "log_to": ()}
    none |= {"eval_every": TRIAL_STEPS + 1, "log_every": TRIAL_STEPS + 1, "updates": "eager"}
    agent, phases = job.agent, {}
    if isinstance(job, Pretraining):
        if hasattr(agent, "diffusion_steps") and job.offline.score_from is None:
            phases["diffusion"] = agent.diffusion_steps
            agent = replace(agent, diffusion_steps=min(TRIAL_STEPS, agent.diffusion_steps))
        phases["offline"] = job.offline.steps
        steps = min(TRIAL_STEPS, job.offline.steps)
        return replace(job, agent=agent, offline=replace(job.offline, steps=steps, **none)), phases
    phases["online"] = job.online.steps
    steps = min(TRIAL_STEPS, job.online.steps)
    none |= {"learning_starts": 0, "warmup_steps": 0, "late_eval_every": None}
    return replace(job, online=replace(job.online, steps=steps, **none)), phases
