"""What a step of Muon costs beside a step of `torch.optim.Adam`, on a critic ensemble.

    python benchmarks/muon.py

All contestants step on copies of the same critics with the same gradients. In every repeat each of them runs
in turn, so that a disturbance of the machine meets all; medians over the repeats are reported, and ratios to
Adam, which travel better between machines than milliseconds do.

adam            torch.optim.Adam(fused=True) on all parameters, what the agents use
muon fp32/bf16  smac.optim.MuonWithAdam, Newton-Schulz in that precision
torch muon      torch.optim.Muon on every member's matrix in a loop (bfloat16), and the same Adam on the rest
gradient        forward and backward pass of the critics at batch 256 per seed, for comparison
"""

from __future__ import annotations

import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import nn

from smac.files import write_json
from smac.nets import CriticEnsemble, initialise
from smac.optim import MuonWithAdam, split_parameters
from smac.provenance import versions
from smac.streams import Streams

OBSERVATION_DIM, ACTION_DIM, MEMBERS, BATCH = 45, 24, 2, 256  # AdroitHandPen's
SECONDS_PER_TURN = 0.05


def critics(seeds: int, width: int, device: str) -> CriticEnsemble:
    """Two hidden layers, so one matrix per member for Muon; gradients are filled in."""
    critic = CriticEnsemble((seeds,), MEMBERS, OBSERVATION_DIM, ACTION_DIM, (width, width), layer_norm=True)
    initialise(critic, Streams(range(seeds), "init").generators)
    gradient(critic.to(device), seeds, device)()
    return critic


def gradient(critic: CriticEnsemble, seeds: int, device: str) -> Callable[[], None]:
    draws = Streams(range(seeds), "data", device)
    observations, actions = draws.normal(BATCH, OBSERVATION_DIM), draws.normal(BATCH, ACTION_DIM)

    def run() -> None:
        critic.zero_grad(set_to_none=True)
        (critic(observations, actions) ** 2).mean().backward()

    return run


def muon_in_a_loop(critic: CriticEnsemble) -> Callable[[], None]:
    matrices, rest = split_parameters(critic)
    members = []
    for stacked in matrices:
        assert stacked.grad is not None
        for matrix, grad in zip(stacked.detach().flatten(0, 1), stacked.grad.flatten(0, 1), strict=True):
            member = nn.Parameter(matrix.clone())
            member.grad = grad.clone()
            members.append(member)
    muon = torch.optim.Muon(members, lr=3e-4, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.Adam(rest, lr=3e-4, fused=True)

    def run() -> None:
        muon.step()
        adam.step()

    return run


def contestants(seeds: int, width: int, device: str) -> dict[str, Callable[[], None]]:
    def muon(dtype: torch.dtype) -> Callable[[], None]:
        return MuonWithAdam(*split_parameters(critics(seeds, width, device)), lr=3e-4, ns_dtype=dtype).step

    return {
        "adam": torch.optim.Adam(critics(seeds, width, device).parameters(), lr=3e-4, fused=True).step,
        "muon fp32": muon(torch.float32),
        "muon bf16": muon(torch.bfloat16),
        "torch muon": muon_in_a_loop(critics(seeds, width, device)),
        "gradient": gradient(critics(seeds, width, device), seeds, device),
    }


def seconds(run: Callable[[], object], times: int, device: str) -> float:
    """Mean wall time of one call."""
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    synchronise()
    start = time.perf_counter()
    for _ in range(times):
        run()
    synchronise()
    return (time.perf_counter() - start) / times


def measure(seeds: int, width: int, device: str, repeats: int) -> dict[str, Any]:
    """Median milliseconds of every contestant, and its median ratio to Adam in the same repeat."""
    runs = contestants(seeds, width, device)
    times = {}
    for name, run in runs.items():
        seconds(run, 3, device)  # warm up
        times[name] = max(1, int(SECONDS_PER_TURN / seconds(run, 3, device)))
    turns = [{name: seconds(run, times[name], device) for name, run in runs.items()} for _ in range(repeats)]
    ratios = {name: [t[name] / t["adam"] for t in turns] for name in runs}
    return {
        "device": device,
        "seeds": seeds,
        "width": width,
        "milliseconds": {name: 1e3 * statistics.median(t[name] for t in turns) for name in runs},
        "ratio_to_adam": {name: statistics.median(values) for name, values in ratios.items()},
        "ratio_range": {name: [min(values), max(values)] for name, values in ratios.items()},
    }


def line(row: dict[str, Any]) -> str:
    cells = [
        f"{row['milliseconds'][name]:10.3f} {row['ratio_to_adam'][name]:6.1f}x"
        for name in row["milliseconds"]
    ]
    return f"{row['device']:5} {row['seeds']:5} {row['width']:5}  " + "".join(cells)


def main(repeats: int = 9, threads: int = 1, out: Path = Path("results/benchmarks/muon.json")) -> None:
    """Time optimiser steps and write the table.

    Args:
        repeats: turns of every contestant.
        threads: threads of torch on the CPU.
        out: where the numbers go.
    """
    torch.set_num_threads(threads)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = []
    for device, seeds, width in product(devices, (1, 5), (64, 128, 256)):
        rows.append(measure(seeds, width, device, repeats))
        if len(rows) == 1:
            print(f"{'':5} seeds width  " + "".join(f"{name:>18}" for name in rows[0]["milliseconds"]))
        print(line(rows[-1]), flush=True)
    write_json(
        out,
        {
            "command": shlex.join(["python", *sys.argv]),
            "what": "milliseconds per call, critics of [seeds x 2 members] with two hidden layers",
            "versions": versions(),
            "machine": platform.machine(),
            "threads": threads,
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "repeats": repeats,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    tyro.cli(main)
