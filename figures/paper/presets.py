"""How large a reproduction is: `smoke` shows that everything runs, `cpu` is evidence on mazes, `gpu` on more.

Each preset has one configuration per family of tasks; methods differ in what `only` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Benchmark:
    """A task with the data and the options that every method gets."""

    task: str
    collect: str
    """Options of `smac data collect`."""
    weak: str
    """The same for the weaker policy of figure 2."""
    pretrain: str
    finetune: str
    only: Mapping[str, str]
    """Algorithm -> its own options."""

    @property
    def label(self) -> str:
        return self.task.partition("@")[0]


@dataclass(frozen=True)
class Preset:
    """Sizes of everything. Names of algorithms are those of `smac pretrain`."""

    name: str
    benchmarks: tuple[Benchmark, ...]
    seeds: int
    offline: tuple[str, ...]
    online: tuple[str, ...]
    line: str
    """Options of the lines between checkpoints."""
    trajectory: str
    """Options of the returns along the path that fine-tuning took."""
    plane: str
    """Options of the reward surfaces."""
    sizes: tuple[float, ...]
    """Nested shares of the weaker policy's data, smallest first."""
    variants: Mapping[str, str]
    """Name of an ablation -> SMAC's options in it."""


VARIANTS = {
    "default": "",
    "kappa 0": "--kappa 0",
    "kappa 0.01": "--kappa 0.01",
    "kappa 1": "--kappa 1",
    "paper form": "--form paper",
    "matched at data": "--match-at data",
    "matched at policy": "--match-at policy",
    "no outcome": "--condition none",
    "Muon": "--optimiser muon --actor-lr 3e-4 --critic-lr 3e-4",
}

_MAZE = Benchmark(
    task="pointmaze-umaze",
    collect="--wander 0.01 --episodes 500",
    weak="--success-rate 0.7 --episodes 500",
    pretrain="--hidden 64 64 --actor-lr 1e-3 --steps 12000 --eval-every 3000 --log-every 1000 "
    "--save-every 3000 --eval-episodes 40",
    finetune="--steps 5000 --eval-every 250 --eval-episodes 40 --log-every 250 --trajectory-every 500",
    only={
        "smac": "--critic-lr 1e-3 --target-rate 0.01 --temperature-lr 1e-3 --initial-temperature 0.1 "
        "--diffusion-steps 4000 --diffusion-hidden 64 64",
        "cal_ql": "--critic-lr 1e-3 --target-rate 0.01 --temperature-lr 1e-3 --initial-temperature 0.1 "
        "--cql-actions 4 --cql-alpha 0.3 --steps 6000 --eval-every 1500",
        "iql": "--critic-lr 1e-3 --target-rate 0.01 --value-lr 1e-3",
        "td3_bc": "--critic-lr 1e-3 --target-rate 0.01",
    },
)

CPU = Preset(
    name="cpu",
    benchmarks=(_MAZE,),
    seeds=5,
    offline=("smac", "cal_ql", "iql", "td3_bc"),
    online=("sac", "td3", "td3_bc"),
    line="--points 21 --episodes 60",
    trajectory="--episodes 60",
    plane="--nx 21 --ny 21 --episodes 10",
    sizes=(0.01, 0.1, 1.0),
    variants=VARIANTS,
)

_SMOKE = "--batch-size 16 --eval-episodes 2 --save-every 40"

SMOKE = Preset(
    name="smoke",
    benchmarks=(
        replace(
            _MAZE,
            collect="--wander 0.01 --episodes 20",
            weak="--wander 0.03 --episodes 20",
            pretrain=f"--hidden 8 8 --steps 40 --eval-every 40 --log-every 40 {_SMOKE}",
            finetune=f"--steps 40 --eval-every 20 --log-every 20 --trajectory-every 20 {_SMOKE}",
            only={"smac": "--diffusion-steps 20 --diffusion-hidden 8", "cal_ql": "--cql-actions 2"},
        ),
    ),
    seeds=2,
    offline=("smac", "cal_ql"),
    online=("sac",),
    line="--points 5 --episodes 2",
    trajectory="--episodes 2",
    plane="--nx 5 --ny 5 --episodes 1",
    sizes=(0.5, 1.0),
    variants={name: VARIANTS[name] for name in ("default", "paper form")},
)

_LARGE = "--steps 100000 --eval-every 10000 --log-every 1000 --save-every 20000 --eval-episodes 50"
_ONLINE = "--steps 50000 --eval-every 500 --eval-episodes 50 --log-every 500 --trajectory-every 1000"


def _large(task: str, collect: str, weak: str) -> Benchmark:
    """The algorithms' own defaults for the task, at full length."""
    only = {"smac": "--diffusion-steps 50000"}
    return Benchmark(task, collect, weak, _LARGE, _ONLINE, only)


GPU = Preset(
    name="gpu",
    benchmarks=(
        _large("pointmaze-umaze", "--wander 0.01 --episodes 2000", "--success-rate 0.7 --episodes 10000"),
        _large("pointmaze-medium", "--wander 0.003 --episodes 2000", "--success-rate 0.7 --episodes 10000"),
    ),
    seeds=10,
    offline=("smac", "cal_ql", "iql", "td3_bc"),
    online=("sac", "td3", "td3_bc"),
    line="--points 41 --episodes 200",
    trajectory="--episodes 200",
    plane="--nx 31 --ny 31 --episodes 20",
    sizes=(0.01, 0.03, 0.1, 0.3, 1.0),
    variants=VARIANTS,
)

PRESETS = {preset.name: preset for preset in (SMOKE, CPU, GPU)}
