"""`smac pretrain`, `smac finetune`, `smac train`, `smac evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.table import Table

from analysis_cli.console import (
    command_line,
    console,
    default_directory,
    pick_device,
    set_threads,
    wrote,
)
from analysis_cli.live import live_run
from smac.agents import OFFLINE, ONLINE, Registry, agent_class, config_of, default_config, variant_of
from smac.agents.base import AgentConfig
from smac.checkpoint import Checkpoint, load_checkpoint
from smac.data.memory_map import load_transitions
from smac.data.minari_io import find_dataset
from smac.data.replay import OfflineData
from smac.data.rewards import reward_scale
from smac.envs import env_spec
from smac.errors import UserError
from smac.files import new_directory, write_json
from smac.provenance import versions
from smac.tasks import Task, get_task
from smac.training.comparison import Mean, evaluated
from smac.training.evaluate import evaluate_checkpoint
from smac.training.fast import check_mode
from smac.training.offline import OfflineOptions, pretrain
from smac.training.online import FinetuneOptions, OnlineOptions, carry_over, finetune, offline_rows, train
from smac.training.run import MOMENTS, Run, run_config

# Fields of a configuration that a fine-tuned agent has from its checkpoint, as far as that has them
CONTINUED = (
    "hidden", "activation", "actor_layer_norm", "discount", "critic_hidden", "layer_norm", "ensemble",
    "optimiser", "reward_scale", "reward_bias",
)  # fmt: skip
TaskName = Annotated[str, tyro.conf.arg(aliases=["--env"])]


@dataclass(frozen=True)
class Pretrain:
    """Train an agent on a dataset; with --task and --algorithm, --help shows the defaults of that pair."""

    task: TaskName
    """Name of the task (`smac tasks`), or the id of a gymnasium environment; options follow an @, as in
    Pendulum-v1@horizon=100."""
    algorithm: str
    """bc, cql, cal_ql, iql, td3_bc or smac."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm."""
    variant: str | None = None
    """A named set of the algorithm's options, each of which can still be given: of smac, `paper` (as
    published) or `sharp` (its defaults)."""
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

    @classmethod
    def prefilled(cls, arguments: Sequence[str]) -> Pretrain:
        """With the defaults of the task and the algorithm that the line names."""
        task, algorithm = option_of(arguments, "", "--task", "--env"), option_of(arguments, "", "--algorithm")
        agent = defaults(task, algorithm, OFFLINE, option_of(arguments, "", "--variant"))
        return cls(task=tyro.MISSING, algorithm=tyro.MISSING, agent=agent)

    def run(self, interrupted: Path | None = None) -> None:
        """Train, or continue an interrupted run of this very command."""
        task, kind = get_task(self.task), agent_class(self.algorithm, OFFLINE)
        set_threads(self.threads)
        device, seeds = pick_device(self.device), seed_range(self.seed, self.seeds)
        check_mode(self.offline.updates, device)
        data, dataset = read_offline(task, self.dataset, self.data_root, self.agent, seeds, device)
        dims, config = env_spec(task), replace(self.agent, reward_scale=data.rewards.scale)
        agent = kind(config, dims.observation_dim, dims.action_dim, seeds, device)
        out = self.out or default_directory("pretrain", task.name, self.algorithm)
        with live_run(out, _config("pretrain", self) | {"dataset": dataset}, interrupted) as run:
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
    """sac, td3, td3_bc or awr."""
    online: tyro.conf.OmitArgPrefixes[FinetuneOptions] = field(default_factory=FinetuneOptions)
    """Options of the online phase."""
    dataset: str | None = None
    """Dataset of --offline-ratio; default: the task's own."""
    data_root: Path | None = None
    """Folder of datasets; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    seed: int | None = None
    """Seed of the online phase; default: the checkpoint's own."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 1
    """Threads of one matrix product; 1 is fastest for networks up to about 256 wide."""
    out: Path | None = None
    """Run directory; default: a new one in runs/."""

    @classmethod
    def prefilled(cls, arguments: Sequence[str]) -> Finetune:
        """With the defaults of the checkpoint and the algorithm that the line names."""
        start, algorithm = option_of(arguments, "", "--from"), option_of(arguments, "sac", "--algorithm")
        agent = (
            finetune_defaults(Path(start), algorithm) if start else agent_class(algorithm, ONLINE).Config()
        )
        return cls(start=tyro.MISSING, agent=agent)

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
        options = self.online
        check_mode(options.updates, device)
        carry_over(agent, checkpoints, options)  # refuses a mismatch before anything is written
        data, dataset = _mixed_in(self, task, seeds, device)
        out = self.out or default_directory("finetune", task.name, about.algorithm, self.algorithm)
        names = {"task": task.name, "pretrained_with": about.algorithm, "dataset": dataset}
        with live_run(out, _config("finetune", self) | names, interrupted) as run:
            finetune(run, task, agent, checkpoints, options, data)
        _report(run, "online")


