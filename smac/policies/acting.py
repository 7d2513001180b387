"""Policies to collect with: our checkpoints, published policies as arrays (.npz), Stable-Baselines3 agents.

Nothing in any of these files is executed. Of an agent's zip only the tensors (`policy.pth`, read with
`weights_only=True`) and the plain JSON beside them are opened; its pickled parts are not.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from smac.agents import agent_class, config_of
from smac.checkpoint import load_checkpoint
from smac.envs import env_spec
from smac.errors import UserError
from smac.nets import ACTORS, LOG_STD_RANGE, Activation
from smac.tasks import Task, get_task

Layer = tuple[Tensor, Tensor]  # weight [out, in] and bias [out]
Act = Callable[[Tensor, Tensor | None], Tensor]  # observation [obs], standard normal noise [act] or none
GOAL_REACHING = "antmaze_gen"  # kind of the ant that walks in a direction, so needs waypoints
ANT_BODY = slice(2, 29)  # qpos[2:] and qvel of the ant in AntMaze's flat observation


@dataclass(frozen=True)
class Perceptron:
    """The network of a policy: affine maps with an activation between them, for whoever wants its weights."""

    hidden: tuple[Layer, ...]
    mean: Layer
    log_std: Layer | None  # a second head; None where noise is no function of the observation
    activation: Activation
    squash: bool  # whether the action is tanh of the mean; else the mean itself
    shift: Tensor | None = None  # what is taken from the observation [obs] before the first layer,
    scale: Tensor | None = None  # and what the rest is divided by


@dataclass(frozen=True)
class FilePolicy:
    """A policy read from a file."""

    kind: str
    observation_dim: int
    action_dim: int
    act: Act  # action [act], which may leave [-1, 1]
    stochastic: bool  # whether it has a distribution to sample from
    task: str | None = None  # that it was trained on, if the file says so
    network: Perceptron | None = None  # None for our own checkpoints, and for a part of a controller

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


def load_policy(path: Path | str) -> FilePolicy:
    """The policy in a checkpoint of ours, an .npz or a Stable-Baselines3 .zip; UserError if it is none."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a directory; name the policy's file in it")
    if not path.is_file():
        raise UserError(f"{path}: no such policy file")
    reader = {".npz": _from_npz, ".zip": _from_zip, ".safetensors": _from_checkpoint}.get(path.suffix)
    if reader is None:
        raise UserError(f"{path}: not a policy; use a checkpoint (.safetensors), arrays (.npz) or SB3's .zip")
    return reader(path)


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
    config = config_of(about)
    actor = ACTORS[kind.actor_kind](
        (), about.observation_dim, about.action_dim, config.hidden,
        activation=config.activation, layer_norm=config.actor_layer_norm,
    )  # fmt: skip
    prefix = "actor."
    tensors = {n.removeprefix(prefix): t for n, t in checkpoint.tensors.items() if n.startswith(prefix)}
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


