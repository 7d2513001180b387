"""What a program or a notebook does with this package: pretrain, finetune, train, resume, evaluate, load.

    run = smac.pretrain("pointmaze-umaze", "smac", seeds=5, steps=10_000, out="runs/smac")
    tuned = smac.finetune(run, "sac", steps=20_000)
    tuned.summary[0]["switch/dip"], tuned.seed(0).online

Every option of a command is a keyword of its function, by the same name with underscores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch

from smac.agents import OFFLINE, ONLINE, default_config, method_label
from smac.envs.units import Units
from smac.errors import UserError
from smac.files import default_directory, read_json
from smac.policies.playing import Playable, of_checkpoint, playable, together
from smac.tasks import get_task
from smac.training.comparison import evaluated, last_evaluation
from smac.training.evaluate import evaluate_policies
from smac.training.jobs import (
    Finetuning,
    Job,
    Pretraining,
    Training,
    finetune_defaults,
    job_config,
    job_of,
    starting_points,
)
from smac.training.offline import OfflineOptions
from smac.training.online import FinetuneOptions, OnlineOptions
from smac.training.run import FINAL_CHECKPOINT, Run, Watch, finished, read_metrics, run_config

if TYPE_CHECKING:
    import pandas

Place = str | os.PathLike[str]  # a directory or a file; runs and their seeds are such, too
SHOWN = ("return", "score", "success")


@dataclass(frozen=True)
class SeedRun:
    """The checkpoints of one training seed of a run. It is its folder wherever a path can be given."""

    directory: Path

    def __fspath__(self) -> str:
        return str(self.directory)

    def _file(self, name: str) -> Path:
        """UserError if it was not written."""
        path = self.directory / f"{name}.safetensors"
        if not path.exists():
            there = ", ".join(sorted(file.stem for file in self.directory.glob("*.safetensors")))
            raise UserError(f"{path}: no such checkpoint; this seed has {there or 'none yet'}")
        return path

    @property
    def offline(self) -> Path:
        """Where the offline phase ended, which is where fine-tuning began."""
        return self._file("offline")

    @property
    def online(self) -> Path:
        """Where the online phase ended."""
        return self._file("online")

    @property
    def trajectory(self) -> list[Path]:
        """Checkpoints on the way, in the order of their steps."""
        return sorted(self.directory.glob("trajectory/step-*.safetensors"))


@dataclass(frozen=True)
class TrainingRun:
    """A run directory that `smac pretrain`, `finetune` or `train` wrote, whoever called them.

    It is its directory wherever a path can be given.
    """

    directory: Path

    def __fspath__(self) -> str:
        return str(self.directory)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What decided the run: every option, and the versions of what made it."""
        return run_config(self.directory)

    @property
    def command(self) -> str:
        """pretrain, finetune or train."""
        return str(self.config["command"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The training seeds, in order."""
        return tuple(sorted(int(folder.name[5:]) for folder in self.directory.glob("seed-*")))

    def seed(self, seed: int) -> SeedRun:
        """The checkpoints of a seed; UserError if the run has no such seed."""
        if seed not in self.seeds:
            raise UserError(f"{self.directory}: has no seed {seed}; it has {', '.join(map(str, self.seeds))}")
        return SeedRun(self.directory / f"seed-{seed}")

    @property
    def final(self) -> dict[int, dict[str, float]]:
        """Seed -> return, score and success of the last evaluation."""
        return last_evaluation(self.directory, FINAL_CHECKPOINT[self.command])

    @property
    def summary(self) -> dict[int, dict[str, Any]]:
        """Seed -> regret, dip and what else a run with an online phase amounts to; empty without one."""
        path = self.directory / "summary.json"
        return {int(seed): dict(x) for seed, x in read_json(path).items()} if path.exists() else {}

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.csv, numbers as numbers and without empty cells."""
        return [
            {name: value if name == "phase" else _number(value) for name, value in row.items() if value}
            for row in read_metrics(self.directory)
        ]

    def to_frame(self) -> pandas.DataFrame:
        """`metrics` as a pandas table."""
        return frame(self.metrics())

    def to_json(self) -> dict[str, Any]:
        """Where it is, what decided it, and what it came to."""
        return {
            "directory": str(self.directory),
            "config": self.config,
            "final": self.final,
            "summary": self.summary,
        }

    def plot(self) -> Any:
        """A matplotlib figure of the learning curves, one line a seed and their mean."""
        return drawn_by("figures.curves:run_figure")(self.directory)

    @property
    def method(self) -> str:
        """`SMAC (paper)`, or `SMAC → SAC` after a switch."""
        config = self.config
        own = method_label(".".join(filter(None, (config["algorithm"], config.get("variant")))))
        before = config.get("pretrained_with")
        return f"{method_label(before)} → {own}" if before else own

    def __repr__(self) -> str:
        count = len(self.seeds)
        return (
            f"<{self.command} run: {self.method} on {self.config['task']}, {count} seed{'s' * (count != 1)}, "
            f"{str(self.directory)!r}>"
        )

    def _repr_html_(self) -> str:
        final = self.final
        rows = {f"seed {seed}": {name: x[name] for name in SHOWN if name in x} for seed, x in final.items()}
        return drawn_by("figures.notebook:card")(
            repr(self), self.plot() if any(final.values()) else None, rows
        )


def pretrain(
    task: str,
    algorithm: str,
    *,
    variant: str | None = None,
    out: Place | None = None,
    progress: Watch | None = None,
    **options: Any,
) -> TrainingRun:
    """Train an agent offline, as `smac pretrain`.

    `options` are those of the job (dataset, data_root, seed, seeds, device, threads), of the offline phase
    (steps, eval_every, ...) and of the algorithm's configuration (hidden, kappa, ...). `progress` is called
    with phase, step and total while it goes. UserError for an option that there is none of, and for whatever
    the command refuses.
    """
    agent = default_config(algorithm, get_task(task), OFFLINE, variant=variant)
    agent, offline, own = split_options(options, (agent, OfflineOptions()), Pretraining)
    named = {"variant": variant} if variant else {}
    written = call("smac.pretrain", task, algorithm, **named, **options)
    return _carry_out(Pretraining(task, algorithm, agent, variant, offline, **own), out, progress, written)


def finetune(
    start: Place,
    algorithm: str = "sac",
    *,
    out: Place | None = None,
    progress: Watch | None = None,
    **options: Any,
) -> TrainingRun:
    """Continue a checkpoint, or every seed of a run, online, as `smac finetune`."""
    path = Path(start)
    defaults = finetune_defaults(path, algorithm)
    agent, online, own = split_options(options, (defaults, FinetuneOptions()), Finetuning)
    written = call("smac.finetune", path, algorithm, **options)
    return _carry_out(Finetuning(path, agent, algorithm, online, **own), out, progress, written)


def train(
    task: str,
    algorithm: str = "sac",
    *,
    out: Place | None = None,
    progress: Watch | None = None,
    **options: Any,
) -> TrainingRun:
    """Train online from scratch, as `smac train`; `task` may be the id of any gymnasium environment."""
    defaults = default_config(algorithm, get_task(task), ONLINE)
    agent, online, own = split_options(options, (defaults, OnlineOptions()), Training)
    written = call("smac.train", task, algorithm, **options)
    return _carry_out(Training(task, agent, algorithm, online, **own), out, progress, written)


def resume(run: Place, *, progress: Watch | None = None) -> TrainingRun:
    """Continue an interrupted run from its last saved state; one that has ended is returned as it is."""
    found = load(run)
    if not finished(found.directory, found.config):
        job = job_of(found.config, found.directory)
        _execute(job, lambda _: Run.reopen(found.directory), progress)
    return found


def load(directory: Place) -> TrainingRun:
    """A run that was trained before; UserError if the folder holds none."""
    run = TrainingRun(Path(directory))
    _ = run.config  # which refuses a folder that is none
    return run


def evaluate(
    what: Place,
    *,
    env: str | None = None,
    episodes: int = 100,
    seed: int = 0,
    stochastic: bool = False,
    action_units: Units | None = None,
    normaliser: str | None = None,
) -> dict[str, Any]:
    """Play episodes of a policy's file, or of what every seed of a run ended with, as `smac evaluate`.

    `env`, a task or an environment's id, `action_units` and `normaliser` are for policies of other libraries,
    where their files do not say. Of a file: name -> mean and standard error over episodes. Of a run: `seeds`,
    seed -> name -> mean, and `over_seeds`, name -> mean and 95 % interval.
    """
    path = Path(what)
    policies = ended_with(path, env, action_units, normaliser)
    found = played(policies, episodes=episodes, seed=seed, stochastic=stochastic)
    return evaluated(found) if path.is_dir() else dict(next(iter(found.values())))


def ended_with(
    path: Path, task: str | None = None, action_units: Units | None = None, normaliser: str | None = None
) -> list[Playable]:
    """The policy of a file, or what every seed of a run directory ended with."""
    if not path.is_dir():
        return [playable(path, task, action_units, normaliser)]
    return [
        of_checkpoint(one, task)
        for one in starting_points(path, FINAL_CHECKPOINT[run_config(path)["command"]])
    ]


def played(
    policies: Sequence[Playable], *, episodes: int, seed: int, stochastic: bool
) -> dict[int, dict[str, dict[str, float]]]:
    """Training seed -> what its policy reaches; UserError where there is no noise to sample."""
    if episodes < 1:
        raise UserError(f"--episodes must be at least 1, got {episodes}")
    policies[0].check(stochastic)
    how: dict[str, Any] = {"episodes": episodes, "seed": seed, "stochastic": stochastic}
    stack = together(policies)
    if stack is not None:
        found = evaluate_policies(policies[0].task, stack, len(policies), **how)
        return {one.seed: numbers for one, numbers in zip(policies, found, strict=True)}
    return {one.seed: evaluate_policies(one.task, one.policy, 1, **how, columns=1)[0] for one in policies}


def split_options(
    options: Mapping[str, Any], parts: tuple[Any, Any], job: type[Job]
) -> tuple[Any, Any, dict[str, Any]]:
    """The configuration and the phase's options with what is given of theirs, and what is the job's own."""
    taken: set[str] = set()
    filled = []
    for part in parts:
        names = {f.name for f in fields(part)} & options.keys()
        filled.append(replace(part, **_typed(type(part), options, names)))
        taken |= names
    held = {"agent", "offline", "online", "task", "algorithm", "start", "variant"}
    own = {f.name for f in fields(job)} - held
    known = own | {f.name for part in parts for f in fields(part)}
    check_names(options, known, f"{job.command} with this algorithm")
    return filled[0], filled[1], _typed(job, options, options.keys() & own)


def check_names(given: Iterable[str], known: Collection[str], what: str) -> None:
    """UserError for an option that there is none of, with the names that look like it."""
    for name in given:
        if name not in known:
            near = get_close_matches(name, known)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UserError(f"there is no option {name!r} of {what}{hint}")


def _typed(kind: type, options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Values as the fields of `kind` hold them; UserError for one that a field cannot hold."""
    kinds = get_type_hints(kind)
    return {name: held(options[name], kinds[name], name) for name in names}


def held(value: Any, kind: Any, name: str) -> Any:
    """A value as an option of this type holds it: tuples, paths, and plain numbers for NumPy's.

    UserError if it is of another type.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    plain = tuple(plain) if isinstance(plain, list) else plain
    if isinstance(plain, str | os.PathLike) and Path in (kind, *get_args(kind)):
        return Path(plain)
    if not fits(plain, kind):
        raise UserError(f"{name} takes {words(kind)}, got {value!r}")
    return plain


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as far as options have types."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(one, inner[0]) for one in value)
    if inner:
        return any(fits(value, one) for one in inner)
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def words(kind: Any) -> str:
    """A type as a person reads it."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is tuple:
        return f"a sequence of {words(inner[0])}"
    return " or ".join(map(words, inner)) if inner else "None" if kind is NoneType else kind.__name__


def call(function: str, *arguments: Any, **options: Any) -> str:
    """A call as it would be written again, for files that say what made them."""
    words = [*map(_word, arguments), *(f"{name}={_word(value)}" for name, value in options.items())]
    return f"{function}({', '.join(words)})"


def _word(value: Any) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return repr(os.fspath(plain) if isinstance(plain, os.PathLike) else plain)


def frame(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> pandas.DataFrame:
    """Rows, or columns, as a pandas table; UserError without pandas, which is optional."""
    try:
        import pandas
    except ImportError:
        raise UserError("a table needs pandas, which is not installed: pip install pandas") from None
    return pandas.DataFrame(rows)


def drawn_by(place: str) -> Any:
    """A function of `figures`, looked up when it is called: imports go one way, from figures to here."""
    return resolve_name(place)


def _carry_out(job: Job, out: Place | None, progress: Watch | None, written: str) -> TrainingRun:
    directory = Path(out) if out is not None else default_directory(*job.folder_words())
    config = job_config(job, written)
    _execute(job, lambda found: Run(directory, config | dict(found)), progress)
    return TrainingRun(directory)


def _execute(job: Job, begin: Callable[[Mapping[str, Any]], Run], progress: Watch | None) -> None:
    """Train, telling `progress`; a job sets the process's threads, which are as before afterwards."""
    threads = torch.get_num_threads()

    def opened(found: Mapping[str, Any]) -> AbstractContextManager[Run]:
        run = begin(found)
        run.watch = progress
        return run

    try:
        job.execute(opened)
    finally:
        torch.set_num_threads(threads)


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and "." not in text and "e" not in text else value
