"""`smac pretrain`, `smac finetune`, `smac evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

from analysis_cli.console import (
    command_line,
    console,
    default_directory,
    pick_device,
    progress_bar,
    set_threads,
    wrote,
)
from smac.agents import OFFLINE, ONLINE, agent_class, config_of, default_config
from smac.agents.base import AgentConfig
from smac.checkpoint import Checkpoint, load_checkpoint
from smac.data.minari_io import find_dataset, read_dataset
from smac.data.replay import OfflineData
from smac.data.transitions import Transitions
from smac.envs import env_spec
from smac.errors import UserError
from smac.files import new_directory, write_json
from smac.provenance import versions
from smac.tasks import get_task
from smac.training.evaluate import evaluate_checkpoint
from smac.training.offline import OfflineOptions, pretrain
from smac.training.online import OnlineOptions, finetune, switch
from smac.training.run import Run

# Fields of a configuration that a fine-tuned agent has from its checkpoint, as far as that has them
NETWORK = (
    "hidden", "activation", "actor_layer_norm", "discount", "critic_hidden", "layer_norm", "ensemble",
)  # fmt: skip


@dataclass(frozen=True)
class Pretrain:
    """Train an agent on a dataset; with --task and --algorithm, --help shows the defaults of that pair."""

    task: str
    """Name of the task (`smac tasks`)."""
    algorithm: str
    """bc, cql, cal_ql, iql, td3_bc or smac."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm."""
    offline: tyro.conf.OmitArgPrefixes[OfflineOptions] = field(default_factory=OfflineOptions)
    """Options of the offline phase."""
    dataset: str | None = None
    """Dataset id or path of a dataset's folder; default: the task's own."""
    data_root: Path | None = None
    """Folder of datasets; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    seed: int = 0
    """The first training seed."""
    seeds: int = 1
    """How many seeds, trained as one stack: seed, seed + 1, ..."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 1
    """Threads of one matrix product; 1 is fastest for networks up to about 256 wide."""
    out: Path | None = None
    """Run directory; default: a new one in runs/."""

    def run(self, interrupted: Path | None = None) -> None:
        """Train, or continue an interrupted run of this very command."""
        task, kind = get_task(self.task), agent_class(self.algorithm, OFFLINE)
        if self.seeds < 1:
            raise UserError(f"--seeds must be at least 1, got {self.seeds}")
        set_threads(self.threads)
        device = pick_device(self.device)
        reference = task.data(self.dataset)
        episodes = read_dataset(reference, task, self.data_root)
        transitions = Transitions.from_episodes(
            episodes, discount=self.agent.discount, failure_reward=task.failure_reward
        )
        dims, seeds = env_spec(task), range(self.seed, self.seed + self.seeds)
        agent = kind(self.agent, dims.observation_dim, dims.action_dim, seeds, device)
        data = OfflineData(transitions, seeds, device)
        dataset = str(find_dataset(reference, self.data_root, task))
        out = self.out or default_directory("pretrain", task.name, self.algorithm)
        with _run(out, _config("pretrain", self) | {"dataset": dataset}, interrupted) as run:
            pretrain(run, task, agent, data, self.offline)
        _report(run, "offline")


