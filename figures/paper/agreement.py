"""Does the straight line between two checkpoints tell what training did between them?

The paper's claim is that a method whose return drops online has a valley on its line, and one without a drop
has none. Every pair of checkpoints, of every task, method and seed, is one count of a 2 x 2 table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest, fisher_exact, spearmanr

from smac.tables import markdown_table
from smac.training.comparison import MONOTONE_RUN

LARGEST = "switch/drawdown"  # of a run: the largest fall of its score after the switch
DEPTHS = ("DD", "V")
VERDICTS = {"verdict": ("valley", "connected"), "monotone": ("not monotone", "monotone")}
"""What a line is asked, with the answer that goes with a fall in training and the one that goes without."""


@dataclass(frozen=True)
class Agreement:
    """Pairs of checkpoints by whether training fell between them and whether the line falls."""

    both: int = 0
    training_only: int = 0
    line_only: int = 0
    neither: int = 0
    undecided: int = 0
    """Pairs of which training, or the line, or both, were not decided."""

    @property
    def decided(self) -> int:
        return self.both + self.training_only + self.line_only + self.neither

    @property
    def share(self) -> tuple[float, float, float] | None:
        """Of the decided pairs those that agree, with the Clopper-Pearson interval; None without any."""
        if not self.decided:
            return None
        found = binomtest(self.both + self.neither, self.decided)
        interval = found.proportion_ci(0.95, method="exact")
        return float(found.statistic), float(interval.low), float(interval.high)

    @property
    def p_value(self) -> float | None:
        """Fisher's exact test, one-sided: that a fall in training goes with a fall on the line by chance."""
        if not self.decided:
            return None
        table = [[self.both, self.training_only], [self.line_only, self.neither]]
        return float(fisher_exact(table, alternative="greater").pvalue)

    def numbers(self) -> dict[str, Any]:
        share = self.share
        return vars(self) | {
            "agree": None if share is None else dict(zip(("share", "low", "high"), share, strict=True)),
            "p_value": self.p_value,
        }


def agreement(answers: Iterable[tuple[str, str]], falls: str, keeps: str) -> Agreement:
    """Counts of (training, line): training said `not monotone` or `monotone`, the line `falls` or `keeps`."""
    names = {
        ("not monotone", falls): "both",
        ("not monotone", keeps): "training_only",
        ("monotone", falls): "line_only",
        ("monotone", keeps): "neither",
    }
    return Agreement(**Counter(names.get(answer, "undecided") for answer in answers))


def beside(
    transfer: Mapping[str, Any], report: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """(training run, pair) of every pair that the table of a task and the report of its lines both have."""
    for pair in report["pairs"]:
        cell = f"{pair['from']['algorithm']}-{pair['to']['algorithm']}"
        run = transfer["online"].get(cell, {"seeds": {}})["seeds"].get(str(pair["from"]["seed"]), {})
        if MONOTONE_RUN in run:  # runs of former versions kept no episodes to tell it from
            yield run, pair


def answers(transfer: Mapping[str, Any], report: Mapping[str, Any], asked: str) -> list[tuple[str, str]]:
    """(training, line) of every pair."""
    return [(run[MONOTONE_RUN], pair[asked]) for run, pair in beside(transfer, report)]


@dataclass(frozen=True)
class Ranks:
    """Rank correlations (Spearman) of how far the score fell in training with how far the line falls."""

    pairs: int
    drawdown: float | None
    """With the drawdown of the line, cross-fitted; None where there is nothing to rank."""
    valley: float | None
    """With its valley depth, cross-fitted."""


def ranks(transfer: Mapping[str, Any], report: Mapping[str, Any]) -> Ranks:
    """Over the pairs of one task, as scores of different tasks cannot be ranked together."""
    found = [
        (run[LARGEST], *(pair[f"{name}_crossfit"] for name in DEPTHS))
        for run, pair in beside(transfer, report)
        if LARGEST in run and all(pair.get(f"{name}_crossfit") is not None for name in DEPTHS)
    ]
    fall, *depths = np.array(found, dtype=float).reshape(-1, 1 + len(DEPTHS)).T
    return Ranks(len(fall), *(_correlation(fall, depth) for depth in depths))


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    ranked = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    return float(spearmanr(a, b).statistic) if ranked else None


def tabulate(
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> dict[str, dict[str, Agreement]]:
    """For every question the agreement per task and over `all`; `tasks` is name -> (transfer, report)."""
    found: dict[str, dict[str, Agreement]] = {}
    for asked, (falls, keeps) in VERDICTS.items():
        by_task = {name: answers(*files, asked) for name, files in tasks.items()}
        every = [answer for task in by_task.values() for answer in task]
        found[asked] = {name: agreement(a, falls, keeps) for name, a in (by_task | {"all": every}).items()}
    return found


def markdown(found: Mapping[str, Mapping[str, Agreement]], depths: Mapping[str, Ranks]) -> str:
    """One table per question, and one of the `ranks` of every task."""
    lines = [
        "# Does the line tell what training did?",
        "",
        "Every pair of checkpoints by whether the score of its own training run ever falls by more than the "
        "margin after the switch, and by what the straight line between its ends says. The share that agrees "
        "is of the decided pairs, with its exact 95 % interval; p: Fisher's exact test that both go together "
        "by chance, one-sided. Seeds of one task share its data, so it is not a test over tasks.",
        "",
    ]
    for asked, (falls, keeps) in VERDICTS.items():
        columns = [
            "task", f"training falls, line {falls}", f"training falls, line {keeps}",
            f"training monotone, line {falls}", f"training monotone, line {keeps}", "undecided", "agree", "p",
        ]  # fmt: skip
        rows = []
        for name, one in found[asked].items():
            counts = one.both, one.training_only, one.line_only, one.neither, one.undecided
            rows.append([name, *map(str, counts), _share(one), _p(one)])
        lines += [markdown_table(columns, rows), ""]
    rows = [[name, str(one.pairs), *map(_rank, (one.drawdown, one.valley))] for name, one in depths.items()]
    lines += [
        "How far the score fell in training against how far the line falls: rank correlations over the pairs "
        "of a task. A run that ends below its start has a drawdown on its line for that alone, whatever lies "
        "between, and no valley for it.",
        "",
        markdown_table(["task", "pairs", "with the drawdown DD", "with the valley depth V"], rows),
        "",
    ]
    return "\n".join(lines)


def _share(one: Agreement) -> str:
    return "–" if one.share is None else "{:.2f} [{:.2f}, {:.2f}]".format(*one.share)


def _p(one: Agreement) -> str:
    return "–" if one.p_value is None else f"{one.p_value:.3f}"


def _rank(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
