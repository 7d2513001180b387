"""The three jobs of training: everything that decides a run, which is what its `config.json` holds.

A job refuses what can be seen to be wrong before anything is written. Commands and functions make jobs, and
say where a job writes and who watches it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
import tyro

from smac.agents import OFFLINE, ONLINE, Registry, agent_class, config_of, default_config
from smac.agents.base import AgentConfig
from smac.agents.registry import GROUP
from smac.checkpoint import Checkpoint, load_checkpoint
from smac.data.replay import OfflineData
from smac.data.rewards import reward_scale
from smac.envs import env_spec
from smac.errors import UserError
from smac.files import from_plain
from smac.plugins import load_plugins
from smac.provenance import versions
from smac.tasks import Task, get_task
from smac.tasks.environments import check_stated, stated_modules
from smac.training.fast import check_mode
from smac.training.offline import OfflineOptions, pretrain, take_diffusion
from smac.training.online import (
    FinetuneOptions,
    OnlineOptions,
    after_switch,
    carry_over,
    offline_rows,
    train,
)
from smac.training.run import STATE, Run

# Fields of a configuration that a fine-tuned agent has from its checkpoint, as far as that has them
CONTINUED = (
    "hidden", "activation", "actor_layer_norm", "discount", "critic_hidden", "layer_norm", "ensemble",
    "optimiser", "reward_scale", "reward_bias",
)  # fmt: skip

ENV_IMPORT_KEY = "env_import"  # of config.json


def choices(among: Registry) -> str:
    """The algorithms there are, of installed packages too, as help says it."""
    load_plugins(GROUP)
    return f"one of: {', '.join(sorted(among))}"


OnlineName = Annotated[
    str, tyro.conf.arg(help_behavior_hint=lambda default: f"({choices(ONLINE)}; default: {default})")
]
TaskName = Annotated[str, tyro.conf.arg(aliases=["--env"])]
Opened = Callable[[Mapping[str, Any]], AbstractContextManager[Run]]  # of what a job finds out on its way


@dataclass(frozen=True)
class Job(ABC):
    """What all three have in common; every field is one of `config.json`."""

    command: ClassVar[str]  # the verb
    final_checkpoint: ClassVar[str]  # kind of the checkpoints that it ends with

    @abstractmethod
    def folder_words(self) -> Sequence[str]:
        """What the default directory of the run is named after."""

    @abstractmethod
    def execute(self, opened: Opened) -> Run:
        """Train to the end in the run that `opened` gives, new or interrupted."""

    def to_json(self) -> dict[str, Any]:
        """The job as plain values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "out"}
        return {"command": self.command} | {
            name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            for name, value in values.items()
        }


@dataclass(frozen=True)
class Pretraining(Job):
    """Train an agent on a dataset."""

    task: TaskName
    """Name of the task (`smac tasks`), or the id of a gymnasium environment; options follow an @, as in
    Pendulum-v1@horizon=100."""
    algorithm: str
    """Algorithm."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm."""
    variant: str | None = None
    """Named preset of the algorithm's options, which can be overridden: for smac, `paper` (as published) or
    `sharp` (the default)."""
    offline: tyro.conf.OmitArgPrefixes[OfflineOptions] = field(default_factory=OfflineOptions)
    """Options of the offline phase."""
    dataset: str | None = None
    """Dataset id or path of a dataset's folder; default: the task's own."""
    data_root: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    seed: int = 0
    """First training seed."""
    seeds: int = 1
    """Number of training seeds (seed, seed + 1, ...), trained in parallel as one stack."""
    device: str = "auto"
    """Device: cpu, cuda, or auto."""
    threads: int = 1
    """CPU threads of torch; 1 is fastest for networks up to about 256 wide."""

    command = "pretrain"
    final_checkpoint = "offline"

    def folder_words(self) -> Sequence[str]:
        return "pretrain", get_task(self.task).name, self.algorithm

    def execute(self, opened: Opened) -> Run:
        task, kind = get_task(self.task), agent_class(self.algorithm, OFFLINE)
        set_threads(self.threads)
        device, seeds = pick_device(self.device), seed_range(self.seed, self.seeds)
        check_mode(self.offline.updates, device)
        data, dataset = read_offline(task, self.dataset, self.data_root, self.agent, seeds, device)
        dims, config = env_spec(task), replace(self.agent, reward_scale=data.rewards.scale)
        agent = kind(config, dims.observation_dim, dims.action_dim, seeds, device)
        if self.offline.score_from is not None:
            take_diffusion(agent, self.offline.score_from)  # refuses another kind before anything is written
        with opened({"dataset": dataset}) as run:
            pretrain(run, task, agent, data, self.offline)
        return run


