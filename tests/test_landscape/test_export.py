"""Tables of episodes hold what returns.npz holds; landscapes reach the loggers of a run."""

import csv
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from support import run

import landscape
from analysis_cli import landscape as program
from landscape import export
from landscape.results import PathResult, PlaneResult
from smac.errors import UserError
from smac.training import sinks

RESULTS = Path(__file__).parents[2] / "results"
ALPHAS = np.array([0.0, 0.5, 1.0])
RETURNS = np.array([[1.0, 2.0], [0.1, np.nan], [3.0, np.nan]])
STATUSES = np.array([[1, 1], [1, 3], [1, 0]])
ARRAYS = {
    "alphas": ALPHAS, "returns": RETURNS, "statuses": STATUSES, "successes": RETURNS > 1,
    "lengths": np.full((3, 2), 7), "episode_seeds": np.array([11, 12]),
}  # fmt: skip


def path() -> PathResult:
    interval = {"estimate": 0.9, "lower": 0.5, "upper": None}
    analysis = {"alphas": ALPHAS.tolist(), "means": [1.5, 0.1, 3.0], "V": interval, "DD": interval,
                "band": [[0, 2]] * 3, "verdict": "valley", "monotone": "not monotone"}  # fmt: skip
    result = {"kind": "interpolate", "task": "t", "analysis": analysis, "fields": {"success": [1, 0, 1]}}
    return PathResult(result, ARRAYS)


def test_episodes_are_rows_and_what_was_not_played_is_none() -> None:
    found = export.episodes(path())
    assert list(found) == ["alpha", "episode", "episode_seed", "return", "length", "success", "status"]
    assert found["alpha"].tolist() == [0, 0, 0.5, 0.5, 1]
    assert found["episode_seed"].tolist() == [11, 12, 11, 12, 11]
    np.testing.assert_array_equal(found["return"], [1, 2, 0.1, np.nan, 3])
    assert found["status"].tolist() == ["finished", "finished", "finished", "diverged", "finished"]


def test_a_planes_points_are_in_the_order_of_its_arrays() -> None:
    arrays = {"returns": np.arange(6.0).reshape(2, 3, 1)}
    plane = PlaneResult({"kind": "plane", "task": "t", "xs": [0, 1, 2], "ys": [0, 5]}, arrays)
    found = export.episodes(plane)
    assert [(x, y, r) for x, y, r in zip(found["x"], found["y"], found["return"], strict=True)][3:5] == [
        (0, 5, 3), (1, 5, 4)
    ]  # fmt: skip


def test_csv_is_read_back_exactly(tmp_path: Path) -> None:
    written = path().to_csv(tmp_path / "returns.csv")
    with written.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["return"] for row in rows] == ["1.0", "2.0", "0.1", "", "3.0"]
    assert [row["success"] for row in rows] == ["0", "1", "0", "0", "1"]


def test_parquet_is_read_back(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas

    written = path().to_parquet(tmp_path / "returns.parquet")
    table = pandas.read_parquet(written)
    expected = export.episodes(path())
    assert list(table) == list(expected)
    for name, column in expected.items():
        np.testing.assert_array_equal(table[name].to_numpy(), column)
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert (kinds["alpha"], kinds["episode"], kinds["success"]) == ("float64", "int64", "bool")
    before = written.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        path().to_parquet(written)
    assert written.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["returns.parquet"]


def test_parquet_and_csv_hold_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas

    for name in ("landscape/umaze-smac", "landscape/pen-project", "paper/fig1/pen-binary-smac"):
        found = landscape.load(RESULTS / name)
        stem = tmp_path / Path(name).name
        parquet = pandas.read_parquet(found.to_parquet(f"{stem}.parquet"))
        text = pandas.read_csv(found.to_csv(f"{stem}.csv"), float_precision="round_trip")
        if "success" in text:
            text["success"] = text["success"].astype(bool)
        assert len(text) > 100
        pandas.testing.assert_frame_equal(parquet, text, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("name", ["returns.xlsx", "there.csv"])
def test_other_tables_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.csv").write_text("")
    with pytest.raises(UserError, match=name):
        export.export(path(), tmp_path / name)


def test_the_command_exports_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(__file__).parents[2] / "results/smac-study/gate/lines/seed-0"
    target = tmp_path / "returns.csv"
    assert run(program, f"export {source} --to {target}") == 0
    with np.load(source / "returns.npz") as archive:
        expected = np.sort(archive["returns"][np.isfinite(archive["returns"])])
    with target.open(newline="") as file:
        found = np.sort([float(row["return"]) for row in csv.DictReader(file) if row["return"]])
    np.testing.assert_array_equal(found, expected)
    assert run(program, f"export {source} --to {target}") == 2
    assert "exists already" in capsys.readouterr().err


class Logged(types.ModuleType):
    """What `wandb` is asked for, in its place."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.begun: list[dict] = []
        self.rows: list[dict] = []

    def init(self, **options: object) -> "Logged":
        self.begun.append(options)
        return self

    step = 0

    def log(self, row: dict, step: int) -> None:
        self.rows.append(row)

    def finish(self) -> None: ...

    def Image(self, figure: object) -> str:
        return type(figure).__name__


def test_runs_in_folders_of_one_name_have_different_ids_and_keep_them(tmp_path, monkeypatch) -> None:
    fake = Logged()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    folders = [tmp_path / which / "pretrain" for which in "ab"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"command": "pretrain", "seed": 3}))
    for folder in (*folders, folders[0]):  # the first again, as when it is resumed
        sinks.open_sinks(["wandb"], folder)
    first, second, again = [options["id"] for options in fake.begun]
    assert first != second
    assert first == again == json.loads((folders[0] / "config.json").read_text())["run_id"]
    assert fake.begun[0]["config"]["seed"] == 3
    assert fake.begun[0]["name"].endswith("a/pretrain")


def test_a_run_of_an_older_version_keeps_its_id(tmp_path: Path) -> None:
    (tmp_path / "pretrain/wandb").mkdir(parents=True)
    (tmp_path / "pretrain/config.json").write_text("{}")
    assert sinks.identified(tmp_path / "pretrain")["run_id"] == "pretrain"


def test_a_landscape_is_logged_where_its_run_was(tmp_path, monkeypatch) -> None:
    fake = Logged()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("landscape.logged.check_sinks", lambda names: None)
    monkeypatch.setattr(PathResult, "plot", lambda self: "figure")
    (tmp_path / "config.json").write_text(json.dumps({"command": "finetune", "run_id": "abc"}))
    landscape.log_to(path(), tmp_path, ["wandb"])
    assert fake.begun[0]["id"] == "abc"
    assert fake.rows == [
        {
            "landscape/interpolate": "str", "landscape/interpolate/depth/estimate": 0.9,
            "landscape/interpolate/depth/lower": 0.5, "landscape/interpolate/largest_fall/estimate": 0.9,
            "landscape/interpolate/largest_fall/lower": 0.5,
        }
    ]  # fmt: skip
    with pytest.raises(UserError, match="no such run directory"):
        landscape.log_to(path(), tmp_path / "none", ["wandb"])
