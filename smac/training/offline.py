"""The offline phase: a dataset in, one checkpoint per seed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from smac.agents import AGENTS
from smac.agents.sac import SAC
from smac.agents.smac import SMAC
from smac.checkpoint import Description, Moment, save_checkpoint
from smac.data.replay import OfflineData
from smac.data.transitions import outcomes
from smac.diffusion import DiffusionTrainer
from smac.tasks import Task
from smac.training.evaluate import Evaluator
from smac.training.metrics import RunningMeans
from smac.training.run import Run

SCORE_BATCH = 16_384  # rows per pass when the dataset's scores are cached


@dataclass(frozen=True)
class OfflineOptions:
    steps: int = 20_000
    """Gradient steps of the agent."""
    log_every: int = 500
    """Gradient steps between two rows of metrics.csv."""
    eval_every: int = 2_500
    """Gradient steps between two evaluations."""
    eval_episodes: int = 20
    """Episodes of an evaluation; the same ones every time."""
    eval_seed: int = 0
    """Seed of the evaluation episodes."""
    trajectory_every: int = 0
    """Gradient steps between two checkpoints in trajectory/; 0 for none."""


def pretrain(run: Run, task: Task, agent: SAC, data: OfflineData, options: OfflineOptions) -> None:
    """Train `agent` on `data` and write `seed-*/offline.safetensors`."""
    if isinstance(agent, SMAC):
        train_diffusion(run, task, agent, data, options.log_every)
    evaluator = Evaluator(task, len(agent.seeds), options.eval_episodes, options.eval_seed)
    means = RunningMeans()
    for step in range(1, options.steps + 1):
        batch = data.sample(agent.config.batch_size)
        means.add(agent.update(batch))
        last = step == options.steps
        evaluates = last or step % options.eval_every == 0
        if evaluates or step % options.log_every == 0:
            metrics = means.take() | {name: x.cpu().numpy() for name, x in agent.diagnostics(batch).items()}
            metrics |= evaluator(agent.actor) if evaluates else {}
            run.log("offline", step, agent.seeds, metrics)
        if options.trajectory_every and step % options.trajectory_every == 0:
            save_agent(run, task, agent, "trajectory", step, Run.trajectory_name(step))
        run.progress("offline", step, options.steps)
    save_agent(run, task, agent, "offline", options.steps, "offline")
    evaluator.close()


def train_diffusion(run: Run, task: Task, agent: SMAC, data: OfflineData, log_every: int) -> None:
    """Fit the model of the dataset's actions, freeze it, and cache its scores at every dataset action."""
    config, transitions = agent.config, data.transitions
    data.outcomes = outcomes(config.outcome, transitions, horizon=task.horizon)
    agent.query_outcome = float(torch.quantile(data.outcomes.float(), config.outcome_quantile))
    agent.diffusion.set_statistics(transitions.actions, data.outcomes)
    trainer = DiffusionTrainer(
        agent.diffusion.requires_grad_(True),
        agent.seeds,
        lr=config.diffusion_lr,
        outcome_dropout=config.outcome_dropout,
        ema=config.diffusion_ema,
        device=agent.device,
    )
    means = RunningMeans()
    for step in range(1, config.diffusion_steps + 1):
        batch = data.sample(config.batch_size)
        assert batch.outcomes is not None
        means.add(trainer.update(batch.observations, batch.actions, batch.outcomes))
        if step == config.diffusion_steps or step % log_every == 0:
            run.log("diffusion", step, agent.seeds, means.take())
        run.progress("diffusion", step, config.diffusion_steps)
    agent.diffusion = trainer.ema
    data.scores = dataset_scores(agent, data)


def dataset_scores(agent: SMAC, data: OfflineData) -> torch.Tensor:
    """The frozen model's score at every dataset action, [seeds, transitions, action]: a constant of the
    dataset."""
    assert data.outcomes is not None
    stack, parts = len(agent.seeds), []
    columns = (data.transitions.observations, data.transitions.actions, data.outcomes)
    for observations, actions, w in zip(*(x.split(SCORE_BATCH) for x in columns), strict=True):
        parts.append(
            agent.score(
                observations.expand(stack, -1, -1), actions.expand(stack, -1, -1), w.expand(stack, -1)
            )
        )
    return torch.cat(parts, dim=1)


def save_agent(
    run: Run,
    task: Task,
    agent: SAC,
    moment: Moment,
    step: int,
    name: str,
    history: Sequence[list[dict[str, Any]]] = (),
) -> None:
    """One checkpoint per seed, with the seed's latest metrics and the descriptions it descends from."""
    for k, seed in enumerate(agent.seeds):
        description = replace(
            describe(agent, task, moment, step, k),
            metrics=dict(run.latest.get(seed, {})),
            history=history[k] if history else [],
        )
        save_checkpoint(run.checkpoint_path(seed, name), agent.tensors(k), description)


def describe(agent: SAC, task: Task, moment: Moment, step: int, k: int) -> Description:
    """What the checkpoint of the agent's k-th seed says of itself."""
    return Description(
        task=task.name,
        algorithm=next(name for name, kind in AGENTS.items() if kind is type(agent)),
        moment=moment,
        step=step,
        seed=agent.seeds[k],
        observation_dim=agent.observation_dim,
        action_dim=agent.action_dim,
        config=asdict(agent.config),
    )
