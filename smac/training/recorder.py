"""What both phases write down along the way: metrics, evaluations, trajectory checkpoints, progress."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from torch import Tensor

from smac.agents import registered_name
from smac.agents.base import Agent
from smac.checkpoint import CheckpointKind, Description, save_checkpoint
from smac.envs import notice_of
from smac.errors import UserError
from smac.files import write_json
from smac.tasks import Task
from smac.training.episodes import Evaluations
from smac.training.evaluate import Evaluator, summary
from smac.training.fast import UpdateMode
from smac.training.finite import check_agent, check_losses, losses_due
from smac.training.metrics import RunningMeans
from smac.training.run import Run
from smac.training.sinks import SinkName, check_sinks, open_sinks

log = logging.getLogger(__name__)

MAY_BE_ZERO = (
    "eval_seed",
    "trajectory_every",
    "save_every",
    "warmup_steps",
    "learning_starts",
    "initialise_critic",
    "offline_ratio",
)


@dataclass(frozen=True)
class Schedule:
    """Steps are gradient steps offline and environment steps online."""

    log_every: int = 500
    """Steps between two rows of metrics.csv."""
    eval_every: int = 2_500
    """Steps between two evaluations."""
    eval_episodes: int = 20
    """Episodes per evaluation, with the same seeds every time."""
    eval_seed: int = 0
    """Seed of the evaluation episodes."""
    trajectory_every: int = 0
    """Steps between two checkpoints in trajectory/; 0: none."""
    save_every: int = 1_000
    """Steps between two saved training states, from which `smac resume` continues; 0: none."""
    updates: UpdateMode = "auto"
    """How updates are executed: `eager`; `graph` (CUDA graphs); `compile` (torch.compile of a whole update on
    the CPU, equal up to rounding; takes minutes once, then cached on disk); `auto`: `graph` on CUDA, else
    `eager`."""
    log_to: tuple[SinkName, ...] = ()
    """Loggers in addition to metrics.csv: tensorboard, wandb."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value, least = getattr(self, f.name), 0 if f.name in MAY_BE_ZERO else 1
            if isinstance(value, int) and value < least:
                raise UserError(f"--{f.name.replace('_', '-')} must be at least {least}, got {value}")
        check_sinks(self.log_to)

    def evaluation_due(self, step: int) -> bool:
        """Whether the policy is evaluated after `step`, the last step aside."""
        return step % self.eval_every == 0


class Recorder:
    """Watches one phase of a run. `parts` are in its saved state in addition to the agent and the means."""

    def __init__(
        self,
        run: Run,
        task: Task,
        agent: Agent,
        phase: CheckpointKind,
        steps: int,
        schedule: Schedule,
        parts: Mapping[str, Any],
        history: Sequence[list[dict[str, Any]]] = (),
    ) -> None:
        registered_name(type(agent))  # refuses a class whose checkpoints nothing could read
        self.run, self.task, self.agent, self.phase, self.steps = run, task, agent, phase, steps
        self.schedule, self.history = schedule, history
        if notice := notice_of(task):  # evaluations are paired
            log.warning(notice)
        self.means = RunningMeans()
        self.sinks = open_sinks(schedule.log_to, run.directory)
        run.at_exit.callback(self._close_sinks)
        self.parts = {"agent": agent, "means": self.means, **parts}
        self.evaluator = Evaluator(
            task, len(agent.seeds), schedule.eval_episodes, schedule.eval_seed, agent.device
        )

    def start(self) -> int:
        """The step to continue after: 0, or where an interrupted run's last state was taken."""
        if self.schedule.save_every:
            self.run.check_state(self.parts)
        return self.run.restore(self.phase, self.parts)

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Metrics of one update, per seed."""
        self.means.add(metrics)

    def evaluate(self, step: int) -> None:
        """An evaluation outside the schedule, such as that of the checkpoint as it came."""
        self._log(step, self._evaluated(step))

    def after(self, step: int, extra: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Do what is due after `step`; `extra` gives more metrics and is asked only when a row is written."""
        schedule, last = self.schedule, step == self.steps
        evaluates = last or schedule.evaluation_due(step)
        trajectory = schedule.trajectory_every and step % schedule.trajectory_every == 0
        saves = schedule.save_every and step % schedule.save_every == 0
        writes = evaluates or step % schedule.log_every == 0
        if writes or trajectory or saves or losses_due(step, self.agent.device):
            check_losses(step, self.agent.seeds, self.means.sums)
        if last or trajectory or saves:
            check_agent(step, self.agent)
        if writes:
            metrics = self.means.take() | dict(extra())
            metrics |= self._evaluated(step) if evaluates else {}
            self._log(step, metrics)
        if trajectory:
            self.save("trajectory", step, f"trajectory/step-{step:08d}")
        if saves:
            self.run.save(self.phase, step, self.parts)
        self.run.progress(self.phase, step, self.steps)

    def _evaluated(self, step: int) -> dict[str, np.ndarray]:
        """Play the evaluation's episodes, keep each of them, and return their means per seed."""
        played, seeds = self.evaluator.play(self.agent.actor), self.agent.seeds
        self.run.keep(Evaluations.of(step, seeds, self.evaluator.seeds, self.task, played))
        return summary(self.task, played)

    def _log(self, step: int, metrics: Mapping[str, np.ndarray]) -> None:
        self.run.log(self.phase, step, self.agent.seeds, metrics)
        for k, seed in enumerate(self.agent.seeds if self.sinks else ()):
            values = {name: float(x[k]) for name, x in metrics.items() if np.isfinite(x[k])}
            for sink in self.sinks:
                sink.write(self.phase, step, seed, values)

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """The phase's own checkpoint, `seed-*/offline` or `seed-*/online`, and `summary.json` if given.

        The state goes last: a run without it has ended and has everything.
        """
        self.save(self.phase, self.steps, self.phase)
        if summary is not None:
            write_json(self.run.directory / "summary.json", summary)
        self.run.forget_state()
        self.evaluator.close()
        self._close_sinks()

    def _close_sinks(self) -> None:
        while self.sinks:
            self.sinks.pop().close()

    def save(self, kind: CheckpointKind, step: int, name: str) -> None:
        """One checkpoint per seed, with the seed's latest metrics and the descriptions it descends from.

        That of a phase's end also holds what the optimisers remember.
        """
        for k, seed in enumerate(self.agent.seeds):
            description = replace(
                describe(self.agent, self.task, kind, step, k),
                metrics=dict(self.run.latest.get(seed, {})),
                history=self.history[k] if self.history else [],
            )
            tensors = self.agent.tensors(k) | ({} if kind == "trajectory" else self.agent.moments(k))
            save_checkpoint(self.run.checkpoint_path(seed, name), tensors, description)


def describe(agent: Agent, task: Task, kind: CheckpointKind, step: int, k: int) -> Description:
    """What the checkpoint of the agent's k-th seed says of itself."""
    return Description(
        task=task.name,
        algorithm=registered_name(type(agent)),
        moment=kind,
        step=step,
        seed=agent.seeds[k],
        observation_dim=agent.observation_dim,
        action_dim=agent.action_dim,
        config=asdict(agent.config),
    )
