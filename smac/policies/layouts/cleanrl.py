"""CleanRL: what its scripts save with `torch.save`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from smac.errors import UserError
from smac.policies.contents import Contents, state_dict
from smac.policies.network import Affine, Network, Tensors
from smac.policies.readers import Reader
from smac.policies.stated import Stated


def _cleanrl_actor(contents: Contents) -> Mapping[str, Tensor]:
    """The first of the tuple that CleanRL saves, or the state dict."""
    value = contents.value
    return state_dict(value[0] if isinstance(value, tuple) and value else value)


def _cleanrl(contents: Contents, stated: Stated) -> Network:
    """SAC, TD3 and DDPG: tanh of the mean times action_scale plus action_bias, in the environment's units."""
    tensors = Tensors(contents.path, _cleanrl_actor(contents))
    head = "fc_mean" if "fc_mean.weight" in tensors else "fc_mu"
    *hidden, mean = _chained_by_name(tensors, "fc", head)
    actions = len(mean.bias)
    gain, offset = (_row(tensors, name, actions) for name in ("action_scale", "action_bias"))
    tensors.finish("fc_logstd.")
    return Network("CleanRL", tuple(hidden), mean, "relu", True, "env", gain=gain, offset=offset)


def _row(tensors: Tensors, name: str, actions: int) -> Tensor:
    """Numbers [act] that may be kept as [1, act], or as one."""
    held = tensors.left.get(name)
    row = tensors.take(name, *(held.shape if held is not None else [actions])).reshape(-1)
    if len(row) not in (1, actions):
        raise UserError(f"{tensors.path}: tensor {name} has {len(row)} numbers for {actions} actions")
    return row.expand(actions).clone()


def _chained_by_name(tensors: Tensors, stem: str, head: str) -> list[Affine]:
    """Layers stem1, stem2, ... as far as there are, then the head."""
    layers: list[Affine] = []
    while f"{stem}{len(layers) + 1}.weight" in tensors:
        layers.append(tensors.affine(f"{stem}{len(layers) + 1}", len(layers[-1].bias) if layers else None))
    return [*layers, tensors.affine(head, len(layers[-1].bias) if layers else None)]


def _cleanrl_ppo(contents: Contents, stated: Stated) -> Network:
    """PPO: the mean, cut off by the ClipAction around its environment."""
    tensors = Tensors(contents.path, contents.value)
    *hidden, mean = tensors.sequential("actor_mean")
    log_std = tensors.take("actor_logstd", 1, len(mean.bias))[0]
    tensors.finish("critic.")
    return Network("CleanRL PPO", tuple(hidden), mean, "tanh", False, "env", log_std, (-1e9, 1e9))


READERS = (
    Reader("CleanRL", lambda c: "action_scale" in _cleanrl_actor(c), _cleanrl),
    Reader(
        "CleanRL PPO", lambda c: "actor_logstd" in state_dict(c.value), _cleanrl_ppo, asks_normaliser=True
    ),
)