@dataclass(frozen=True)
class Finetune:
    """Continue a checkpoint online, with an empty buffer."""

    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint file, or a run directory: then every seed-*/offline.safetensors in it, as one stack."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm; those of the networks are the checkpoint's."""
    algorithm: str = "sac"
    """sac, td3 or td3_bc."""
    online: tyro.conf.OmitArgPrefixes[OnlineOptions] = field(default_factory=OnlineOptions)
    """Options of the online phase."""
    seed: int | None = None
    """Seed of the online phase; default: the checkpoint's own."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 1
    """Threads of one matrix product; 1 is fastest for networks up to about 256 wide."""
    out: Path | None = None
    """Run directory; default: a new one in runs/."""

    def run(self, interrupted: Path | None = None) -> None:
        """Fine-tune, or continue an interrupted run of this very command."""
        kind = agent_class(self.algorithm, ONLINE)
        checkpoints = starting_points(self.start)
        about = checkpoints[0].description
        task = get_task(about.task)
        set_threads(self.threads)
        device = pick_device(self.device)
        seeds = [c.description.seed for c in checkpoints]
        if self.seed is not None:
            seeds = [self.seed + k for k in range(len(checkpoints))]
        agent = kind(self.agent, about.observation_dim, about.action_dim, seeds, device)
        # refuses a mismatch before anything is written
        switch(agent, checkpoints, initialise_critic=self.online.initialise_critic)
        out = self.out or default_directory("finetune", task.name, about.algorithm, self.algorithm)
        config = _config("finetune", self) | {"task": task.name, "pretrained_with": about.algorithm}
        with _run(out, config, interrupted) as run:
            finetune(run, task, agent, checkpoints, self.online)
        _report(run, "online")


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with a checkpoint's policy."""

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint file."""
    episodes: int = 100
    """Number of episodes."""
    seed: int = 0
    """Seed of the episodes."""
    stochastic: bool = False
    """Sample actions instead of taking the mean."""
    out: Path | None = None
    """Directory for evaluation.json; default: a new one in runs/."""

    def run(self) -> None:
        checkpoint = load_checkpoint(self.checkpoint)
        if self.episodes < 1:
            raise UserError(f"--episodes must be at least 1, got {self.episodes}")
        kind = agent_class(checkpoint.description.algorithm)
        if self.stochastic and kind.actor_kind == "deterministic":
            raise UserError(f"--stochastic: the actor of {kind.label} is deterministic; leave it out")
        result = evaluate_checkpoint(
            checkpoint, episodes=self.episodes, seed=self.seed, stochastic=self.stochastic
        )
        about = checkpoint.description
        table = Table("", "", show_header=False, title=f"{about.task}: {about.moment} {kind.label}")
        for name in ("return", "score", "success", "length"):
            table.add_row(name, f"{result[name]['mean']:.3f} +- {result[name]['standard_error']:.3f}")
        console.print(table)
        out = new_directory(self.out or default_directory("evaluate", about.task, about.algorithm))
        command = {"command": command_line("smac"), "checkpoint": str(self.checkpoint)}
        wrote(write_json(out / "evaluation.json", command | result | {"versions": versions()}))


def starting_points(path: Path) -> list[Checkpoint]:
    """The checkpoint of a file, or those of every seed of a run directory, in the order of the seeds."""
    if not path.is_dir():
        return [load_checkpoint(path)]
    files = sorted(path.glob("seed-*/offline.safetensors"), key=lambda f: int(f.parent.name[5:]))
    if not files:
        raise UserError(
            f"{path}: holds no seed-*/offline.safetensors; name a run directory of `smac pretrain`"
        )
    return [load_checkpoint(file) for file in files]


def pretrain_defaults(task: str, algorithm: str) -> AgentConfig:
    return default_config(algorithm, get_task(task), OFFLINE)


def finetune_defaults(start: Path, algorithm: str) -> AgentConfig:
    """The online algorithm's defaults for the task, with the networks of the checkpoint."""
    about = starting_points(start)[0].description
    config = default_config(algorithm, get_task(about.task), ONLINE)
    networks = {f.name: getattr(config_of(about), f.name) for f in fields(config_of(about))}
    return replace(config, **{name: networks[name] for name in NETWORK if name in networks})


def _config(command: str, options: Any) -> dict[str, Any]:
    nested = {f.name: getattr(options, f.name) for f in fields(options)}
    plain = {k: asdict(v) if hasattr(v, "__dataclass_fields__") else v for k, v in nested.items()}
    return {"command": command, "command_line": command_line("smac"), **plain, "versions": versions()}


class _ShownRun(Run):
    """A run that also moves a progress bar."""

    show: Callable[[str, int, int], None] | None = None

    def progress(self, phase: str, step: int, total: int) -> None:
        super().progress(phase, step, total)
        if self.show and (step % 20 == 0 or step == total):
            self.show(phase, step, total)


@contextmanager
def _run(out: Path, config: dict[str, Any], interrupted: Path | None) -> Iterator[Run]:
    run = _ShownRun.reopen(interrupted) if interrupted else _ShownRun(out, config)
    with progress_bar() as bar:
        tasks: dict[str, Any] = {}

        def show(phase: str, step: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total)
            bar.update(tasks[phase], completed=step)

        run.show = show
        yield run


def _report(run: Run, moment: str) -> None:
    table = Table("seed", "return", "score", "success", title=f"{moment}, last evaluation")
    for seed, latest in run.latest.items():
        values = (latest.get(f"eval/{name}", float("nan")) for name in ("return", "score", "success"))
        table.add_row(str(seed), *(f"{value:.3f}" for value in values))
    console.print(table)
    for seed in run.latest:
        wrote(run.checkpoint_path(seed, moment))
