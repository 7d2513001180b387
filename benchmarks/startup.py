"""What a small command takes before it does anything, beside importing torch."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.pendulum import trained
from benchmarks.tables import Options, Table, times
from benchmarks.timing import Spent, spent_on, spread

PEER = "import torch"


def run(options: Options) -> Table:
    with trained(steps=300) as made, tempfile.TemporaryDirectory() as folder:
        ends = ["--from", str(made.seed(0).online), "--to", str(made.seed(1).online)]
        line = ["interpolate", *ends, "--points", "5", "--episodes", "2", "--margin", "50"]
        landscape = [sys.executable, "-m", "analysis_cli.landscape"]
        commands = {
            PEER: [sys.executable, "-c", PEER],
            "import stable_baselines3": [sys.executable, "-c", "import stable_baselines3"],
            "landscape --help": [*landscape, "--help"],
            "landscape interpolate --help": [*landscape, "interpolate", "--help"],
            "a line of 5 points, 2 episodes each": [*landscape, *line],
        }
        found = [
            {name: _spent(words, Path(folder), turn) for name, words in commands.items()}
            for turn in range(options.repeats + 1)
        ][1:]  # the first fills the file system's cache
    ratios = {
        name: spread([turn[name].processor / turn[PEER].processor for turn in found]) for name in commands
    }
    middle = {name: statistics.median(turn[name].processor for turn in found) for name in commands}
    wall = {name: min(turn[name].wall for turn in found) for name in commands}
    small = list(commands)[-1]
    return Table(
        "Starting: small commands beside importing torch",
        f"Processor time of the process over that of `{PEER}` in the same turn; medians of "
        f"{options.repeats} turns (range). Wall time, the shortest, is that of a machine with other work.",
        ("command", f"over `{PEER}`", "processor, s", "wall, s"),
        [(name, times(ratios[name]), f"{middle[name]:.2f}", f"{wall[name]:.2f}") for name in commands],
        f"{small.capitalize()}, takes {middle[small]:.1f} s, {ratios[small]['median']:.1f} times `{PEER}`; "
        f"help {middle['landscape --help']:.2f} s.",
        details={"ratios": ratios, "seconds": middle, "wall": wall},
    )


def _spent(words: list[str], folder: Path, turn: int) -> Spent:
    out = ["--out", f"line-{turn}"] if "--points" in words else []
    return spent_on([*words, *out], folder)
