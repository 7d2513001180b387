"""`smac data`: what `info` writes, and wrong input, which is told in one line and leaves nothing behind."""

import json
import shutil

import numpy as np
import pytest
from support import run

from analysis_cli import smac
from smac.data.minari_io import write_dataset
from smac.data.summary import summarise
from smac.data.transitions import Episode, sparse_episode
from smac.tasks import get_task

UMAZE, KITCHEN, HOPPER = (get_task(name) for name in ("pointmaze-umaze", "kitchen-complete", "hopper"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset of four episodes of 3, 5, 7 and 9 steps; the last two succeed."""
    episodes = []
    for length in (3, 5, 7, 9):
        success = np.zeros(length, bool)
        success[-1] = length > 5
        observations = np.full((length + 1, 6), length / 10, np.float32)
        episodes.append(sparse_episode(observations, np.full((length, 2), 0.5), success))
    root = tmp_path_factory.mktemp("data")
    write_dataset(episodes, task=UMAZE, dataset_id="test/line-v0", root=root, provenance={"seed": 4})
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of it."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def test_info_writes_what_it_prints(root, capsys):
    file = root / "info.json"
    assert run(smac, f"data info test/line-v0 --out {root} --json {file}") == 0
    written = json.loads(file.read_text())
    assert (written["task"], written["episodes"], written["transitions"]) == ("pointmaze-umaze", 4, 24)
    assert (written["success_rate"], written["return_mean"]) == (0.5, (-3 - 5 - 6 - 8) / 4)
    assert written["action_mean"] == [0.5, 0.5]
    assert (written["subtasks_solved"], written["subtasks_mean"]) == ([], None)
    assert written["provenance"]["seed"] == 4
    assert str(root) not in file.read_text()  # it is of this machine
    assert f"wrote {file}" in capsys.readouterr().out.replace("\n", "")


def episode(observations):
    steps = len(observations) - 1
    return Episode(
        observations=observations,
        actions=np.zeros((steps, 9), np.float32),
        rewards=np.zeros(steps, np.float32),
        success=np.zeros(steps, bool),
        terminated=False,
        truncated=True,
    )


def test_sub_tasks_are_counted_once_each_and_not_at_the_start():
    nothing = np.full((4, 59), 9.0, np.float32)
    undone, both = nothing.copy(), nothing.copy()
    undone[2, 31] = -0.75  # the microwave open for one step
    both[1:, 31], both[3, 28] = -0.75, 0.37  # and the slide cabinet at the end
    before = nothing.copy()
    before[0, 31] = -0.75
    found = summarise(
        [episode(x) for x in (nothing, undone, both, before)],
        dataset_id="a", path=".", task=KITCHEN.name, provenance={},
    )  # fmt: skip
    assert found.subtasks_solved == (2, 1, 1, 0, 0)
    assert found.subtasks_mean == 3 / 4
    assert found.success_rate == 0.0


def test_no_success_rate_where_none_is_told():
    observations = np.zeros((3, 11), np.float32)
    found = summarise([episode(observations)], dataset_id="a", path=".", task=HOPPER.name, provenance={})
    assert found.success_rate is None


def flipped(content: bytes) -> bytes:
    damaged = bytearray(content)
    damaged[3000::97] = bytes(255 - b for b in damaged[3000::97])
    return bytes(damaged)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:100], lambda b: b"", flipped])
def test_a_damaged_dataset(root, damage, capsys):
    file = root / "test/line-v0/data/main_data.hdf5"
    file.write_bytes(damage(file.read_bytes()))
    before = sorted(root.rglob("*"))
    for line in (
        f"data info test/line-v0 --out {root} --json {root}/a.json --figure {root}/a.png",
        f"data subset test/line-v0 --fraction 0.5 --dataset test/half-v0 --out {root}",
        f"data mix --parts test/line-v0 test/line-v0 --task {UMAZE.name} --dataset test/mix-v0 --out {root}",
        f"data render test/line-v0 --data-root {root} --out {root}/a.gif",
        f"pretrain --task pointmaze-umaze --algorithm iql --dataset test/line-v0 --data-root {root} --out "
        f"{root}/run",
    ):
        refused(line, "damaged", capsys)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data list --out R/none", "none: no such folder"),
        ("data collect --task pointmaze-umaze --out R/junk.npz", "junk.npz is no folder"),
        (
            "data collect --task pointmaze-umaze --episodes -3 --out R/new",
            "episodes must be at least 1, got -3",
        ),
        ("data import --source R/junk.npz --out R/new", "damaged, or something else"),
        ("data collect --task pointmaze-umaze --policy R/junk.npz --out R/new", "damaged, or something else"),
        ("data subset R/junk.npz --fraction 0.5 --dataset test/b-v0 --out R", "`smac data import` it first"),
        (
            "data info test/line-v0 --task door-binary --out R",
            "belongs to task pointmaze-umaze, not door-binary",
        ),
        ("data info D4RL/door/human-v2 --out R", "downloading it failed"),
        ("data info test/line-v0 --out R --json R/junk.npz", "exists already"),
        ("data info test/line-v0 --out R --figure R/taken.png", "taken.png exists already"),
        (
            "data render test/line-v0 --task pointmaze-large --data-root R --out R/a.gif",
            "not pointmaze-large",
        ),
    ],
)
def test_wrong_input(root, line, message, capsys, monkeypatch):
    monkeypatch.setattr("smac.data.hub.minari.download_dataset", lambda _: 1 / 0)  # no network
    (root / "junk.npz").write_bytes(b"junk")
    (root / "taken.png").write_bytes(b"")
    before = sorted(root.rglob("*"))
    refused(
        line.replace("R/", f"{root}/").replace("out R", f"out {root}").replace("root R", f"root {root}"),
        message,
        capsys,
    )
    assert sorted(root.rglob("*")) == before


def refused(line, message, capsys):
    capsys.readouterr()
    assert run(smac, line) == 2, line
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
