"""What a program or a notebook does with this package: pretrain, finetune, train, evaluate, load.

    run = smac.pretrain("pointmaze-umaze", "smac", seeds=5, steps=10_000, out="runs/smac")
    tuned = smac.finetune(run, "sac", steps=20_000)
    tuned.summary[0]["switch/dip"], tuned.seed(0).online

Every option of a command is a keyword of its function, by the same name with underscores.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeVar

from smac.agents import OFFLINE, ONLINE, default_config, method_label
from smac.errors import UserError
from smac.files import default_directory, read_json
from smac.tasks import get_task
from smac.training.comparison import evaluated, last_evaluation
from smac.training.evaluate import evaluate_checkpoint
from smac.training.jobs import (
    Finetuning,
    Job,
    Pretraining,
    Training,
    finetune_defaults,
    job_config,
    starting_points,
)
from smac.training.offline import OfflineOptions
from smac.training.online import FinetuneOptions, OnlineOptions
from smac.training.run import MOMENTS, Run, read_metrics, run_config

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")
SHOWN = ("return", "score", "success")


@dataclass(frozen=True)
class SeedRun:
    """The checkpoints of one training seed of a run; a file that was not written is None."""

    directory: Path

    def _file(self, name: str) -> Path | None:
        path = self.directory / f"{name}.safetensors"
        return path if path.exists() else None

    @property
    def offline(self) -> Path | None:
        """Where the offline phase ended, which is where fine-tuning began."""
        return self._file("offline")

    @property
    def online(self) -> Path | None:
        """Where the online phase ended."""
        return self._file("online")

    @property
    def trajectory(self) -> list[Path]:
        """Checkpoints on the way, in the order of their steps."""
        return sorted(self.directory.glob("trajectory/step-*.safetensors"))


@dataclass(frozen=True)
class TrainingRun:
    """A run directory that `smac pretrain`, `finetune` or `train` wrote, whoever called them."""

    directory: Path

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
        return last_evaluation(self.directory, MOMENTS[self.command])

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

    def __repr__(self) -> str:
        config = self.config
        method = method_label(".".join(filter(None, (config["algorithm"], config.get("variant")))))
        return (
            f"<{self.command} run: {method} on {config['task']}, {len(self.seeds)} seeds, "
            f"{str(self.directory)!r}>"
        )

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{name}</th>" for name in ("seed", *SHOWN))
        rows = "".join(
            f"<tr><td>{seed}</td>"
            + "".join(f"<td>{numbers[n]:.3g}</td>" if n in numbers else "<td></td>" for n in SHOWN)
            + "</tr>"
            for seed, numbers in self.final.items()
        )
        return f"<p>{html.escape(repr(self))}</p><table><tr>{heads}</tr>{rows}</table>"


def pretrain(
    task: str,
    algorithm: str,
    *,
    variant: str | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> TrainingRun:
    """Train an agent offline, as `smac pretrain`.

    `options` are those of the job (dataset, data_root, seed, seeds, device, threads), of the offline phase
    (steps, eval_every, ...) and of the algorithm's configuration (hidden, kappa, ...). UserError for an
    option that there is none of, and for whatever the command refuses.
    """
    agent = default_config(algorithm, get_task(task), OFFLINE, variant=variant)
    agent, offline, own = split_options(options, (agent, OfflineOptions()), Pretraining)
    return _carry_out(Pretraining(task, algorithm, agent, variant, offline, **own), out)


def finetune(
    start: TrainingRun | str | Path, algorithm: str = "sac", *, out: str | Path | None = None, **options: Any
) -> TrainingRun:
    """Continue a checkpoint, or every seed of a run, online, as `smac finetune`."""
    path = start.directory if isinstance(start, TrainingRun) else Path(start)
    defaults = finetune_defaults(path, algorithm)
    agent, online, own = split_options(options, (defaults, FinetuneOptions()), Finetuning)
    return _carry_out(Finetuning(path, agent, algorithm, online, **own), out)


def train(task: str, algorithm: str = "sac", *, out: str | Path | None = None, **options: Any) -> TrainingRun:
    """Train online from nothing, as `smac train`; `task` may be the id of any gymnasium environment."""
    defaults = default_config(algorithm, get_task(task), ONLINE)
    agent, online, own = split_options(options, (defaults, OnlineOptions()), Training)
    return _carry_out(Training(task, agent, algorithm, online, **own), out)


def load(directory: str | Path) -> TrainingRun:
    """A run that was trained before; UserError if the folder holds none."""
    run = TrainingRun(Path(directory))
    _ = run.config  # which refuses a folder that is none
    return run


def evaluate(
    what: TrainingRun | str | Path, *, episodes: int = 100, seed: int = 0, stochastic: bool = False
) -> dict[str, Any]:
    """Play episodes of a checkpoint, or of what every seed of a run ended with, as `smac evaluate`.

    Of a checkpoint: name -> mean and standard error over episodes. Of a run: `seeds`, seed -> name -> mean,
    and `over_seeds`, name -> mean and 95 % interval.
    """
    if episodes < 1:
        raise UserError(f"episodes must be at least 1, got {episodes}")
    path = what.directory if isinstance(what, TrainingRun) else Path(what)
    moment = MOMENTS[run_config(path)["command"]] if path.is_dir() else "offline"
    found = {
        c.description.seed: evaluate_checkpoint(c, episodes=episodes, seed=seed, stochastic=stochastic)
        for c in starting_points(path, moment)
    }
    return evaluated(found) if path.is_dir() else dict(next(iter(found.values())))


def split_options(
    options: Mapping[str, Any], parts: tuple[Any, Any], job: type[Job]
) -> tuple[Any, Any, dict[str, Any]]:
    """The configuration and the phase's options with what is given of theirs, and what is the job's own."""
    taken: set[str] = set()
    filled = []
    for part in parts:
        names = {f.name for f in fields(part)} & options.keys()
        filled.append(replace(part, **{name: _plain(options[name]) for name in names}))
        taken |= names
    held = {"agent", "offline", "online", "task", "algorithm", "start", "variant"}
    own = {f.name for f in fields(job)} - held
    known = own | {f.name for part in parts for f in fields(part)}
    for name in options.keys() - taken - own:
        near = get_close_matches(name, known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"there is no option {name!r} of {job.command} with this algorithm{hint}")
    return filled[0], filled[1], {name: options[name] for name in options.keys() & own}


def frame(rows: list[dict[str, Any]]) -> pandas.DataFrame:
    """Rows as a pandas table; UserError without pandas, which is optional."""
    try:
        import pandas
    except ImportError:
        raise UserError("a table needs pandas, which is not installed: pip install pandas") from None
    return pandas.DataFrame(rows)


def drawn_by(place: str) -> Any:
    """A function of `figures`, looked up when it is called: imports go one way, from figures to here."""
    return resolve_name(place)


def _carry_out(job: Job, out: str | Path | None) -> TrainingRun:
    directory = Path(out) if out is not None else default_directory(*job.folder_words())
    config = job_config(job, f"smac.{job.command}(...), called from Python")

    def opened(found: Mapping[str, Any]) -> AbstractContextManager[Run]:
        return nullcontext(Run(directory, config | dict(found)))

    job.execute(opened)
    return TrainingRun(directory)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and "." not in text and "e" not in text else value
