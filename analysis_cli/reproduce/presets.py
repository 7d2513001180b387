"""How large a reproduction is: `smoke` shows that everything runs, `mini` is the smallest that means
something, `cpu` is for a few cores, `gpu` is more. What every task asks for is in `benchmarks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis_cli.reproduce.benchmarks import (
    DOOR,
    HOPPER,
    KITCHEN,
    MEDIUM,
    PARTS,
    PEN,
    RELOCATE,
    ROLLOUTS,
    SAC,
    UMAZE,
    USUAL,
    WALKER2D,
    Benchmark,
)
from figures import paper
from smac.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Preset(paper.Reproduction):
    """Sizes of everything. Names of algorithms are those of `smac pretrain`."""

    benchmarks: tuple[Benchmark, ...]
    plane: str
    """Options of the reward surfaces."""

    def training_seeds(self, benchmark: Benchmark) -> range:
        return range(benchmark.seed, benchmark.seed + self.seeds)

    def available(self, policies: bool) -> Preset:
        """This preset without the tasks whose data come from published policies, unless those are there."""
        return replace(self, benchmarks=tuple(b for b in self.benchmarks if policies or not b.needs_policies))

    def of_tasks(self, names: Sequence[str]) -> Preset:
        """This preset on some of its tasks, without names on all; UserError for one that it does not have."""
        known = {benchmark.label: benchmark for benchmark in self.benchmarks}
        for name in names:
            if name not in known:
                raise UserError(
                    f"--tasks {name}: is not in the preset {self.name}, which has {', '.join(known)}"
                )
        return replace(self, benchmarks=tuple(b for b in self.benchmarks if not names or b.label in names))


CPU = Preset(
    name="cpu",
    benchmarks=(UMAZE, MEDIUM, PEN, KITCHEN, HOPPER, DOOR, WALKER2D, RELOCATE),
    seeds=5,
    offline=("smac", "cal_ql", "iql", "td3_bc"),
    also=("smac-td3", "smac-td3_bc", "cal_ql-td3_bc", "iql-td3_bc", "td3_bc-td3_bc"),
    plane="--nx 21 --ny 21 --episodes 10",
)

_TINY = "--batch-size 16 --eval-episodes 2 --save-every 40"

SMOKE = Preset(
    name="smoke",
    benchmarks=(
        replace(
            UMAZE,
            collect="--wander 0.01 --episodes 20",
            weak="--wander 0.03 --episodes 20",
            sizes=(0.5, 1.0),
            pretrain=f"--hidden 8 8 --steps 40 --eval-every 40 --log-every 40 {_TINY}",
            finetune=f"--steps 40 --eval-every 20 --log-every 20 --trajectory-every 20 {_TINY}",
            only={"smac": "--diffusion-steps 20 --diffusion-hidden 8", "cal_ql": "--cql-actions 2"},
            line="--points 5 --episodes 2",
            trajectory="--episodes 2",
            projection="--episodes 1",
            variants={name: PARTS[name] for name in ("default", "paper form")},
            rates=("1e-3",),
            brief_pretrain="",
            brief_finetune="",
        ),
    ),
    seeds=2,
    offline=("smac", "cal_ql"),
    also=("smac-td3", "smac-td3_bc", "cal_ql-td3_bc"),
    plane="--nx 5 --ny 5 --episodes 1",
)

MINI = replace(
    SMOKE,
    name="mini",
    benchmarks=(
        replace(
            UMAZE,
            weak="--success-rate 0.7 --episodes 1000",
            sizes=(0.1, 1.0),
            projection="--episodes 20",
            pretrain="--steps 4000 --eval-every 2000 --log-every 500 --save-every 2000 --eval-episodes 40",
            finetune=f"{USUAL} --steps 2500 --eval-every 250 --eval-episodes 40 --log-every 250 "
            "--trajectory-every 500",
            variants={name: PARTS[name] for name in ("default", "kappa 0")},
            rates=("1e-5", "1e-3"),
            brief_pretrain="--steps 3000 --eval-every 3000",
            brief_finetune="--steps 1500",
        ),
    ),
    seeds=3,
    plane="--nx 11 --ny 11 --episodes 10",
)

_LARGE = (
    "--hidden 256 256 --steps 100000 --eval-every 10000 --log-every 1000 --save-every 20000 "
    "--eval-episodes 50"
)
_LONG = (
    f"{USUAL} --steps 50000 --eval-every 500 --late-eval-every 2000 --eval-episodes 50 --log-every 500 "
    "--trajectory-every 1000"
)


def _large(benchmark: Benchmark, **differs: Any) -> Benchmark:
    changes = {
        "pretrain": _LARGE,
        "finetune": _LONG,
        "only": {"smac": "--diffusion-steps 50000 --diffusion-hidden 256 256 256", **SAC},
        "line": "--points 41 --episodes 300",
        "trajectory": "--episodes 300",
        "sizes": (0.01, 0.03, 0.1, 0.3, 1.0) if benchmark.sizes else (),
        "variants": PARTS,
        "rates": ("1e-6", "1e-5", "3e-5", "1e-4", "3e-4", "1e-3"),
        "brief_pretrain": "",
        "brief_finetune": "",
    }
    return replace(benchmark, **(changes | differs))


GPU = replace(
    CPU,
    name="gpu",
    benchmarks=(
        _large(UMAZE, collect="--wander 0.01 --episodes 2000", weak="--success-rate 0.7 --episodes 10000"),
        _large(MEDIUM, collect="--wander 0.003 --episodes 2000"),
        _large(PEN, collect=f"{ROLLOUTS} 2000", weak=f"{ROLLOUTS} 10000"),
        _large(KITCHEN, line="--points 21 --episodes 50", trajectory="--episodes 50"),
        *(_large(benchmark) for benchmark in (HOPPER, DOOR, WALKER2D, RELOCATE)),
    ),
    seeds=10,
    plane="--nx 31 --ny 31 --episodes 20",
)

PRESETS = {preset.name: preset for preset in (SMOKE, MINI, CPU, GPU)}
