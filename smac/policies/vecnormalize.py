"""The numbers of a Stable-Baselines3 `VecNormalize`, from its pickle and without its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from smac.errors import UserError
from smac.policies.contents import Record, refusing, unpickle
from smac.policies.network import Normalisation

PACKAGES = ("stable_baselines3", "gymnasium", "gym", "numpy", "builtins", "collections", "functools")


def read_vecnormalize(path: Path, observations: int) -> Normalisation:
    """What it does to observations; UserError if it is no such file, or not for so many of them."""
    if not path.is_file():
        raise UserError(f"{path}: no such file of a VecNormalize")
    with refusing(path, "a VecNormalize that Stable-Baselines3 saved"):
        state = unpickle(path.read_bytes(), path, PACKAGES).state
        if not state["norm_obs"]:
            return Normalisation(torch.zeros(observations), torch.ones(observations))
        statistics = state["obs_rms"]
        if not isinstance(statistics, Record):
            raise ValueError("its observations are no vectors")
        mean, var = (_numbers(statistics.state[name]) for name in ("mean", "var"))
        epsilon, clip = float(state["epsilon"]), float(state["clip_obs"])
        std = np.sqrt(var + epsilon)
    if mean.shape != (observations,) or std.shape != (observations,):
        raise UserError(f"{path}: normalises {mean.shape} observations, but the policy has {observations}")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all() and clip > 0):
        raise UserError(f"{path}: its mean and variance must be finite, the variance and clip_obs above 0")
    return Normalisation(torch.from_numpy(mean).float(), torch.from_numpy(std).float(), clip)


def _numbers(array: Any) -> np.ndarray:
    return np.asarray(array.value, np.float64)