@dataclass(frozen=True)
class Finetuning(Job):
    """Continue the training of a checkpoint online, with an empty replay buffer."""

    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint file, or a run directory: then all its seed-*/offline.safetensors, fine-tuned as one
    stack."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm; the networks are the checkpoint's."""
    algorithm: OnlineName = "sac"
    """Algorithm."""
    online: tyro.conf.OmitArgPrefixes[FinetuneOptions] = field(default_factory=FinetuneOptions)
    """Options of the online phase."""
    dataset: str | None = None
    """Dataset for --offline-ratio: id or folder; default: the task's own."""
    data_root: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    seed: int | None = None
    """Seed of the online phase; default: the checkpoint's own."""
    device: str = "auto"
    """Device: cpu, cuda, or auto."""
    threads: int = 1
    """CPU threads of torch; 1 is fastest for networks up to about 256 wide."""

    command = "finetune"
    final_checkpoint = "online"

    def folder_words(self) -> Sequence[str]:
        about = starting_points(self.start)[0].description
        return "finetune", get_task(about.task).name, about.algorithm, self.algorithm

    def execute(self, opened: Opened) -> Run:
        kind = agent_class(self.algorithm, ONLINE)
        checkpoints = starting_points(self.start)
        about = checkpoints[0].description
        task = get_task(about.task)
        set_threads(self.threads)
        device = pick_device(self.device)
        seeds = [c.description.seed for c in checkpoints]
        if self.seed is not None:
            seeds = [*seed_range(self.seed, len(checkpoints))]
        agent = kind(self.agent, about.observation_dim, about.action_dim, seeds, device)
        check_mode(self.online.updates, device)
        carry_over(agent, checkpoints, self.online)  # refuses a mismatch before anything is written
        data, dataset = mixed_in(self, task, seeds, device)
        found = {"task": task.name, "pretrained_with": about.algorithm, "dataset": dataset}
        with opened(found) as run:
            after_switch(run, task, agent, checkpoints, self.online, data)
        return run


@dataclass(frozen=True)
class Training(Job):
    """Train online from scratch."""

    task: TaskName
    """Name of the task (`smac tasks`), or the id of a gymnasium environment; options follow an @, as in
    Pendulum-v1@horizon=100."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm."""
    algorithm: OnlineName = "sac"
    """Algorithm."""
    online: tyro.conf.OmitArgPrefixes[OnlineOptions] = field(default_factory=OnlineOptions)
    """Options of the online phase."""
    dataset: str | None = None
    """Dataset for --offline-ratio: id or folder; default: the task's own."""
    data_root: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    seed: int = 0
    """First training seed."""
    seeds: int = 1
    """Number of training seeds (seed, seed + 1, ...), trained in parallel as one stack."""
    device: str = "auto"
    """Device: cpu, cuda, or auto."""
    threads: int = 1
    """CPU threads of torch; 1 is fastest for networks up to about 256 wide."""

    command = "train"
    final_checkpoint = "online"

    def folder_words(self) -> Sequence[str]:
        return "train", get_task(self.task).name, self.algorithm

    def execute(self, opened: Opened) -> Run:
        task, kind = get_task(self.task), agent_class(self.algorithm, ONLINE)
        set_threads(self.threads)
        device, seeds = pick_device(self.device), seed_range(self.seed, self.seeds)
        check_mode(self.online.updates, device)
        dims = env_spec(task)
        agent = kind(self.agent, dims.observation_dim, dims.action_dim, seeds, device)
        data, dataset = mixed_in(self, task, seeds, device)
        with opened({"dataset": dataset}) as run:
            train(run, task, agent, self.online, data)
        return run


def job_config(job: Job, command_line: str) -> dict[str, Any]:
    """What `config.json` of a run of this job begins with."""
    modules = {ENV_IMPORT_KEY: list(stated_modules())} if stated_modules() else {}
    return job.to_json() | modules | {"command_line": command_line, "versions": versions()}


