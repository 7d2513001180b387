"""How large a reproduction is: `smoke` shows that everything runs, `mini` is the smallest that means
something, `cpu` is for a few cores, `gpu` is more.

A method has one configuration per family of tasks, that of `smac tasks show`; what a benchmark adds is
length, and width where the family's own is too slow for the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from figures import paper
from smac.agents.smac import SMACConfig

POLICIES = "POLICIES"  # stands in an option for the folder of published policies


@dataclass(frozen=True, kw_only=True)
class Benchmark(paper.Benchmark):
    """A task with the data and the options that every method gets."""

    collect: str
    """Options of `smac data collect`."""
    pretrain: str
    finetune: str
    weak: str = ""
    """Options of `smac data collect` for the weaker policy of figure 2."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Algorithm -> its own options."""
    line: str = ""
    """Options of the lines between checkpoints."""
    trajectory: str = ""
    """Options of the returns along the path that fine-tuning took."""
    projection: str = ""
    """Options of the map of all fine-tuning runs."""
    brief_pretrain: str = ""
    """What `ablation`, `fig2` and `switch` add to these options, so as to be shorter."""
    brief_finetune: str = ""

    def brief(self) -> Benchmark:
        """The same with the shorter phases of figures that compare many settings."""
        return replace(
            self, pretrain=f"{self.pretrain} {self.brief_pretrain}".strip(),
            finetune=f"{self.finetune} {self.brief_finetune}".strip(),
        )  # fmt: skip

    @property
    def needs_policies(self) -> bool:
        return POLICIES in self.collect


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


def variant(options: str) -> paper.Variant:
    """SMAC with these options of `smac pretrain`."""
    words = options.split()
    if words and (words[0] != "--kappa" or len(words) != 2):
        return paper.Variant(options, None)
    return paper.Variant(options, float(words[1]) if words else SMACConfig.kappa)


PARTS = {
    "default": variant(""),
    "kappa 0": variant("--kappa 0"),
    "kappa 0.01": variant("--kappa 0.01"),
    "kappa 1": variant("--kappa 1"),
    "paper form": variant("--form paper"),
    "matched at data": variant("--match-at data"),
    "matched at policy": variant("--match-at policy"),
    "no outcome": variant("--condition none"),
    "Muon": variant("--optimiser muon"),
}
# SAC's usual rates after the switch, the same for every method; its temperature's rate goes to SAC alone
_USUAL = "--actor-lr 3e-4 --critic-lr 3e-4 --target-rate 0.005"
_SAC = {"sac": "--temperature-lr 3e-4"}
_UMAZE = Benchmark(
    task="pointmaze-umaze",
    collect="--wander 0.01 --episodes 500",
    weak="--success-rate 0.7 --episodes 2000",
    sizes=(0.01, 0.1, 1.0),
    pretrain="--steps 12000 --eval-every 3000 --log-every 1000 --save-every 3000 --eval-episodes 40",
    finetune=f"{_USUAL} --steps 5000 --eval-every 250 --eval-episodes 40 --log-every 250 "
    "--trajectory-every 500",
    only=_SAC,
    seed=5,  # the defaults were chosen on its seeds 0 to 4, see results/smac-study.md
    line="--points 11 --episodes 300",
    trajectory="--episodes 300",
    projection="--episodes 20 --every 2",
    variants={
        name: PARTS[name]
        for name in ("default", "kappa 0", "kappa 1", "paper form", "matched at data", "Muon")
    },
    rates=("1e-5", "1e-4", "1e-3"),
    brief_pretrain="--steps 8000 --eval-every 4000",
    brief_finetune="--steps 3000",
)
_MEDIUM = replace(
    _UMAZE,
    task="pointmaze-medium",
    collect="--wander 0.003 --episodes 500",
    weak="",
    sizes=(),
    seed=0,
    line="--points 11 --episodes 60",
    trajectory="--episodes 60",
    variants={},
    rates=(),
    brief_pretrain="",
)
_ROLLOUTS = f"--policy {POLICIES}/hand_dapg/policy_pen.npz --stochastic --episodes"
_PEN = Benchmark(
    task="pen-binary",
    collect=f"{_ROLLOUTS} 400",
    weak=f"{_ROLLOUTS} 2000",
    sizes=(0.01, 0.1, 1.0),
    pretrain="--hidden 128 128 --critic-hidden 128 128 --actor-lr 1e-3 --critic-lr 1e-3 --target-rate 0.01 "
    "--steps 6000 --eval-every 3000 --log-every 1000 --save-every 3000 --eval-episodes 200",
    finetune=f"{_USUAL} --steps 3000 --eval-every 500 --eval-episodes 200 "
    "--log-every 250 --trajectory-every 500",
    only={
        "smac": "--temperature-lr 1e-3 --diffusion-steps 6000 --diffusion-hidden 128 128",
        "iql": "--value-lr 1e-3",
        "cal_ql": "--temperature-lr 1e-3 --cql-actions 4",
        **_SAC,
    },
    baseline="iql",  # of three sizes Cal-QL takes too long
    seed=5,  # its actor's rate was chosen on seeds 0 to 4
    line="--points 11 --episodes 60",
    trajectory="--episodes 60",
    projection="--episodes 20",
    brief_finetune="--eval-episodes 100",
)