@dataclass(frozen=True)
class Train:
    """Train online from nothing; with --task and --algorithm, --help shows the defaults of that pair."""

    task: TaskName
    """Name of the task (`smac tasks`), or the id of a gymnasium environment; options follow an @, as in
    Pendulum-v1@horizon=100."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm."""
    algorithm: str = "sac"
    """sac, td3, td3_bc or awr."""
    online: tyro.conf.OmitArgPrefixes[OnlineOptions] = field(default_factory=OnlineOptions)
    """Options of the online phase."""
    dataset: str | None = None
    """Dataset of --offline-ratio; default: the task's own."""
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

    @classmethod
    def prefilled(cls, arguments: Sequence[str]) -> Train:
        """With the defaults of the task and the algorithm that the line names."""
        task, algorithm = (
            option_of(arguments, "", "--task", "--env"),
            option_of(arguments, "sac", "--algorithm"),
        )
        return cls(task=tyro.MISSING, agent=defaults(task, algorithm, ONLINE))

    def run(self, interrupted: Path | None = None) -> None:
        """Train, or continue an interrupted run of this very command."""
        task, kind = get_task(self.task), agent_class(self.algorithm, ONLINE)
        set_threads(self.threads)
        device, seeds = pick_device(self.device), seed_range(self.seed, self.seeds)
        check_mode(self.online.updates, device)
        dims = env_spec(task)
        agent = kind(self.agent, dims.observation_dim, dims.action_dim, seeds, device)
        data, dataset = _mixed_in(self, task, seeds, device)
        out = self.out or default_directory("train", task.name, self.algorithm)
        with live_run(out, _config("train", self) | {"dataset": dataset}, interrupted) as run:
            train(run, task, agent, self.online, data)
        _report(run, "online")


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with the policy of a checkpoint, or with those of every seed of a run."""

    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint file, or a run directory: then the checkpoint that each of its seeds ended with, with means
    and 95 % t intervals over seeds."""
    episodes: int = 100
    """Number of episodes, the same ones for every seed."""
    seed: int = 0
    """Seed of the episodes."""
    stochastic: bool = False
    """Sample actions instead of taking the mean."""
    out: Path | None = None
    """Directory for evaluation.json; default: a new one in runs/."""

    def run(self) -> None:
        checkpoints = _ended_with(self.checkpoint)
        if self.episodes < 1:
            raise UserError(f"--episodes must be at least 1, got {self.episodes}")
        about = checkpoints[0].description
        kind = agent_class(about.algorithm)
        if self.stochastic and kind.actor_kind == "deterministic":
            raise UserError(f"--stochastic: the actor of {kind.label} is deterministic; leave it out")
        results = {
            c.description.seed: evaluate_checkpoint(
                c, episodes=self.episodes, seed=self.seed, stochastic=self.stochastic
            )
            for c in checkpoints
        }
        title = f"{about.task}: {about.moment} {kind.label}"
        numbers: Mapping[str, Any] = results[about.seed]
        if self.checkpoint.is_dir():
            numbers = evaluated(results)
            console.print(_seeds_table(numbers, title))
        else:
            console.print(_episodes_table(numbers, title))
        out = new_directory(self.out or default_directory("evaluate", about.task, about.algorithm))
        command = {"command": command_line("smac"), "checkpoint": str(self.checkpoint)}
        wrote(write_json(out / "evaluation.json", command | dict(numbers) | {"versions": versions()}))


def _ended_with(path: Path) -> list[Checkpoint]:
    """The checkpoint of a file, or what every seed of a run directory ended with."""
    if not path.is_dir():
        return [load_checkpoint(path)]
    return starting_points(path, MOMENTS[run_config(path)["command"]])


def _episodes_table(numbers: Mapping[str, Mapping[str, float]], title: str) -> Table:
    table = Table("", "", show_header=False, title=title)
    for name, value in numbers.items():
        table.add_row(name, f"{value['mean']:.3f} +- {value['standard_error']:.3f}")
    return table


