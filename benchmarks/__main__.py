"""Run the benchmarks and write their tables: `python -m benchmarks`."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, get_args

import torch
import tyro

from benchmarks.tables import Options, write, write_index
from benchmarks.timing import circumstances, cores
from smac.errors import UserError

Name = Literal[
    "startup",
    "landscape",
    "stepping",
    "updates",
    "compiled",
    "growth",
    "workers",
    "adaptive",
    "evaluation",
    "seeds",
    "muon",
]


@dataclass(frozen=True)
class Run:
    """Time what the toolkit does against its peers; a Markdown and a JSON file of each benchmark."""

    only: tuple[Name, ...] = get_args(Name)
    """Benchmarks to run; those of before stay in the index."""
    out: Path = Path("results/benchmarks")
    """Folder of the tables and of their index, README.md."""
    options: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)

    def run(self) -> None:
        torch.set_num_threads(1)
        self.out.mkdir(parents=True, exist_ok=True)
        for name in self.only:
            load, began = os.getloadavg()[0], time.perf_counter()
            print(f"{name} ...", flush=True)
            table = import_module(f"benchmarks.{name}").run(self.options)
            made = circumstances("stable-baselines3") | {
                "cores": cores(),
                "threads": 1,
                "load": [load, os.getloadavg()[0]],
                "seconds": time.perf_counter() - began,
            }
            write(self.out, name, table, made)
            print(f"{name}: {table.finding} ({made['seconds']:.0f} s)", flush=True)
        write_index(self.out)


if __name__ == "__main__":
    try:
        tyro.cli(Run, config=(tyro.conf.OmitArgPrefixes,)).run()
    except UserError as error:
        sys.exit(f"benchmarks: {error}")
