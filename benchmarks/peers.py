"""One update of other libraries' SAC, from their source as it was fetched; nothing of it is kept here."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from benchmarks.timing import Run
from smac.errors import UserError

CLEANRL, CORL = Path("cleanrl/sac_continuous_action.py"), Path("algorithms/offline/sac_n.py")
RATE = 3e-4


def source(folder: Path, file: Path, option: str) -> Path:
    """The file in the folder; UserError where it is not."""
    if not (folder / file).is_file():
        raise UserError(f"{option} {folder}: has no {file}; name the folder of the source as it is fetched")
    return folder / file


class _Absent(types.ModuleType):
    """Stands for a module that the source imports and an update does not use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__new__": lambda *_, **__: lambda function: function})  # also as a decorator


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Let these modules stand for themselves, whether they are installed or not."""
    before = {name: sys.modules.get(name) for name in names}
    sys.modules |= {name: _Absent(name) for name in names}
    try:
        yield
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


def _module(path: Path, *absent: str) -> Any:
    spec = spec_from_file_location(f"peer_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)  # where its dataclasses look for their names
    with _without(*absent):
        spec.loader.exec_module(module)
    return module


def _filled(action_dim: int, observation_dim: int, transitions: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(transitions, observation_dim)).astype(np.float32),
        "next_observations": rng.normal(size=(transitions, observation_dim)).astype(np.float32),
        "actions": rng.uniform(-1, 1, size=(transitions, action_dim)).astype(np.float32),
        "rewards": np.full(transitions, -1, np.float32),
        "terminals": np.zeros(transitions, np.float32),
    }


# ---- CleanRL ---------------------------------------------------------------------------------------------


def cleanrl(folder: Path, env: gymnasium.Env, width: int, batch: int, transitions: int) -> Run:
    """The block of its script that updates, which is no function there; the actor has its turn every time.

    Logging to TensorBoard, every 100th step of the script, is left out.
    """
    path = source(folder, CLEANRL, "--cleanrl")
    sys.path.insert(0, str(folder))
    try:
        module = _module(path, "torch.utils.tensorboard")
    finally:
        sys.path.remove(str(folder))
    spaces = types.SimpleNamespace(
        single_observation_space=env.observation_space, single_action_space=env.action_space
    )
    found = vars(module)
    names = ("qf1", "qf2", "qf1_target", "qf2_target")
    networks = {name: _resized(module.SoftQNetwork(spaces), width) for name in names}
    found |= networks | {"actor": _resized(module.Actor(spaces), width)}
    args = found["args"] = module.Args()
    args.batch_size, args.policy_frequency, args.learning_starts = batch, 1, 0
    device = found["device"] = torch.device("cpu")
    critics = [*networks["qf1"].parameters(), *networks["qf2"].parameters()]
    found["q_optimizer"] = torch.optim.Adam(critics, lr=RATE)
    found["actor_optimizer"] = torch.optim.Adam(found["actor"].parameters(), lr=RATE)
    found["log_alpha"] = torch.zeros(1, requires_grad=True)
    found["a_optimizer"] = torch.optim.Adam([found["log_alpha"]], lr=RATE)
    shape = env.action_space.shape
    assert shape is not None
    found |= {"alpha": 1.0, "target_entropy": -float(np.prod(shape)), "global_step": 1}
    buffer = found["rb"] = module.ReplayBuffer(
        transitions,
        env.observation_space,
        env.action_space,
        device,
        n_envs=1,
        handle_timeout_termination=False,
    )
    data = _filled(shape[0], int(np.prod(env.observation_space.shape)), transitions)
    for k in range(transitions):
        buffer.add(
            data["observations"][k : k + 1], data["next_observations"][k : k + 1], data["actions"][k : k + 1],
            data["rewards"][k : k + 1], data["terminals"][k : k + 1], [{}],
        )  # fmt: skip
    block = compile(_update_block(path), str(path), "exec")
    return lambda: exec(block, found)


def _update_block(path: Path) -> ast.Module:
    """`if global_step > args.learning_starts: ...` of the script's loop."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "global_step > args.learning_starts":
            return ast.Module([node], [])
    raise UserError(f"{path}: has no block that updates, as it had in 2025; is it of another version?")


def _resized(network: nn.Module, width: int) -> nn.Module:
    """The same layers with hidden ones of another width, which the script writes as a number."""
    for name, layer in network.named_children():
        if isinstance(layer, nn.Linear):
            inputs = width if layer.in_features == 256 else layer.in_features
            outputs = width if layer.out_features == 256 else layer.out_features
            setattr(network, name, nn.Linear(inputs, outputs))
    return network


# ---- CORL ------------------------------------------------------------------------------------------------


def corl(folder: Path, env: gymnasium.Env, width: int, batch: int, transitions: int) -> Run:
    """`SACN.update` with two critics, of two hidden layers: its third is taken out."""
    module = _module(source(folder, CORL, "--corl"), "d4rl", "gym", "pyrallis", "tqdm", "wandb")
    assert env.observation_space.shape is not None
    assert env.action_space.shape is not None
    (observation_dim,), (action_dim,) = env.observation_space.shape, env.action_space.shape
    actor = module.Actor(observation_dim, action_dim, width)
    critic = module.VectorizedCritic(observation_dim, action_dim, width, 2)
    actor.trunk, critic.critic = actor.trunk[:4], nn.Sequential(*critic.critic[:4], critic.critic[6])
    trainer = module.SACN(
        actor, torch.optim.Adam(actor.parameters(), lr=RATE), critic,
        torch.optim.Adam(critic.parameters(), lr=RATE), alpha_learning_rate=RATE,
    )  # fmt: skip
    buffer = module.ReplayBuffer(observation_dim, action_dim, transitions)
    data: Mapping[str, np.ndarray] = _filled(action_dim, observation_dim, transitions)
    buffer.load_d4rl_dataset(data)
    return lambda: trainer.update(buffer.sample(batch))