def _seeds_table(numbers: Mapping[str, Any], title: str) -> Table:
    seeds, over = numbers["seeds"], numbers["over_seeds"]
    table = Table("seed", *over, title=title)
    for seed, values in seeds.items():
        table.add_row(seed, *(f"{values[name]:.3f}" for name in over))
    table.add_row("mean", *(Mean(**mean).text(3, len(seeds)) for mean in over.values()))
    return table


def starting_points(path: Path, moment: str = "offline") -> list[Checkpoint]:
    """The checkpoint of a file, or those of every seed of a run directory, in the order of the seeds."""
    if not path.is_dir():
        return [load_checkpoint(path)]
    files = sorted(path.glob(f"seed-*/{moment}.safetensors"), key=lambda f: int(f.parent.name[5:]))
    if not files:
        what = "a run directory of `smac pretrain`" if moment == "offline" else "a run that has ended"
        raise UserError(f"{path}: holds no seed-*/{moment}.safetensors; name {what}")
    return [load_checkpoint(file) for file in files]


def seed_range(first: int, count: int) -> range:
    if count < 1:
        raise UserError(f"--seeds must be at least 1, got {count}")
    return range(first, first + count)


def read_offline(
    task: Task,
    dataset: str | None,
    root: Path | None,
    config: AgentConfig,
    seeds: Sequence[int],
    device: torch.device,
) -> tuple[OfflineData, str]:
    """The named dataset, or the task's own, as `config` trains on it; and the path it was found at."""
    named = task.data(dataset)
    transitions = load_transitions(named, task, root, discount=config.discount)
    data = OfflineData(
        transitions, seeds, device, discount=config.discount, failure_reward=task.failure_reward,
        rewards=reward_scale(config.reward_scale, config.reward_bias, transitions),
    )  # fmt: skip
    return data, str(find_dataset(named, root, task))


def _mixed_in(
    command: Finetune | Train, task: Task, seeds: Sequence[int], device: torch.device
) -> tuple[OfflineData | None, str | None]:
    """The offline data of --offline-ratio, and their path."""
    agent = command.agent
    if agent.standardise_observations:
        raise UserError("--standardise-observations is for `smac pretrain`, which has a dataset's statistics")
    if not offline_rows(agent.batch_size, command.online.offline_ratio):
        return None, command.dataset
    return read_offline(task, command.dataset, command.data_root, agent, seeds, device)


def option_of(arguments: Sequence[str], default: str, *names: str) -> str:
    """The value of one option, before the whole line is parsed: it decides the defaults of others."""
    for i, argument in enumerate(arguments):
        for name in names:
            if argument == name and i + 1 < len(arguments):
                return arguments[i + 1]
            if argument.startswith(f"{name}="):
                return argument.removeprefix(f"{name}=")
    return default


def defaults(task: str, algorithm: str, among: Registry, variant: str | None = None) -> AgentConfig:
    """The defaults of an algorithm and its variant, with those of the task if one is named."""
    if not algorithm:
        return AgentConfig()
    if not task:
        return agent_class(algorithm, among).Config(**variant_of(algorithm, variant))
    return default_config(algorithm, get_task(task), among, variant=variant)


def finetune_defaults(start: Path, algorithm: str) -> AgentConfig:
    """The online algorithm's defaults for the task after a switch, with the networks of the checkpoint."""
    about = starting_points(start)[0].description
    return continued(config_of(about), default_config(algorithm, get_task(about.task), ONLINE))


def continued(offline: AgentConfig, online: AgentConfig) -> AgentConfig:
    """The online configuration with what a fine-tuned agent has from its checkpoint's."""
    own = {f.name: getattr(offline, f.name) for f in fields(offline)}
    taken = {name: own[name] for name in CONTINUED if name in own}
    return replace(online, standardise_observations=False, **taken)


def _config(command: str, options: Any) -> dict[str, Any]:
    nested = {f.name: getattr(options, f.name) for f in fields(options)}
    plain = {k: asdict(v) if hasattr(v, "__dataclass_fields__") else v for k, v in nested.items()}
    return {"command": command, "command_line": command_line("smac"), **plain, "versions": versions()}


def _report(run: Run, moment: str) -> None:
    table = Table("seed", "return", "score", "success", title=f"{moment}, last evaluation")
    for seed, latest in run.latest.items():
        values = (latest.get(f"eval/{name}", float("nan")) for name in ("return", "score", "success"))
        table.add_row(str(seed), *(f"{value:.3f}" for value in values))
    console.print(table)
    for seed in run.latest:
        wrote(run.checkpoint_path(seed, moment))