def _from_npz(path: Path) -> FilePolicy:
    if not zipfile.is_zipfile(path):  # which NumPy would take for a pickle
        raise UserError(
            f"{path}: not a readable .npz file of plain arrays (it is damaged, or something else)"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            tensors = {name: torch.from_numpy(np.array(file[name], np.float32)) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not a readable .npz file of plain arrays ({error})") from None
    for mark, build in _LAYOUTS.items():
        if mark in tensors:
            return _build(path, build, tensors)
    known, held = ", ".join(_LAYOUTS), ", ".join(tensors)
    raise UserError(f"{path}: not the arrays of a policy (none of {known}); it holds {held}")


def _from_zip(path: Path) -> FilePolicy:
    """A SAC, TQC, TD3 or DDPG agent with an MLP policy and ReLU, as Stable-Baselines3 saves it."""
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("data"))
            tensors = torch.load(
                io.BytesIO(archive.read("policy.pth")), weights_only=True, map_location="cpu"
            )
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: not an agent that Stable-Baselines3 saved ({error})") from None
    actor = {
        name.removeprefix("actor."): tensor for name, tensor in tensors.items() if name.startswith("actor.")
    }
    activation = str((settings.get("policy_kwargs") or {}).get("activation_fn", "ReLU"))
    extractor = any(name.startswith("features_extractor.") for name in actor)
    if settings.get("use_sde") or extractor or "ReLU" not in activation or "mu.bias" in tensors:
        raise UserError(f"{path}: only MLP policies with ReLU and without gSDE are read")
    if "latent_pi.0.weight" in actor:
        return _build(path, _sb3_gaussian, actor)
    if "mu.0.weight" in actor:
        return _build(path, _sb3_deterministic, actor)
    raise UserError(f"{path}: its actor is of none of SAC, TQC, TD3 and DDPG, which are read")


def _build(
    path: Path, build: Callable[[Mapping[str, Tensor]], FilePolicy], tensors: Mapping[str, Tensor]
) -> FilePolicy:
    """The policy, tried once so that arrays that do not fit together are found at once."""
    try:
        policy = build(tensors)
        policy.act(torch.zeros(policy.observation_dim), torch.zeros(policy.action_dim))
    except (KeyError, RuntimeError, IndexError) as error:
        raise UserError(f"{path}: its arrays do not make a policy ({error})") from None
    return policy


def _antmaze_gen(tensors: Mapping[str, Tensor]) -> FilePolicy:
    """rlkit's TanhGaussianPolicy."""
    hidden, heads = _layers(tensors, "fc0", "fc1"), _layers(tensors, "last_fc", "last_fc_log_std")
    return _squashed(GOAL_REACHING, hidden, *heads)


def _rl_trained_agents(tensors: Mapping[str, Tensor]) -> FilePolicy:
    """SAC's or TQC's actor of DLR-RM/rl-trained-agents."""
    hidden, heads = _layers(tensors, "latent_pi_0", "latent_pi_2"), _layers(tensors, "mu", "log_std")
    return _squashed("rl_trained_agents", hidden, *heads)


def _sb3_gaussian(tensors: Mapping[str, Tensor]) -> FilePolicy:
    """SAC's or TQC's actor as Stable-Baselines3 names its tensors."""
    return _squashed(
        "SB3 agent", _sequential(tensors, "latent_pi"), *_layers(tensors, "mu", "log_std", dot=".")
    )


def _layers(tensors: Mapping[str, Tensor], *names: str, dot: str = "_") -> list[Layer]:
    return [(tensors[f"{name}{dot}weight"], tensors[f"{name}{dot}bias"]) for name in names]


def _sequential(tensors: Mapping[str, Tensor], prefix: str) -> list[Layer]:
    """Affine maps of an `nn.Sequential` called `prefix`, in order."""
    pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.weight")
    places = sorted(int(match[1]) for name in tensors if (match := pattern.fullmatch(name)))
    return _layers(tensors, *(f"{prefix}.{i}" for i in places), dot=".")


def _squashed(kind: str, hidden: Sequence[Layer], mean: Layer, log_std: Layer) -> FilePolicy:
    """tanh(mean + exp(log_std) noise) of a ReLU network with two heads."""

    def act(x: Tensor, noise: Tensor | None) -> Tensor:
        for layer in hidden:
            x = F.relu(F.linear(x, *layer))
        centre = F.linear(x, *mean)
        if noise is None:
            return torch.tanh(centre)
        return torch.tanh(centre + F.linear(x, *log_std).clamp(*LOG_STD_RANGE).exp() * noise)

    network = Perceptron(tuple(hidden), mean, log_std, "relu", squash=True)
    return FilePolicy(kind, hidden[0][0].shape[1], mean[0].shape[0], act, stochastic=True, network=network)


def _sb3_deterministic(tensors: Mapping[str, Tensor]) -> FilePolicy:
    """tanh of a ReLU network: TD3's or DDPG's actor."""
    *hidden, last = _sequential(tensors, "mu")

    def act(x: Tensor, noise: Tensor | None) -> Tensor:
        for layer in hidden:
            x = F.relu(F.linear(x, *layer))
        return torch.tanh(F.linear(x, *last))

    network = Perceptron(tuple(hidden), last, None, "relu", squash=True)
    return FilePolicy(
        "SB3 agent", hidden[0][0].shape[1], last[0].shape[0], act, stochastic=False, network=network
    )


def _dapg(tensors: Mapping[str, Tensor]) -> FilePolicy:
    """Gaussian tanh network with shifted and scaled inputs and outputs (Rajeswaran et al. 2018)."""
    t = tensors
    log_std = t["log_std"]

    def act(observation: Tensor, noise: Tensor | None) -> Tensor:
        x = (observation - t["in_shift"]) / (t["in_scale"] + 1e-8)
        x = torch.tanh(F.linear(x, t["W0"], t["b0"]))
        x = torch.tanh(F.linear(x, t["W1"], t["b1"]))
        mean = F.linear(x, t["W2"], t["b2"]) * t["out_scale"] + t["out_shift"]
        return mean if noise is None else mean + log_std.exp() * noise

    last = (t["W2"] * t["out_scale"][:, None], t["b2"] * t["out_scale"] + t["out_shift"])
    hidden = ((t["W0"], t["b0"]), (t["W1"], t["b1"]))
    network = Perceptron(
        hidden, last, None, "tanh", squash=False, shift=t["in_shift"], scale=t["in_scale"] + 1e-8
    )
    return FilePolicy("hand_dapg", t["W0"].shape[1], t["W2"].shape[0], act, stochastic=True, network=network)


# An array that only this layout has -> what reads it
_LAYOUTS: Mapping[str, Callable[[Mapping[str, Tensor]], FilePolicy]] = {
    "in_shift": _dapg,
    "last_fc_weight": _antmaze_gen,
    "mu_weight": _rl_trained_agents,
}
