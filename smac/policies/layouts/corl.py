"""CORL: the files of its trainers, with the actor's state dict inside."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from smac.errors import UserError
from smac.policies.contents import Contents, state_dict
from smac.policies.network import Affine, Network, Tensors
from smac.policies.readers import Reader
from smac.policies.stated import Stated


def _corl_actor(contents: Contents) -> Mapping[str, Tensor]:
    value = contents.value
    if contents.kind != "torch" or not isinstance(value, Mapping):
        return {}
    return state_dict(value.get("actor"))


def _corl(contents: Contents, stated: Stated) -> Network:
    """TD3+BC, IQL, CQL, Cal-QL, SAC-N, EDAC, AWAC: ReLU, and actions up to max_action of a symmetric box."""
    tensors = Tensors(contents.path, _corl_actor(contents))
    squash, unit = True, "unit"
    if "trunk.0.weight" in tensors:  # SAC-N, EDAC
        hidden = tensors.sequential("trunk")
        mean = tensors.affine("mu", len(hidden[-1].bias))
        tensors.affine("log_sigma", len(hidden[-1].bias))
    elif "base_network.network.0.weight" in tensors:  # CQL, Cal-QL: 2A heads
        *hidden, heads = tensors.sequential("base_network.network")
        actions, odd = divmod(len(heads.bias), 2)
        if odd:
            raise UserError(f"{contents.path}: {len(heads.bias)} heads are not means and log_stds")
        mean = Affine(heads.weight[:actions].clone(), heads.bias[:actions].clone())
        for name in ("log_std_multiplier", "log_std_offset"):
            tensors.take(f"{name}.constant", 1)
    elif "_mlp.0.weight" in tensors:  # AWAC: no tanh, cut off at the limits
        *hidden, mean = tensors.sequential("_mlp")
        tensors.take("_log_std", len(mean.bias))
        squash, unit = False, "env"
    else:  # TD3+BC `net`; IQL `net.net`, with log_std if Gaussian
        *hidden, mean = tensors.sequential("net" if "net.0.weight" in tensors else "net.net")
        if "log_std" in tensors:
            tensors.take("log_std", len(mean.bias))
    tensors.finish()
    return Network("CORL", tuple(hidden), mean, "relu", squash, "env" if unit == "env" else "unit")


READERS = (Reader("CORL", lambda c: bool(_corl_actor(c)), _corl, asks_normaliser=True),)