CPU = Preset(
    name="cpu",
    benchmarks=(_UMAZE, _MEDIUM, _PEN),
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
            _UMAZE,
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

MINI = Preset(
    name="mini",
    benchmarks=(
        replace(
            _UMAZE,
            weak="--success-rate 0.7 --episodes 1000",
            sizes=(0.1, 1.0),
            projection="--episodes 20",
            pretrain="--steps 4000 --eval-every 2000 --log-every 500 --save-every 2000 --eval-episodes 40",
            finetune=f"{_USUAL} --steps 2500 --eval-every 250 --eval-episodes 40 --log-every 250 "
            "--trajectory-every 500",
            variants={name: PARTS[name] for name in ("default", "kappa 0")},
            rates=("1e-5", "1e-3"),
            brief_pretrain="--steps 3000 --eval-every 3000",
            brief_finetune="--steps 1500",
        ),
    ),
    seeds=3,
    offline=("smac", "cal_ql"),
    also=("smac-td3", "smac-td3_bc", "cal_ql-td3_bc"),
    plane="--nx 11 --ny 11 --episodes 10",
)

_LARGE = (
    "--hidden 256 256 --steps 100000 --eval-every 10000 --log-every 1000 --save-every 20000 "
    "--eval-episodes 50"
)
_LONG = (
    f"{_USUAL} --steps 50000 --eval-every 500 --late-eval-every 2000 --eval-episodes 50 --log-every 500 "
    "--trajectory-every 1000"
)


def _large(benchmark: Benchmark, **differs: Any) -> Benchmark:
    return replace(
        benchmark,
        pretrain=_LARGE,
        finetune=_LONG,
        only={"smac": "--diffusion-steps 50000 --diffusion-hidden 256 256 256", **_SAC},
        line="--points 41 --episodes 300",
        trajectory="--episodes 300",
        sizes=(0.01, 0.03, 0.1, 0.3, 1.0) if benchmark.sizes else (),
        variants=PARTS,
        rates=("1e-6", "1e-5", "3e-5", "1e-4", "3e-4", "1e-3"),
        brief_pretrain="",
        brief_finetune="",
        **differs,
    )


GPU = replace(
    CPU,
    name="gpu",
    benchmarks=(
        _large(_UMAZE, collect="--wander 0.01 --episodes 2000", weak="--success-rate 0.7 --episodes 10000"),
        _large(_MEDIUM, collect="--wander 0.003 --episodes 2000"),
        _large(_PEN, collect=f"{_ROLLOUTS} 2000", weak=f"{_ROLLOUTS} 10000"),
    ),
    seeds=10,
    plane="--nx 31 --ny 31 --episodes 20",
)

PRESETS = {preset.name: preset for preset in (SMOKE, MINI, CPU, GPU)}
