"""`smac pretrain`, `smac finetune`, `smac train`, `smac evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, wrote
from analysis_cli.dry import Planned, of_episodes, of_training
from analysis_cli.live import live_run
from smac.agents import OFFLINE, ONLINE, Registry, agent_class, default_config, variant_of
from smac.agents.base import AgentConfig
from smac.api import ended_with, played
from smac.files import default_directory, new_directory, write_json
from smac.provenance import versions
from smac.tasks import get_task
from smac.training.comparison import Mean, evaluated
from smac.training.jobs import (
    Finetuning,
    Job,
    Pretraining,
    Training,
    choices,
    finetune_defaults,
    job_config,
)
from smac.training.run import Run

OFTEN = (
    "steps", "seed", "eval_every", "hidden", "discount", "batch_size", "actor_lr", "critic_lr",
    "device", "out",
)  # fmt: skip


@dataclass(frozen=True)
class Pretrain(Pretraining):
    """Train an agent on a dataset; with --task and --algorithm, --help shows the defaults of that pair."""

    examples: ClassVar = (
        "smac pretrain --task pointmaze-umaze --algorithm smac --seeds 5 --out runs/smac",
        "smac pretrain --task Hopper-v5 --algorithm cal_ql --dataset mujoco/hopper/medium-v0 --steps 100000",
    )
    often: ClassVar = ("variant", "dataset", "seeds", *OFTEN)
    out: Path | None = None
    """Run directory; default: a new one in runs/."""

    @classmethod
    def prefilled(cls, arguments: Sequence[str]) -> Pretrain:
        """With the defaults of the task and the algorithm that the line names."""
        task, algorithm = option_of(arguments, "", "--task", "--env"), option_of(arguments, "", "--algorithm")
        agent = defaults(task, algorithm, OFFLINE, option_of(arguments, "", "--variant"))
        return cls(task=tyro.MISSING, algorithm=tyro.MISSING, agent=agent)

    @classmethod
    def epilogue(cls) -> str:
        return f"--algorithm is {choices(OFFLINE)}."

    def run(self) -> None:
        carry_out(self, self.out)

    def planned(self) -> Planned:
        return of_training(self)


@dataclass(frozen=True)
class Finetune(Finetuning):
    """Continue the training of a checkpoint online, with an empty replay buffer."""

    examples: ClassVar = (
        "smac finetune --from runs/smac --algorithm sac --steps 20000 --out runs/finetune",
        "smac finetune --from runs/smac/seed-0/offline.safetensors --offline-ratio 0.5",
    )
    often: ClassVar = ("algorithm", "updates_per_step", "offline_ratio", "optimiser_state", *OFTEN)
    out: Path | None = None
    """Run directory; default: a new one in runs/."""

    @classmethod
    def decided(cls, words: Sequence[str]) -> tuple[str, ...]:
        return decided_by_checkpoint(words)

    @classmethod
    def prefilled(cls, arguments: Sequence[str]) -> Finetune:
        """With the defaults of the checkpoint and the algorithm that the line names."""
        start, algorithm = option_of(arguments, "", "--from"), option_of(arguments, "sac", "--algorithm")
        agent = (
            finetune_defaults(Path(start), algorithm) if start else agent_class(algorithm, ONLINE).Config()
        )
        return cls(start=tyro.MISSING, agent=agent)

    def run(self) -> None:
        carry_out(self, self.out)

    def planned(self) -> Planned:
        return of_training(self)


@dataclass(frozen=True)
class Train(Training):
    """Train online from scratch; with --task and --algorithm, --help shows the defaults of that pair."""

    examples: ClassVar = (
        "smac train --task Pendulum-v1 --algorithm sac --steps 20000",
        "smac train --task pointmaze-umaze --algorithm td3 --seeds 5",
    )
    often: ClassVar = ("algorithm", "updates_per_step", "warmup_steps", "seeds", *OFTEN)
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

    def run(self) -> None:
        carry_out(self, self.out)

    def planned(self) -> Planned:
        return of_training(self)


def decided_by_checkpoint(words: Sequence[str]) -> tuple[str, ...]:
    """The options of networks that a checkpoint brings; its critics' too, unless they are initialised."""
    actor = ("hidden", "activation", "actor_layer_norm", "standardise_observations")
    return actor if "--initialise-critic" in words else (*actor, "critic_hidden", "layer_norm", "ensemble")


def carry_out(job: Job, out: Path | None = None, interrupted: Path | None = None) -> None:
    """Train, or continue the run that this very job began, shown in the terminal."""
    directory = interrupted or out or default_directory(*job.folder_words())
    config = job_config(job, command_line("smac"))
    run = job.execute(lambda found: live_run(directory, config | dict(found), interrupted))
    _report(run, job.final_checkpoint)


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with the policy of a file, or with those of every seed of a run."""

    examples: ClassVar = (
        "smac evaluate runs/smac --episodes 100",
        "smac evaluate td3.zip --task Hopper-v5 --normaliser none",
    )
    often: ClassVar = ("task", "episodes", "seed", "out")
    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint of ours, another library's policy (docs/formats.md), or a run directory: then the checkpoint
    that each of its seeds ended with, with means and 95 % t intervals over seeds."""
    task: str | None = None
    """Task, or id of an environment, of a policy whose file does not say."""
    action_units: Literal["env", "unit"] | None = None
    """Units of such a policy's actions, if its file does not say: the environment's (env) or [-1, 1]
    (unit)."""
    normaliser: str | None = None
    """Its observation normaliser, if its file does not say: the file of a VecNormalize, or none."""
    episodes: int = 100
    """Number of episodes, the same ones for every seed."""
    seed: int = 0
    """Seed of the episodes."""
    stochastic: bool = False
    """Sample actions instead of using the mean action."""
    out: Path | None = None
    """Directory for evaluation.json; default: a new one in runs/."""

    def run(self) -> None:
        policies = ended_with(self.checkpoint, self.task, self.action_units, self.normaliser)
        first = policies[0]
        results = played(policies, episodes=self.episodes, seed=self.seed, stochastic=self.stochastic)
        title = f"{first.task.name}: {first.label}"
        numbers: Mapping[str, Any] = results[first.seed]
        if self.checkpoint.is_dir():
            numbers = evaluated(results)
            console.print(_seeds_table(numbers, title))
        else:
            console.print(_episodes_table(numbers, title))
        out = new_directory(self.out or default_directory("evaluate", first.task.name, first.algorithm))
        command = {"command": command_line("smac"), "checkpoint": str(self.checkpoint)}
        wrote(write_json(out / "evaluation.json", command | dict(numbers) | {"versions": versions()}))

    def planned(self) -> Planned:
        policies = ended_with(self.checkpoint, self.task, self.action_units, self.normaliser)
        episodes = len(policies) * self.episodes
        return of_episodes("evaluation", policies[0], episodes, 1, self.stochastic)


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


def _report(run: Run, kind: str) -> None:
    table = Table("seed", "return", "score", "success", title=f"{kind} checkpoint, last evaluation")
    for seed, latest in run.latest.items():
        values = (latest.get(f"eval/{name}", float("nan")) for name in ("return", "score", "success"))
        table.add_row(str(seed), *(f"{value:.3f}" for value in values))
    console.print(table)
    for seed in run.latest:
        wrote(run.checkpoint_path(seed, kind))
