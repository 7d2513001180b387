"""The online phase: from checkpoints through the switch, or from scratch, with an empty replay buffer."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from torch import Tensor

from smac.agents.base import Agent
from smac.agents.sac import SAC
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
from smac.training.switch import OptimiserState, TemperatureRule, balance_temperature, switch


@dataclass(frozen=True)
class OnlineOptions(Schedule):
    """The online phase; steps are environment steps, per seed."""

    steps: int = 10_000
    """Environment steps, per seed."""
    updates_per_step: int = 1
    """Critic updates per environment step (update-to-data ratio)."""
    actor_updates_per_step: int = 1
    """Actor (and temperature) updates per environment step: in the last ones of the critic updates, as in
    RLPD and WSRL."""
    learning_starts: int | None = None
    """Environment steps before the first update; default: the length of one full episode, but at most a tenth
    of the run."""
    warmup_steps: int = 0
    """Warm-up: environment steps without updates. Actions are uniformly random when training from scratch,
    and the checkpoint's policy when fine-tuning (WSRL)."""
    offline_ratio: float = 0.0
    """Share of every batch that is sampled from the offline dataset: 0 in SMAC's paper, 0.5 in RLPD."""
    buffer_size: int = 1_000_000
    """Capacity of the replay buffer, in transitions, per seed."""
    eval_every: int = 500
    """Steps between two evaluations."""
    late_eval_every: int | None = None
    """Steps between two evaluations after step `late_from`; default: --eval-every."""
    late_from: int = 5_000
    """Step after which --late-eval-every holds, to evaluate often only where a drop is expected."""
    trajectory_every: int = 1_000
    """Steps between two checkpoints in trajectory/; 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.offline_ratio < 1.0:
            raise UserError(f"--offline-ratio must lie in [0, 1), got {self.offline_ratio}")
        if self.actor_updates_per_step > self.updates_per_step:
            raise UserError(
                f"--actor-updates-per-step {self.actor_updates_per_step} exceeds --updates-per-step "
                f"{self.updates_per_step}: each of them is one of those"
            )
        for name in ("learning_starts", "warmup_steps"):
            if (getattr(self, name) or 0) > self.steps:
                option = name.replace("_", "-")
                raise UserError(f"--{option} {getattr(self, name)} leaves no update in --steps {self.steps}")

    def evaluation_due(self, step: int) -> bool:
        late = self.late_eval_every is not None and step > self.late_from
        return step % (self.late_eval_every if late and self.late_eval_every else self.eval_every) == 0

    def first_update(self, horizon: int) -> int:
        """The environment step after which the first update is taken; `horizon` is that of an episode."""
        starts = self.learning_starts
        if starts is None:
            starts = min(horizon, self.steps // 10)
        return max(1, starts, self.warmup_steps + 1)


@dataclass(frozen=True)
class FinetuneOptions(OnlineOptions):
    """The online phase after a switch."""

    dip_within: int = 10_000
    """Environment steps after the switch in which the dip (the largest fall of the score) is measured."""
    dip_margin: float | None = None
    """Fall that counts as none in the verdict `switch/monotone`: of the score (default: 0.05), or of the
    return for tasks without reference returns (default: no verdict)."""
    initialise_critic: bool = False
    """Initialise new critics if the checkpoint has none, as after behaviour cloning."""
    optimiser_state: OptimiserState = "keep"
    """Optimiser state (Adam's moments, Muon's momentum) at the switch: keep the checkpoint's, or reset it."""
    temperature_at_switch: TemperatureRule = "entropy"
    """SAC's temperature at the first online update. `entropy`: such that the entropy term and Q vary equally
    over the policy's actions on the first states; `learned`: the checkpoint's (IQL and TD3+BC have none); or
    a number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dip_margin is not None and not 0.0 <= self.dip_margin < math.inf:
            raise UserError(f"--dip-margin must be a finite number of at least 0, got {self.dip_margin}")
        rule = self.temperature_at_switch
        if isinstance(rule, float | int) and not 0.0 < rule < math.inf:
            raise UserError(f"--temperature-at-switch must be positive, got {rule}")


def carry_over(agent: Agent, checkpoints: Sequence[Checkpoint], options: FinetuneOptions) -> None:
    """The switch as the options say; UserError if the checkpoints do not fit the agent."""
    switch(
        agent,
        checkpoints,
        initialise_critic=options.initialise_critic,
        optimiser_state=options.optimiser_state,
        temperature=options.temperature_at_switch,
    )


def finetune(
    run: Run,
    task: Task,
    agent: Agent,
    checkpoints: Sequence[Checkpoint],
    options: FinetuneOptions,
    offline: OfflineData | None = None,
) -> None:
    """Fine-tune `agent` from `checkpoints`, one per seed: the switch, then what comes after it."""
    carry_over(agent, checkpoints, options)
    after_switch(run, task, agent, checkpoints, options, offline)


def after_switch(
    run: Run,
    task: Task,
    agent: Agent,
    checkpoints: Sequence[Checkpoint],
    options: FinetuneOptions,
    offline: OfflineData | None = None,
) -> None:
    """Train online with an agent that has loaded `checkpoints`.

    Writes `seed-*/offline` (a copy of the checkpoint), `online`, and the trajectory between them. The first
    row of metrics.csv, step 0, is the checkpoint as it came. `offline` holds the data of `offline_ratio`.
    """
    for seed, checkpoint in zip(agent.seeds, checkpoints, strict=True):
        write_atomically(run.checkpoint_path(seed, "offline"), partial(shutil.copyfile, checkpoint.path))
    history = [
        [*c.description.history, {k: v for k, v in asdict(c.description).items() if k != "history"}]
        for c in checkpoints
    ]
    before_learning = None
    if isinstance(agent, SAC) and options.temperature_at_switch == "entropy":
        before_learning = partial(balance_temperature, agent)
    interact(run, task, agent, options, offline, agent.explore, {}, history, before_learning)


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
    before_learning: Callable[[Tensor], None] | None = None,
) -> None:
    """Environment steps and updates in turn; `first` chooses the actions of the warm-up.

    `before_learning` is called once, before the first update, with the observations [seeds, n, observation]
    of the experience so far.
    """
    envs = OnlineEnvs(task, agent.seeds)
    buffer = ReplayBuffer(
        agent.seeds, min(options.buffer_size, options.steps), agent.observation_dim, agent.action_dim,
        agent.device, run.replay_folder,
    )  # fmt: skip
    sample = batches(agent.config.batch_size, options.offline_ratio, buffer, offline)
    parts = parts | {"envs": envs, "buffer": buffer} | ({"offline": offline} if offline else {})
    recorder = Recorder(run, task, agent, "online", options.steps, options, parts, history)
    start = recorder.start()
    if start == 0:
        recorder.evaluate(0)
    update, first_update = fast_update(agent, options.updates), options.first_update(task.horizon)
    critics_alone = options.updates_per_step - options.actor_updates_per_step
    for step in range(start + 1, options.steps + 1):
        explore = first if step <= options.warmup_steps else agent.explore
        collect_step(explore, envs, buffer, agent.rewards)
        if step == first_update:
            if before_learning:
                before_learning(buffer.observations[:, : len(buffer)])
            if isinstance(agent, SAC):
                recorder.add({"switch/temperature": agent.log_alpha.detach().exp()})
        if step >= first_update:
            for i in range(options.updates_per_step):
                recorder.add(update(sample(), actor=i >= critics_alone))
        recorder.after(step, envs.take_finished)
    within, margin = (
        (options.dip_within, options.dip_margin) if isinstance(options, FinetuneOptions) else (None, None)
    )
    recorder.finish(summarise(run.rows, dip_within=within, evaluations=run.evaluations, margin=margin))
    envs.close()


def batches(
    size: int, offline_ratio: float, buffer: ReplayBuffer, offline: OfflineData | None
) -> Callable[[], Batch]:
    """How to draw a batch of `size` rows, some of them from the dataset."""
    old = offline_rows(size, offline_ratio)
    if old == 0:
        return lambda: buffer.sample(size)
    if offline is None:
        raise UserError("--offline-ratio needs an offline dataset: name one with --dataset")
    return lambda: buffer.sample(size - old).joined(offline.sample(old))


def offline_rows(size: int, offline_ratio: float) -> int:
    """Rows of a batch of `size` that come from the dataset; UserError if none is left to experience."""
    old = round(offline_ratio * size)
    if old == size:
        raise UserError(f"--offline-ratio {offline_ratio} leaves no row of a batch of {size} to experience")
    return old
