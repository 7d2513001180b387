"""Nested subsets of a dataset: the 10 % lie in the 25 %, which lie in all."""

from __future__ import annotations

from math import ceil

import numpy as np

from smac.errors import UserError
from smac.streams import derive_seed


def subset_indices(episodes: int, fraction: float, seed: int) -> list[int]:
    """Which episodes a fraction holds, in order: a prefix of a permutation that the seed alone decides.

    So a smaller fraction is part of a larger one of the same seed. Rounded up, so that one episode is left.
    """
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"fraction is a share above 0 and up to 1, got {fraction}")
    if seed < 0:
        raise UserError(f"seed must not be negative, got {seed}")
    order = np.random.default_rng(derive_seed(seed, "subset")).permutation(episodes)
    return sorted(order[: ceil(fraction * episodes - 1e-9)].tolist())
