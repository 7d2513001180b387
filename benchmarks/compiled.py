"""A whole update as one compiled program, `--updates compile`, beside the same update in eager mode.

Of every algorithm, of one seed and of five stacked ones, at the widths for which compiling is meant: there
an update is mostly the dispatch of its several hundred operations. Contestants are those of
`benchmarks.updates`.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from benchmarks.tables import Options, Table, times
from benchmarks.updates import compiled, contestants, measured

SIZES = ((64, 64, 2.5), (128, 256, 1.7))  # width, batch, and how many times eager's speed is wanted
SEEDS = (1, 5)


def one_size(algorithm: str, seeds: int, width: int, batch: int, options: Options) -> dict[str, Any]:
    found = contestants(algorithm, seeds, width, batch, "cpu")
    found["compiled"], began = compiled(algorithm, seeds, width, batch)
    sizes = {"algorithm": algorithm, "seeds": seeds, "width": width, "batch": batch}
    return sizes | {"seconds_to_first": began} | measured(found, "cpu", options)


def run(options: Options) -> Table:
    measurements, rows = [], []
    for algorithm, (width, batch, wanted), seeds in product(options.compiled, SIZES, SEEDS):
        one = one_size(algorithm, seeds, width, batch, options) | {"wanted": wanted}
        measurements.append(one)
        rows.append(cells(one))
        print(rows[-1], flush=True)
    return Table(
        "A whole update compiled, beside eager mode",
        f"Processor time of an update over that in eager mode in the same turn; medians of {options.repeats} "
        "turns (range), one thread. Memory kept is eager mode with `--updates auto`. The speed that is "
        "wanted is a target of ours. The seconds to the first update are of the processor: of compiling, or "
        "of loading what was compiled before. Networks are the algorithm's own, two hidden layers.",
        (
            "algorithm", "seeds", "width", "batch", "memory kept", "compiled", "times as fast", "wanted",
            "eager, ms", "to the first update, s",
        ),
        rows,
        finding(measurements),
        details={"measurements": measurements},
    )  # fmt: skip


def cells(one: dict[str, Any]) -> tuple[object, ...]:
    over = one["over_eager"]
    return (
        *(one[name] for name in ("algorithm", "seeds", "width", "batch")),
        times(over["memory kept"]),
        times(over["compiled"]),
        f"{1 / over['compiled']['median']:.1f}",
        one["wanted"],
        f"{one['milliseconds']['eager']:.2f}",
        f"{one['seconds_to_first']:.0f}",
    )


def finding(measurements: list[dict[str, Any]]) -> str:
    """How many times as fast, by width."""
    told = []
    for width, _, wanted in SIZES:
        speeds = [
            1 / one["over_eager"]["compiled"]["median"] for one in measurements if one["width"] == width
        ]
        told.append(f"{min(speeds):.1f} to {max(speeds):.1f} times eager's at width {width} ({wanted})")
    return f"The speed of compiled updates is {', '.join(told)}; in brackets what is wanted."
