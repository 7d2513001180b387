"""The offline phase: a dataset in, one checkpoint per seed out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from smac.agents.base import Agent, Preparation
from smac.agents.convert import part
from smac.checkpoint import load_checkpoint
from smac.data.replay import Batch, OfflineData
from smac.data.transitions import Transitions
from smac.errors import UserError
from smac.tasks import Task
from smac.training.fast import fast_update
from smac.training.finite import check_losses, losses_due
from smac.training.metrics import RunningMeans
from smac.training.recorder import Recorder, Schedule
from smac.training.run import Run

STD_FLOOR = 1e-3  # added to the spread of observations (Fujimoto and Gu 2021)


@dataclass(frozen=True)
class OfflineOptions(Schedule):
    """The offline phase; steps are gradient steps."""

    steps: int = 20_000
    """Gradient steps."""
    score_from: Path | None = None
    """SMAC: load the diffusion model from this run directory (same seeds and dataset) instead of training
    one."""


def pretrain(run: Run, task: Task, agent: Agent, data: OfflineData, options: OfflineOptions) -> None:
    """Train `agent` on `data` and write `seed-*/offline.safetensors`."""
    if agent.config.standardise_observations:
        agent.standardise(*observation_statistics(data.transitions))
    if preparation := agent.prepare(data, horizon=task.horizon):
        carry_out(preparation, run, agent, data, options)
    recorder = Recorder(run, task, agent, "offline", options.steps, options, {"data": data})
    start = recorder.start()
    agent.complete(data)
    update = fast_update(agent, options.updates)
    for step in range(start + 1, options.steps + 1):
        batch = data.sample(agent.config.batch_size)
        recorder.add(update(batch))
        recorder.after(step, partial(diagnostics, agent, batch))
    recorder.finish()


def observation_statistics(transitions: Transitions) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of the observations, [observation] each, as TD3+BC has them."""
    observations = transitions.observations
    return observations.mean(0), observations.std(0) + STD_FLOOR


def diagnostics(agent: Agent, batch: Batch) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy() for name, value in agent.diagnostics(batch).items()}


def carry_out(
    preparation: Preparation, run: Run, agent: Agent, data: OfflineData, options: OfflineOptions
) -> None:
    """A method's own phase before the offline one."""
    if options.score_from is not None:
        take_diffusion(agent, options.score_from)
        return
    if run.saved and run.saved["phase"] == "offline":
        return  # carried out before the interruption; the agent's state holds it
    phase, steps, means = preparation.name, preparation.steps, RunningMeans()
    parts = {"trainer": preparation.trainer, "means": means, "data": data}
    for step in range(run.restore(phase, parts) + 1, steps + 1):
        means.add(preparation.update(data.sample(agent.config.batch_size)))
        logs = step == steps or step % options.log_every == 0
        saves = options.save_every and step % options.save_every == 0
        if logs or saves or losses_due(step, agent.device):
            check_losses(step, agent.seeds, means.sums)
        if logs:
            run.log(phase, step, agent.seeds, means.take())
        if saves:
            run.save(phase, step, parts)
        run.progress(phase, step, steps)


@torch.no_grad()
def take_diffusion(agent: Agent, directory: Path) -> None:
    """The frozen diffusion models of a finished run, seed by seed; UserError if they are not of this kind."""
    model = agent.modules().get("diffusion")
    if model is None:
        raise UserError(f"--score-from is for smac, which has a score model; {agent.label} has none")
    own = model.state_dict()
    for k, seed in enumerate(agent.seeds):
        path = directory / f"seed-{seed}" / "offline.safetensors"
        found = part(load_checkpoint(path).tensors, "diffusion.")
        if {n: x.shape for n, x in found.items()} != {n: x.shape[1:] for n, x in own.items()}:
            raise UserError(f"{path}: its diffusion model is not of the kind that the options ask for")
        for name, tensor in found.items():
            own[name][k].copy_(tensor)
