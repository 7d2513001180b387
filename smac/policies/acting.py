"""Policies to collect with: our checkpoints, and every format of `smac.policies`. No file is executed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from smac.agents import agent_class, config_of
from smac.checkpoint import HEADER, load_checkpoint
from smac.envs import env_spec
from smac.envs.units import Units, action_box
from smac.errors import UserError
from smac.nets import ACTORS
from smac.policies.contents import is_safetensors, refusing, safetensors_header
from smac.policies.layouts.published import GOAL_REACHING
from smac.policies.libraries import COMMON, ask_for_normaliser, fit, read_network
from smac.policies.network import check_tensor
from smac.policies.onnx import Graph, is_onnx, read_graph
from smac.policies.python import checked_actions, gain_and_offset, import_policy, is_reference
from smac.policies.stated import Stated, check, read_stated
from smac.tasks import Task, get_task

Act = Callable[[Tensor, Tensor | None], Tensor]  # observation [obs], standard normal noise [act] or none
ANT_BODY = slice(2, 29)  # qpos[2:] and qvel of the ant in AntMaze's flat observation


@dataclass(frozen=True)
class FilePolicy:
    """A policy read from a file."""

    kind: str
    observation_dim: int
    action_dim: int
    act: Act  # action [act], which may leave [-1, 1]
    stochastic: bool  # whether it has a distribution to sample from
    task: str | None = None  # that it was trained on, if the file says so

    def action(self, observation: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """Mean action [act] in [-1, 1] at `observation` [obs], or one sampled with `rng`; float64."""
        noise = None
        if rng is not None:
            noise = torch.from_numpy(rng.standard_normal(self.action_dim, dtype=np.float32))
        with torch.inference_mode():
            action = self.act(torch.from_numpy(np.asarray(observation, dtype=np.float32)), noise).numpy()
        if not np.isfinite(action).all():
            raise UserError(f"the policy ({self.kind}) gave an action that is not finite")
        return np.clip(action, -1.0, 1.0).astype(np.float64)


def load_policy(
    path: Path | str,
    task: Task | None = None,
    units: Units | None = None,
    normaliser: str | None = None,
) -> FilePolicy:
    """The policy in a checkpoint of ours or in another library's file; UserError if it is none.

    Args:
        path: its file.
        task: where it is to act; without one, a policy of the environment's units acts in those.
        units: of its actions, where neither the file nor the description next to it says.
        normaliser: the file of a VecNormalize that its observations go through first, or `none`, likewise.
    """
    path = Path(path)
    if is_reference(path):
        return _from_python(path, task, units)
    if is_ours(path):
        if units is not None:
            raise UserError(f"{path}: a checkpoint of ours acts in [-1, 1]; leave out --action-units")
        return _from_checkpoint(path)
    if begins_like_onnx(path):
        return _from_graph(path, task, units, normaliser)
    network, stated = read_network(path, units, normaliser)
    if task is not None:
        network = fit(path, network, stated, task)
    return FilePolicy(
        network.source,
        network.observation_dim,
        network.action_dim,
        network.act,
        stochastic=network.log_std is not None,
        task=stated.task,
    )


def _from_python(reference: Path, task: Task | None, units: Units | None) -> FilePolicy:
    """A module or function of the user's own, as a black box."""
    if task is None:
        raise UserError(f"{reference}: a function acts only in a task")
    function, dims, name = import_policy(reference), env_spec(task), str(reference)
    ends = gain_and_offset(units, action_box(task), name)
    gain, offset = (torch.from_numpy(end).float() for end in ends)

    def act(observation: Tensor, noise: Tensor | None) -> Tensor:
        return gain * checked_actions(function, observation[None], dims.action_dim, name)[0] + offset

    act(torch.zeros(dims.observation_dim), None)
    return FilePolicy(name, dims.observation_dim, dims.action_dim, act, stochastic=False)


