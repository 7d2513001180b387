"""Numbers of a learning curve: means since the last line, regret, and what the switch cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor


class RunningMeans:
    """Means of per-seed metrics between two lines of the log, summed on the device without a host sync."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        for name, value in metrics.items():
            self.sums[name] = self.sums[name].to(value.device) + value if name in self.sums else value.clone()
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, np.ndarray]:
        """The means [seeds] so far, and start again."""
        means = {name: (total / self.counts[name]).cpu().numpy() for name, total in self.sums.items()}
        self.sums.clear()
        self.counts.clear()
        return means


def regret(steps: np.ndarray, values: np.ndarray) -> float:
    """Mean shortfall 1 - value over environment steps, by the trapezoid rule.

    steps [n] increasing, values [n] a success rate or a normalised score; unequal spacing does not bias it.
    """
    steps, values = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    return float(np.trapezoid(1.0 - values, steps) / (steps[-1] - steps[0]))


def switch_dip(steps: np.ndarray, values: np.ndarray, within: float) -> float:
    """Value at the switch minus the worst in the first `within` online steps, at least 0.

    The worst of noisy values is too low, so this is too large; see `smac.statistics.dip`.
    steps[0] is the switch and values[0] the checkpoint's own value, before any online update.
    """
    steps, values = np.asarray(steps), np.asarray(values, dtype=float)
    return max(0.0, float(values[0] - values[steps <= within].min()))


def recovery_steps(steps: np.ndarray, values: np.ndarray, within: float) -> float:
    """Online steps until the value is back at its value at the switch, after the worst of the first `within`.

    0 without a dip, NaN if it never returns.
    """
    steps, values = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    window = steps <= within
    worst = int(np.argmin(values[window]))
    back = np.nonzero(values[worst:] >= values[0])[0]
    return float(steps[worst + back[0]]) if len(back) else float("nan")
