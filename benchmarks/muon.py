"""What a step of Muon costs beside a step of `torch.optim.Adam`, on a critic ensemble.
All contestants step on copies of the same critics with the same gradients. In every repeat each of them runs
in turn; medians over the turns are reported, and times over that of Adam, which travel better between
machines than milliseconds do.

adam            torch.optim.Adam(fused=True) on all parameters, what the agents use
muon fp32/bf16  smac.optim.MuonWithAdam, Newton-Schulz in that precision
torch muon      torch.optim.Muon on every member's matrix in a loop (bfloat16), and the same Adam on the rest
gradient        forward and backward pass of the critics at batch 256 per seed, for comparison
"""

from __future__ import annotations

from itertools import product

import torch
from torch import nn

from benchmarks.tables import Options, Table, times
from benchmarks.timing import Contestant, Run, clock, medians, spread, turns
from smac.nets import CriticEnsemble, initialise
from smac.optim import MuonWithAdam, split_parameters
from smac.streams import Streams

OBSERVATION_DIM, ACTION_DIM, MEMBERS, BATCH = 45, 24, 2, 256  # AdroitHandPen's
WIDTHS, SEEDS = (64, 256), (1, 5)


def critics(seeds: int, width: int, device: str) -> CriticEnsemble:
    """Two hidden layers, so one matrix per member for Muon; gradients are filled in."""
    critic = CriticEnsemble((seeds,), MEMBERS, OBSERVATION_DIM, ACTION_DIM, (width, width), layer_norm=True)
    initialise(critic, Streams(range(seeds), "init").generators)
    gradient(critic.to(device), seeds, device)()
    return critic


def gradient(critic: CriticEnsemble, seeds: int, device: str) -> Run:
    draws = Streams(range(seeds), "data", device)
    observations, actions = draws.normal(BATCH, OBSERVATION_DIM), draws.normal(BATCH, ACTION_DIM)

    def run() -> None:
        critic.zero_grad(set_to_none=True)
        (critic(observations, actions) ** 2).mean().backward()

    return run


def muon_in_a_loop(critic: CriticEnsemble) -> Run:
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


def contestants(seeds: int, width: int, device: str) -> dict[str, Run]:
    def muon(dtype: torch.dtype) -> Run:
        return MuonWithAdam(*split_parameters(critics(seeds, width, device)), lr=3e-4, ns_dtype=dtype).step

    return {
        "adam": torch.optim.Adam(critics(seeds, width, device).parameters(), lr=3e-4, fused=True).step,
        "muon fp32": muon(torch.float32),
        "muon bf16": muon(torch.bfloat16),
        "torch muon": muon_in_a_loop(critics(seeds, width, device)),
        "gradient": gradient(critics(seeds, width, device), seeds, device),
    }


def run(options: Options) -> Table:
    rows, worst = [], 0.0
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        for seeds, width in product(SEEDS, WIDTHS):
            found = {name: Contestant(one) for name, one in contestants(seeds, width, device).items()}
            values = turns(found, options.repeats, clock(device, 1), options.seconds / 4)
            over = {name: spread([turn[name] / turn["adam"] for turn in values]) for name in found}
            worst = max(worst, over["muon fp32"]["median"] / over["torch muon"]["median"])
            rows += [
                (device, seeds, width, name, times(over[name]), f"{1e3 * t:.3f}")
                for name, t in medians(values).items()
            ]
            print(rows[-len(found) :], flush=True)
    return Table(
        "A step of Muon beside one of Adam",
        f"Time over that of `torch.optim.Adam(fused=True)` in the same turn; medians of {options.repeats} "
        "turns (range); processor time, one thread; on CUDA wall time. Critics of [seeds x 2 members] with "
        "two hidden layers.",
        ("device", "seeds", "width", "step", "over Adam", "milliseconds"),
        rows,
        f"Ours, in float32, takes at most {worst:.2f} times as long as `torch.optim.Muon` member by member.",
    )
