"""Random numbers, one independent stream per training seed and purpose.

Seed k draws the same numbers whether it trains alone or in a stack, and two purposes (batches, policy
noise, ...) never share a stream, so algorithms that draw more or less noise still see the same batches.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from smac.errors import UserError


def derive_seed(seed: int, *keys: int | str) -> int:
    """A 63-bit seed for the stream `keys` of `seed`; stable across processes and versions of Python.

    UserError for a negative seed.
    """
    if seed < 0:
        raise UserError(f"--seed must be at least 0, got {seed}")
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    low, high = np.random.SeedSequence([seed, *words]).generate_state(2, np.uint32)
    return (int(high) << 32 | int(low)) & (2**63 - 1)


class Streams:
    """A stack of generators: every draw has shape [seeds, *shape], row k from the stream of seed k."""

    def __init__(self, seeds: Sequence[int], purpose: str, device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(seeds)
        self.device = torch.device(device)
        self.generators = [
            torch.Generator(self.device).manual_seed(derive_seed(seed, purpose)) for seed in self.seeds
        ]

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(shape, generator=g, device=self.device) for g in self.generators])

    def uniform(self, *shape: int) -> Tensor:
        return torch.stack([torch.rand(shape, generator=g, device=self.device) for g in self.generators])

    def integers(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high)."""
        return torch.stack(
            [torch.randint(high, shape, generator=g, device=self.device) for g in self.generators]
        )
