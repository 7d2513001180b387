"""Policies to play episodes with, of every format: what `smac evaluate` and `smac render` take.

Checkpoints of ours act as their agents do, several as one stack; any other policy acts on one observation
after the other, so that functions and black boxes without parameters can, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from smac.agents import agent_class, config_of
from smac.checkpoint import Checkpoint, load_checkpoint
from smac.envs.units import Units
from smac.errors import UserError
from smac.policies.acting import FilePolicy, check_fits, is_ours, load_policy
from smac.policies.layouts.published import GOAL_REACHING
from smac.policies.stated import check_task, read_stated
from smac.rollout import Policy
from smac.tasks import Task, get_task
from smac.tasks.environments import check_stated


@dataclass(frozen=True)
class Playable:
    """A policy and the task that it plays."""

    task: Task
    policy: Policy
    """As a stack of one."""
    stochastic: bool
    """Whether it has a distribution to sample from."""
    label: str
    """How it is called, such as `online SAC`."""
    algorithm: str
    seed: int
    checkpoint: Checkpoint | None = None
    """Of ours."""

    def check(self, stochastic: bool) -> None:
        """UserError if sampled actions are asked of a policy that has none."""
        if stochastic and not self.stochastic:
            raise UserError(f"--stochastic: the actor of {self.label} is deterministic; leave it out")


@dataclass(frozen=True)
class OneByOne:
    """A policy of a file as a stack of one."""

    policy: FilePolicy

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions [1, batch, act] at observations [1, batch, obs]."""
        rows = [
            self.policy.act(observation, None if noise is None else noise[0, k])
            for k, observation in enumerate(observations[0])
        ]
        return torch.stack(rows)[None].clamp(-1.0, 1.0)


def playable(
    path: Path,
    task: str | None = None,
    action_units: Units | None = None,
    normaliser: str | None = None,
) -> Playable:
    """The policy of a file, or that `package.module:name` names; what files do not say is said here.

    UserError for a file that is no policy, or not for the task.
    """
    if path.suffix == ".safetensors" and (not path.is_file() or is_ours(path)):
        return of_checkpoint(load_checkpoint(path), task)
    if path.is_dir():
        raise UserError(f"{path}: is a directory; name the policy's file in it")
    stated = read_stated(path, normaliser)
    chosen = task or stated.task
    if chosen is None:
        raise UserError(f"{path}: does not say which task it was trained for; name it with --task")
    if not task:
        check_stated(chosen, stated.path)
    known = get_task(chosen)
    policy = load_policy(path, known, action_units, normaliser)
    if policy.kind == GOAL_REACHING:
        raise UserError(f"{path}: is part of a controller, and no policy by itself")
    check_fits(policy, known, path)
    algorithm = stated.algorithm or path.stem
    return Playable(known, OneByOne(policy), policy.stochastic, policy.kind, algorithm, stated.seed or 0)


def of_checkpoint(checkpoint: Checkpoint, task: str | None = None) -> Playable:
    """The actor of a checkpoint of ours, in its own task."""
    about = checkpoint.description
    check_task(checkpoint.path, about.task, task)
    kind = agent_class(about.algorithm)
    stochastic = kind.actor_kind != "deterministic"
    label = f"{about.moment} {kind.label}"
    policy = _stack_of([checkpoint])
    return Playable(get_task(about.task), policy, stochastic, label, about.algorithm, about.seed, checkpoint)


def together(policies: Sequence[Playable]) -> Policy | None:
    """Policies of one run, seeds of it, as one stack; None where one of them is not of ours."""
    checkpoints = [one.checkpoint for one in policies if one.checkpoint is not None]
    return _stack_of(checkpoints) if len(checkpoints) == len(policies) else None


def _stack_of(checkpoints: Sequence[Checkpoint]) -> Policy:
    """The actors of checkpoints of one algorithm and one configuration."""
    about = checkpoints[0].description
    seeds = [one.description.seed for one in checkpoints]
    agent = agent_class(about.algorithm)(config_of(about), about.observation_dim, about.action_dim, seeds)
    agent.load_tensors([one.tensors for one in checkpoints])
    return agent.actor
