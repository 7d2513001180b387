"""What the drawing of the paper's figures must know of a reproduction: tasks, methods, seeds, settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """SMAC with other settings than its defaults."""

    options: str
    """These settings, as they were given."""
    kappa: float | None
    """Where it differs from the default in nothing else, the default itself included."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A task on which all methods were trained."""

    task: str
    seed: int = 0
    """The first training seed."""
    baseline: str = "cal_ql"
    """The method beside SMAC in figure 2."""
    sizes: tuple[float, ...] = ()
    """Nested shares of a weaker policy's data, smallest first; without any the task is not in `fig2`."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """By the name of an ablation; without any the task is not in `ablation`."""
    rates: tuple[str, ...] = ()
    """Learning rates of the actor after the switch, smallest first; without any it is not in `switch`."""

    @property
    def label(self) -> str:
        return self.task.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Tasks and methods whose runs are in one directory. Names of algorithms are those of the registry."""

    name: str
    benchmarks: Sequence[Benchmark]
    seeds: int
    """Training seeds of everything."""
    offline: tuple[str, ...]
    """Offline methods; each is fine-tuned with SAC."""
    also: tuple[str, ...] = ()
    """Further pairs OFFLINE-ONLINE."""

    @property
    def pairs(self) -> list[str]:
        """All pairs OFFLINE-ONLINE: every offline method with SAC, then the further ones."""
        return [*(f"{a}-sac" for a in self.offline), *self.also]


@dataclass(frozen=True)
class PaperFigure:
    """A figure or table of the paper, drawn from runs of one's own."""

    name: str
    shows: str
    draw: Callable[[Path, Reproduction], Sequence[Path]]
    """Takes the directory of the runs, and writes into `figures/NAME` in it."""
