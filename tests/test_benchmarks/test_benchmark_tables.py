"""The benchmarks' own machinery: what a run costs, tables, and the source of other libraries."""

import json
import mmap
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.__main__ import Name  # noqa: E402
from benchmarks.peers import _update_block  # noqa: E402
from benchmarks.tables import Table, write, write_index  # noqa: E402
from benchmarks.timing import Contestant, cost, spread, turns  # noqa: E402
from smac.errors import UserError  # noqa: E402

MADE = {
    "command": "python -m benchmarks",
    "versions": {"torch": "2"},
    "machine": "x",
    "cores": 2,
    "threads": 1,
}


def test_every_benchmark_has_its_module():
    for name in get_args(Name):
        assert "def run(options: Options) -> Table:" in (ROOT / "benchmarks" / f"{name}.py").read_text()


def test_a_run_costs_what_it_takes_and_holds_in_its_own_process():
    kept = []

    def hold(mebibytes: int) -> None:
        fresh = mmap.mmap(-1, mebibytes * 2**20)  # a list or an array may lie in what malloc kept
        for page in range(0, len(fresh), mmap.PAGESIZE):
            fresh[page] = 1
        kept.append(fresh)

    small, large = (cost(partial(hold, size)) for size in (1, 33))
    assert 28 < large.memory - small.memory < 36  # MiB
    assert not kept
    assert cost(lambda: sum(range(3_000_000))).seconds > cost(lambda: sum(range(3))).seconds


def test_ratios_are_taken_within_a_turn():
    clock = iter(range(1000))
    found = turns({"a": Contestant(lambda: None), "b": Contestant(lambda: None)}, 3, lambda: next(clock), 1.0)
    assert found == [{"a": 0.5, "b": 0.5}] * 3  # two calls a turn
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "range": [1.0, 3.0]}


def test_a_benchmark_that_is_run_again_leaves_the_others_in_the_index(tmp_path):
    made = MADE | {"load": [0.5, 1.5], "seconds": 3.2}
    for name in ("first", "second"):
        table = Table(
            f"Of {name}", "Over a peer.", ("what", "ratio"), [("it", "1.50")], f"{name} is 1.5.", ("Note.",)
        )
        write(tmp_path, name, table, made)
    write(tmp_path, "first", Table("Of first", "Over.", ("what",), [("it",)], "first is 2."), made)
    write_index(tmp_path)
    index = (tmp_path / "README.md").read_text()
    assert "| [`first`](first.md) | Of first | first is 2. |" in index
    assert "second is 1.5." in index
    page = (tmp_path / "second.md").read_text()
    assert "| it | 1.50 |" in page
    assert "load average 0.5 before and 1.5 after" in page
    assert json.loads((tmp_path / "second.json").read_text())["rows"] == [["it", "1.50"]]


def test_the_block_that_updates_is_cut_out_or_refused(tmp_path):
    script = tmp_path / "sac.py"
    script.write_text(
        "for global_step in range(9):\n"
        "    act()\n"
        "    if global_step > args.learning_starts:\n"
        "        done.append(global_step)\n"
    )
    done: list[int] = []
    names = {"global_step": 7, "args": type("Args", (), {"learning_starts": 0}), "done": done}
    exec(compile(_update_block(script), "sac.py", "exec"), names)
    assert done == [7]
    script.write_text("pass\n")
    with pytest.raises(UserError, match="has no block that updates"):
        _update_block(script)