def job_of(config: Mapping[str, Any], directory: Path) -> Job:
    """The job that began a run, with every option as it was; of an older version, as that version had it."""
    check_stated(str(config["task"]), directory, config.get(ENV_IMPORT_KEY, ()))
    agent = from_plain(agent_class(config["algorithm"]).Config, config["agent"])
    shared: Any = {name: config[name] for name in ("algorithm", "dataset", "seed", "device", "threads")}
    if config["command"] == "finetune":
        start = directory if (directory / STATE).exists() else Path(config["start"])  # it has copies
        online = from_plain(FinetuneOptions, _former(config["online"]))
        return Finetuning(start=start, **shared, agent=agent, online=online)
    shared |= {name: config[name] for name in ("task", "seeds")}
    if config["command"] == "train":
        return Training(**shared, agent=agent, online=from_plain(OnlineOptions, _former(config["online"])))
    variant = config.get("variant")
    offline = from_plain(OfflineOptions, config["offline"])
    return Pretraining(**shared, agent=agent, variant=variant, offline=offline)


def _former(online: Mapping[str, Any]) -> dict[str, Any]:
    """Online options of a version that reset the optimisers and updated the actor as often as the critics."""
    if "actor_updates_per_step" in online:
        return dict(online)
    return dict(online) | {
        "actor_updates_per_step": online["updates_per_step"],
        "optimiser_state": online.get("momenta", "reset"),
        "temperature_at_switch": "learned",
        "learning_starts": 0,
    }


# ---- what jobs are made of -------------------------------------------------------------------------------


def starting_points(path: Path, kind: str = "offline") -> list[Checkpoint]:
    """The checkpoint of a file, or those of every seed of a run directory, in the order of the seeds."""
    if not path.is_dir():
        return [load_checkpoint(path)]
    files = sorted(path.glob(f"seed-*/{kind}.safetensors"), key=lambda f: int(f.parent.name[5:]))
    if not files:
        what = "a run directory of `smac pretrain`" if kind == "offline" else "a run that has ended"
        raise UserError(f"{path}: holds no seed-*/{kind}.safetensors; name {what}")
    return [load_checkpoint(file) for file in files]


def finetune_defaults(start: Path, algorithm: str) -> AgentConfig:
    """The online algorithm's defaults for the task after a switch, with the networks of the checkpoint."""
    about = starting_points(start)[0].description
    return continued(config_of(about), default_config(algorithm, get_task(about.task), ONLINE))


def continued(offline: AgentConfig, online: AgentConfig) -> AgentConfig:
    """The online configuration with what a fine-tuned agent has from its checkpoint's."""
    own = {f.name: getattr(offline, f.name) for f in fields(offline)}
    taken = {name: own[name] for name in CONTINUED if name in own}
    return replace(online, standardise_observations=False, **taken)


def seed_range(first: int, count: int) -> range:
    if count < 1:
        raise UserError(f"--seeds must be at least 1, got {count}")
    if first < 0:
        raise UserError(f"--seed must be at least 0, got {first}")
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
    from smac.data.memory_map import load_transitions  # with Minari and h5py, slow to load
    from smac.data.minari_io import find_dataset

    named = task.data(dataset)
    transitions = load_transitions(named, task, root, discount=config.discount)
    data = OfflineData(
        transitions, seeds, device, discount=config.discount, failure_reward=task.failure_reward,
        rewards=reward_scale(config.reward_scale, config.reward_bias, transitions),
    )  # fmt: skip
    return data, str(find_dataset(named, root, task))


def mixed_in(
    job: Finetuning | Training, task: Task, seeds: Sequence[int], device: torch.device
) -> tuple[OfflineData | None, str | None]:
    """The offline data of --offline-ratio, and their path."""
    if job.agent.standardise_observations:
        raise UserError("--standardise-observations is for `smac pretrain`, which has a dataset's statistics")
    if job.agent.reward_scale == "return_range":
        raise UserError("--reward-scale return_range is for `smac pretrain`, which has a dataset's returns")
    if not offline_rows(job.agent.batch_size, job.online.offline_ratio):
        return None, job.dataset
    return read_offline(task, job.dataset, job.data_root, job.agent, seeds, device)


def pick_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one. UserError if it cannot be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return torch.device(name)


def set_threads(threads: int) -> None:
    """Threads of one matrix product, in the whole process."""
    if threads < 1 or threads > (os.cpu_count() or 1) * 4:
        raise UserError(f"--threads must be at least 1 and not far above the number of cores, got {threads}")
    torch.set_num_threads(threads)
