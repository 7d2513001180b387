"""The online phase: from checkpoints through the switch, or from nothing, with an empty buffer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from smac.agents.base import Agent
from smac.checkpoint import Checkpoint
from smac.data.replay import Batch, OfflineData, ReplayBuffer
from smac.errors import UserError
from smac.files import write_atomically
from smac.tasks import Task
from smac.training.experience import Explore, OnlineEnvs, UniformActions, collect_step
from smac.training.fast import fast_update
from smac.training.recorder import Recorder, Schedule
from smac.training.run import Run
from smac.training.summary import summarise
from smac.training.switch import Momenta, switch


@dataclass(frozen=True)
class OnlineOptions(Schedule):
    """The online phase; steps are environment steps, per seed."""

    steps: int = 10_000
    """Environment steps, per seed."""
    updates_per_step: int = 1
    """Gradient steps per environment step."""
    warmup_steps: int = 0
    """Environment steps before the first update: with the checkpoint's policy (WSRL), or, without a
    checkpoint, with uniform actions."""
    offline_ratio: float = 0.0
    """Share of every batch that is drawn from the offline dataset: 0 in SMAC's paper, 0.5 in RLPD. In our
    runs a half took most of the drop of SMAC's checkpoints away, not that of all methods'."""
    buffer_size: int = 1_000_000
    """Transitions the replay buffer holds, per seed; the oldest go first."""
    eval_every: int = 500
    """Steps between two evaluations."""
    trajectory_every: int = 1_000
    """Steps between two checkpoints in trajectory/; 0 for none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.offline_ratio < 1.0:
            raise UserError(f"--offline-ratio must lie in [0, 1), got {self.offline_ratio}")


@dataclass(frozen=True)
class FinetuneOptions(OnlineOptions):
    """The online phase after a switch."""

    dip_within: int = 10_000
    """Environment steps after the switch within which its dip is measured."""
    initialise_critic: bool = False
    """Begin with new critics if the checkpoint has none, as after behaviour cloning."""
    momenta: Momenta = "reset"
    """What the optimisers remember at the switch: nothing, or the checkpoint's moments (`keep`)."""


def finetune(
    run: Run,
    task: Task,
    agent: Agent,
    checkpoints: Sequence[Checkpoint],
    options: FinetuneOptions,
    offline: OfflineData | None = None,
) -> None:
    """Fine-tune `agent` from `checkpoints`, one per seed.

    Writes `seed-*/offline` (a copy of the checkpoint), `online`, and the trajectory between them. The first
    row of metrics.csv, step 0, is the checkpoint as it came. `offline` holds the data of `offline_ratio`.
    """
    switch(agent, checkpoints, initialise_critic=options.initialise_critic, momenta=options.momenta)
    for seed, checkpoint in zip(agent.seeds, checkpoints, strict=True):
        write_atomically(run.checkpoint_path(seed, "offline"), partial(shutil.copyfile, checkpoint.path))
    history = [
        [*c.description.history, {k: v for k, v in asdict(c.description).items() if k != "history"}]
        for c in checkpoints
    ]
    interact(run, task, agent, options, offline, agent.explore, {}, history, options.dip_within)


def train(
    run: Run, task: Task, agent: Agent, options: OnlineOptions, offline: OfflineData | None = None
) -> None:
    """Train a fresh `agent` online; writes `seed-*/online` and the trajectory to it."""
    uniform = UniformActions(agent.seeds, agent.action_dim, agent.device)
    interact(run, task, agent, options, offline, uniform, {"uniform": uniform})


def interact(
    run: Run,
    task: Task,
    agent: Agent,
    options: OnlineOptions,
    offline: OfflineData | None,
    first: Explore,
    parts: dict[str, Any],
    history: Sequence[list[dict[str, Any]]] = (),
    dip_within: int | None = None,
) -> None:
    """Environment steps and updates in turn; `first` chooses the actions of the warm-up."""
    envs = OnlineEnvs(task, agent.seeds)
    buffer = ReplayBuffer(
        agent.seeds, min(options.buffer_size, options.steps), agent.observation_dim, agent.action_dim,
        agent.device, run.replay_folder,
    )  # fmt: skip
    sample, fresh_rows = batches(agent.config.batch_size, options.offline_ratio, buffer, offline)
    parts = parts | {"envs": envs, "buffer": buffer} | ({"offline": offline} if offline else {})
    recorder = Recorder(run, task, agent, "online", options.steps, options, parts, history)
    start = recorder.start()
    if start == 0:
        recorder.evaluate(0)
    update = fast_update(agent, options.updates)
    for step in range(start + 1, options.steps + 1):
        collect_step(first if step <= options.warmup_steps else agent.explore, envs, buffer)
        if step > options.warmup_steps and len(buffer) >= fresh_rows:
            for _ in range(options.updates_per_step):
                recorder.add(update(sample()))
        recorder.after(step, envs.take_finished)
    recorder.finish(summarise(run.rows, dip_within=dip_within, evaluations=run.evaluations))
    envs.close()


def batches(
    size: int, offline_ratio: float, buffer: ReplayBuffer, offline: OfflineData | None
) -> tuple[Callable[[], Batch], int]:
    """How to draw a batch of `size` rows, and how many of them are the agent's own experience."""
    old = offline_rows(size, offline_ratio)
    if old == 0:
        return lambda: buffer.sample(size), size
    if offline is None:
        raise UserError("--offline-ratio needs an offline dataset: name one with --dataset")
    return lambda: buffer.sample(size - old).joined(offline.sample(old)), size - old


def offline_rows(size: int, offline_ratio: float) -> int:
    """Rows of a batch of `size` that come from the dataset; UserError if none is left to experience."""
    old = round(offline_ratio * size)
    if old == size:
        raise UserError(f"--offline-ratio {offline_ratio} leaves no row of a batch of {size} to experience")
    return old