def begins_like_onnx(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return is_onnx(file.read(3))


@dataclass(frozen=True)
class _BlackBox:
    """A graph in a task: observations [batch, obs] to actions [batch, act] of [-1, 1]."""

    graph: Graph
    gain: Tensor
    offset: Tensor
    observation_dim: int
    action_dim: int

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.gain * checked_actions(self.graph, observation, self.action_dim, str(self.graph.path)) + (
            self.offset
        )


def _from_graph(path: Path, task: Task | None, units: Units | None, normaliser: str | None) -> FilePolicy:
    """An ONNX graph as a black box."""
    if task is None:
        raise UserError(f"{path}: an ONNX graph acts only in a task; name it with --task")
    stated = read_stated(path, normaliser)
    odd = [
        key
        for key, value in vars(stated).items()
        if key not in COMMON and value != getattr(Stated(stated.path), key)
    ]
    if odd:
        raise UserError(f"{stated.path}: {odd[0]} has no meaning for an ONNX graph")
    graph = read_graph(path)
    ask_for_normaliser(path, "ONNX", stated)
    if units and stated.action_units and units != stated.action_units:
        raise UserError(
            f"{stated.path}: says action units {stated.action_units}, but --action-units is {units}"
        )
    dims, box = env_spec(task), action_box(task)
    graph = replace(graph, normalisation=stated.normalisation(dims.observation_dim))
    ends = gain_and_offset(units or stated.action_units, box, str(path))
    gain, offset = (torch.from_numpy(end).float() for end in ends)
    acts = _BlackBox(graph, gain, offset, dims.observation_dim, dims.action_dim)
    acts.act(torch.zeros(1, dims.observation_dim))
    check(path, stated, acts, box)

    def act(observation: Tensor, noise: Tensor | None) -> Tensor:
        return acts.act(observation[None])[0]

    return FilePolicy(
        "ONNX graph", dims.observation_dim, dims.action_dim, act, stochastic=False, task=stated.task
    )


def is_ours(path: Path) -> bool:
    """Whether it is a safetensors file whose header describes a checkpoint of ours."""
    return path.is_file() and is_safetensors(path) and HEADER in safetensors_header(path)


def check_fits(policy: FilePolicy, task: Task, path: Path) -> None:
    """UserError if the policy belongs to another task: by its own word, its sizes, or the file's name."""
    if policy.task is not None and _interface(get_task(policy.task)) != _interface(task):
        raise UserError(f"{path}: this checkpoint is of task {policy.task}, not of {task.name}")
    dims = env_spec(task)
    if policy.kind == GOAL_REACHING:
        if task.family != "antmaze":
            raise UserError(f"{path}: a policy that walks AntMaze's ant, but the task is {task.name}")
    elif (policy.observation_dim, policy.action_dim) != (dims.observation_dim, dims.action_dim):
        raise UserError(
            f"{path}: a policy of {policy.observation_dim} observations and {policy.action_dim} actions, but "
            f"task {task.name} has {dims.observation_dim} and {dims.action_dim}"
        )
    named = re.search(r"([A-Za-z0-9]+)-v\d+$", path.stem)  # sizes alone mistake Walker2d for HalfCheetah
    if named and named[1] in _known_environments() and named[1] != task.env_id.rpartition("-v")[0]:
        raise UserError(f"{path}: by its name a policy for {named[1]}, but task {task.name} is {task.env_id}")


def _known_environments() -> set[str]:
    return {spec.name for spec in gymnasium.registry.values()}


def _interface(task: Task) -> tuple[Any, ...]:
    """What must be the same for a policy to mean the same."""
    maze = task.name.partition("@")[0] if task.family in ("pointmaze", "antmaze") else None
    return task.env_id, task.observation_keys, task.wrappers, task.action_scale, maze


def _from_checkpoint(path: Path) -> FilePolicy:
    checkpoint = load_checkpoint(path)
    about, kind = checkpoint.description, agent_class(checkpoint.description.algorithm)
    with refusing(path, "a checkpoint whose description makes an actor"):
        config = config_of(about)
        actor = ACTORS[kind.actor_kind](
            (), about.observation_dim, about.action_dim, config.hidden,
            activation=config.activation, layer_norm=config.actor_layer_norm,
        )  # fmt: skip
    prefix = "actor."
    tensors = {n.removeprefix(prefix): t for n, t in checkpoint.tensors.items() if n.startswith(prefix)}
    for name, tensor in tensors.items():
        check_tensor(path, f"{prefix}{name}", tensor)
    try:
        actor.load_state_dict(tensors)
    except RuntimeError:
        raise UserError(f"{path}: its tensors are not those of the actor that it describes") from None

    def act(observation: Tensor, noise: Tensor | None) -> Tensor:
        return actor.act(observation[None], None if noise is None else noise[None])[0]

    return FilePolicy(
        kind=f"{kind.label} checkpoint ({about.moment}, step {about.step}, seed {about.seed})",
        observation_dim=about.observation_dim,
        action_dim=about.action_dim,
        act=act,
        stochastic=kind.actor_kind == "tanh_gaussian",
        task=about.task,
    )
