"""The tasks of a reproduction: their data, and the options that every method gets.

A method has one configuration per family of tasks, that of `smac tasks show`; what a benchmark adds is
length, and width where the family's own is too slow. What the data are beside those of the paper is told in
`results/data.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
USUAL = "--actor-lr 3e-4 --critic-lr 3e-4 --target-rate 0.005"
SAC = {"sac": "--temperature-lr 3e-4"}
UMAZE = Benchmark(
    task="pointmaze-umaze",
    collect="--wander 0.01 --episodes 500",
    weak="--success-rate 0.7 --episodes 2000",
    sizes=(0.01, 0.1, 1.0),
    pretrain="--steps 12000 --eval-every 3000 --log-every 1000 --save-every 3000 --eval-episodes 40",
    finetune=f"{USUAL} --steps 5000 --eval-every 250 --eval-episodes 40 --log-every 250 "
    "--trajectory-every 500",
    only=SAC,
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
MEDIUM = replace(
    UMAZE,
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
ROLLOUTS = f"--policy {POLICIES}/hand_dapg/policy_pen.npz --stochastic --episodes"
PEN = Benchmark(
    task="pen-binary",
    collect=f"{ROLLOUTS} 400",
    weak=f"{ROLLOUTS} 2000",
    sizes=(0.01, 0.1, 1.0),
    pretrain="--hidden 128 128 --critic-hidden 128 128 --actor-lr 1e-3 --critic-lr 1e-3 --target-rate 0.01 "
    "--steps 6000 --eval-every 3000 --log-every 1000 --save-every 3000 --eval-episodes 200",
    finetune=f"{USUAL} --steps 3000 --eval-every 500 --eval-episodes 200 "
    "--log-every 250 --trajectory-every 500",
    only={
        "smac": "--temperature-lr 1e-3 --diffusion-steps 6000 --diffusion-hidden 128 128",
        "iql": "--value-lr 1e-3",
        "cal_ql": "--temperature-lr 1e-3 --cql-actions 4",
        **SAC,
    },
    baseline="iql",  # of three sizes Cal-QL takes too long
    seed=5,  # its actor's rate was chosen on seeds 0 to 4
    line="--points 11 --episodes 60",
    trajectory="--episodes 60",
    projection="--episodes 20",
    variants=PARTS,
    brief_finetune="--eval-episodes 100",
)

# ---- the other five of the paper's six tasks ---------------------------------------------------------------

_WIDE = "--hidden 128 128 --critic-hidden 128 128 --actor-lr 1e-3 --critic-lr 1e-3 --batch-size 128"
_OFTEN_FIRST = "--eval-every 500 --late-from 5000 --log-every 500 --trajectory-every 1000 --save-every 2500"
_OWN = {
    "smac": "--temperature-lr 1e-3 --diffusion-steps 8000 --diffusion-hidden 128 128",
    "iql": "--value-lr 1e-3",
    "cal_ql": "--temperature-lr 1e-3 --cql-actions 4",
    **SAC,
}
_DAPG = "--stochastic --mixture expert:0.2,noisy:0.3,0.3:0.25,0.6:0.25 --episodes 600"
DOOR = Benchmark(
    task="door-binary",
    collect=f"--policy {POLICIES}/hand_dapg/policy_door.npz {_DAPG}",
    pretrain=f"{_WIDE} --target-rate 0.01 --steps 8000 --eval-every 4000 --eval-episodes 50 --log-every 500 "
    "--save-every 2000",
    finetune=f"{USUAL} --steps 10000 {_OFTEN_FIRST} --late-eval-every 1000 --eval-episodes 20",
    only=_OWN,
    line="--points 11 --episodes 60",
    trajectory="--episodes 60",
    projection="--episodes 20",
)
RELOCATE = replace(
    DOOR, task="relocate-binary", collect=f"--policy {POLICIES}/hand_dapg/policy_relocate.npz {_DAPG}"
)


def _ladder(agent: str) -> str:
    """Episodes over a ladder of noise levels, and some of another agent."""
    zoo = f"{POLICIES}/rl_trained_agents"
    levels = "expert:0.04,0.2:0.06,0.3:0.1,0.4:0.15,0.6:0.2,0.8:0.15,random:0.1"
    return f"--policy {zoo}/tqc-{agent}.npz --mixture {levels},{zoo}/sac-{agent}.npz:0.2 --episodes 600"


HOPPER = replace(
    DOOR,
    task="hopper",
    collect=_ladder("Hopper-v3"),
    pretrain=f"{_WIDE} --target-rate 0.005 --steps 10000 --eval-every 5000 --eval-episodes 20 "
    "--log-every 500 --save-every 2500",
    finetune=f"{USUAL} --steps 20000 {_OFTEN_FIRST} --late-eval-every 2000 --eval-episodes 10",
    only=_OWN | {"smac": f"{_OWN['smac']} --kappa 1"},
    line="--points 11 --episodes 20",
    trajectory="--episodes 20",
    projection="--episodes 10 --every 2",
)
WALKER2D = replace(HOPPER, task="walker2d", collect=_ladder("Walker2d-v3"))
KITCHEN = replace(
    DOOR,
    task="kitchen-partial",
    # without noise its clones fall off what the controller shows, and solve nothing
    collect="--mixture expert:0.1,0.1:0.3,0.2:0.6 --episodes 600",
    # an episode takes two seconds
    pretrain=f"{_WIDE} --target-rate 0.01 --steps 8000 --eval-every 8000 --eval-episodes 10 --log-every 500 "
    "--save-every 2000",
    finetune=f"{USUAL} --steps 6000 {_OFTEN_FIRST} --late-eval-every 1000 --eval-episodes 5",
    line="--points 11 --episodes 10",
    trajectory="--episodes 10",
    projection="--episodes 5 --every 2",
)
