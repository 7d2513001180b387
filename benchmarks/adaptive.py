"""Episodes and time until a verdict: adaptive against as many at every point, on trained policies."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pendulum import TASK, trained
from benchmarks.tables import Options, Table
from landscape.evaluate import Evaluation
from landscape.statistics import Adaptive
from landscape.study import interpolate

POINTS, MOST, MARGIN = 11, 100, 150.0
CALIBRATION = Path(__file__).parents[1] / "results" / "landscape" / "calibration.json"


@dataclass(frozen=True)
class Outcome:
    verdict: str
    episodes: int
    seconds: float
    """Of the processor."""


def judged(start: Path, end: Path, seed: int, adaptive: Adaptive | None) -> Outcome:
    began = time.process_time()
    found = interpolate(
        start,
        end,
        points=POINTS,
        margin=MARGIN,
        adaptive=adaptive,
        evaluation=Evaluation(episodes=MOST, seed=seed),
    )
    played = int((found.rollouts.statuses > 0).sum())
    return Outcome(found.report.verdict, played, time.process_time() - began)


def run(options: Options) -> Table:
    rows: list[tuple[Any, ...]] = []
    ratios = []
    with trained() as made:
        first, second = made.seed(0), made.seed(1)
        step = sorted((first.directory / "trajectory").iterdir())[-2]
        pairs = {
            "two seeds": (first.online, second.online),
            "one run, earlier and later": (step, first.online),
        }
        for name, (start, end) in pairs.items():
            for seed in range(2):
                fixed, stages = (judged(start, end, seed, how) for how in (None, Adaptive(10, MOST)))
                ratios.append(stages.episodes / fixed.episodes)
                rows.append(
                    (
                        name, seed, fixed.verdict, stages.verdict, stages.episodes, f"{ratios[-1]:.2f}",
                        f"{stages.seconds / fixed.seconds:.2f}", f"{fixed.seconds:.1f}",
                    )
                )  # fmt: skip
                print(rows[-1], flush=True)
    agree = sum(row[2] == row[3] for row in rows)
    return Table(
        "Adaptive evaluation: episodes and time until the verdict",
        f"The line between SAC policies of {TASK}, trained here, at a nominal error of 5 % and a margin of "
        f"{MARGIN:g}: {POINTS} points, stages from 10 to {MOST} episodes, over {MOST} episodes at every "
        "point.",
        (
            "pair", "seed of the episodes", f"{MOST} at every point", "adaptive", "episodes",
            "over the fixed",
            "processor time over the fixed", "fixed, s",
        ),
        rows,
        f"Adaptive evaluation plays {min(ratios):.2f} to {max(ratios):.2f} of the episodes; {agree} of "
        f"{len(rows)} verdicts are the same.",
        (known_errors(),),
    )  # fmt: skip


def known_errors() -> str:
    """The largest rates of wrong verdicts where the truth is known, from the committed calibration."""
    asked = json.loads(CALIBRATION.read_text())["rows"].values()
    rows = [row for many in asked for row in many if row["claim"] in ("connected", "V")]
    told = []
    for name in ("adaptive", "fixed"):
        some = [row for row in rows if ("adaptive" in row["setting"]) == (name == "adaptive")]
        worst = max(some, key=lambda row: row["error"])
        told.append(
            f"{name} {100 * worst['error']:.1f} % ({worst['claim']}, {worst['truth']}, {worst['repeats']} "
            "samples)"
        )
    return (
        "Largest shares of wrong verdicts where the truth is known, nominal 5 % "
        f"([calibration](../landscape/calibration.md)): {'; '.join(told)}."
    )
