"""Not-a-number ends a training at the first such value, named, before anything that holds it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from smac.agents.base import Agent
from smac.errors import UserError

LARGEST = float(np.finfo(np.float32).max)  # networks and buffers hold float32
GPU_INTERVAL = 100  # steps between two looks at the losses on a GPU, where each look waits for the device
ADVICE = "training has ended; the state saved last is as it was"


def check_given(step: int, seed: int, field: str, value: float | np.ndarray) -> None:
    """UserError if an environment gave a value that is not finite, or that float32 cannot hold."""
    values = np.asarray(value, dtype=np.float64)
    bad = ~(np.abs(values) <= LARGEST)  # NaN is not below anything
    if not bad.any():
        return
    number = values[bad][0]
    entry = f" in entry {int(np.flatnonzero(bad.reshape(-1))[0])}" if values.ndim else ""
    what = f"{number:.3g}, which overflows float32" if np.isfinite(number) else f"{number}"
    raise UserError(f"step {step}, seed {seed}: the {field} is {what}{entry}; {ADVICE}")


def check_losses(step: int, seeds: Sequence[int], sums: Mapping[str, Tensor]) -> None:
    """UserError naming the first metric whose sum [seeds] since the last line is not finite.

    A sum that once met NaN stays NaN, so looking now and then misses nothing: on the CPU at every step, on a
    GPU every GPU_INTERVAL steps (the recorder also looks before it writes anything).
    """
    if not sums or _all_finite(list(sums.values())):
        return
    for name, total in sums.items():
        for seed, value in zip(seeds, total.tolist(), strict=True):
            if not np.isfinite(value):
                late = "" if total.device.type == "cpu" else f" or at most {GPU_INTERVAL} steps before"
                raise UserError(f"step {step}{late}, seed {seed}: {name} is {value}; {ADVICE}")


def losses_due(step: int, device: torch.device) -> bool:
    """Whether `check_losses` is worth its price after this step."""
    return device.type == "cpu" or step % GPU_INTERVAL == 0


def check_agent(step: int, agent: Agent) -> None:
    """UserError naming the first tensor of an agent's checkpoint that is not finite."""
    for k, seed in enumerate(agent.seeds):
        tensors = {name: x for name, x in agent.tensors(k).items() if x.is_floating_point()}
        if _all_finite([x.abs().max() for x in tensors.values() if x.numel()]):
            continue
        name = next(name for name, x in tensors.items() if not torch.isfinite(x).all())
        raise UserError(f"step {step}, seed {seed}: the parameter {name} is not finite; {ADVICE}")


def _all_finite(values: Sequence[Tensor]) -> bool:
    """Of small tensors of one shape, with a single wait for the device."""
    return not values or bool(torch.isfinite(torch.stack(list(values))).all())
