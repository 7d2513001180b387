"""Loggers with their real packages: what they wrote is read back."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import smac
from smac.training import sinks
from smac.training.run import read_metrics

OPTIONS = {
    "steps": 60, "hidden": (8, 8), "batch_size": 8, "eval_every": 30, "log_every": 15, "save_every": 20,
    "eval_episodes": 1, "seeds": 2,
}  # fmt: skip
TASK = "Pendulum-v1@horizon=15"


class Stopped(Exception):
    pass


@pytest.fixture
def offline(monkeypatch):
    """Weights & Biases without a network."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield wandb
    wandb.teardown()


def interrupted_and_resumed(folder: Path, monkeypatch, logger: str) -> Path:
    """A run that stopped after step 45, of which 40 were saved, and went on to 60."""
    monkeypatch.setattr("smac.training.run.PROGRESS_INTERVAL", -1.0)

    def stop(phase: str, step: int, total: int) -> None:
        if step >= 45:
            raise Stopped

    with pytest.raises(Stopped):
        smac.train(TASK, "td3", out=folder, log_to=(logger,), progress=stop, **OPTIONS)
    smac.resume(folder)
    return folder


def expected(run: Path) -> dict[tuple[int, str, int], float]:
    """(seed, metric, step) -> value, of metrics.csv."""
    return {
        (int(row["seed"]), name, int(row["step"])): float(value)
        for row in read_metrics(run)
        for name, value in row.items()
        if value and name not in ("phase", "step", "seed")
    }


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """(tag, step) -> value of the event files of a folder; no step twice."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    found = [(tag, e.step, e.value) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
    assert len({(tag, step) for tag, step, _ in found}) == len(found)
    return {(tag, step): value for tag, step, value in found}


def test_tensorboard_has_what_metrics_csv_has_after_a_resume(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    run = interrupted_and_resumed(tmp_path / "run", monkeypatch, "tensorboard")
    rows = expected(run)
    assert {step for *_, step in rows} == {0, 15, 30, 45, 60}
    for seed in (0, 1):
        own = {(name, step): value for (k, name, step), value in rows.items() if k == seed}
        assert scalars(run / f"tensorboard/online/seed-{seed}") == pytest.approx(own, rel=1e-6)


def test_tensorboard_takes_a_picture_again_in_its_own_place(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tmp_path / "config.json").write_text(json.dumps({"command": "train"}))
    for depth in (1.0, 2.0):
        (sink,) = sinks.open_sinks(["tensorboard"], tmp_path)
        for _ in range(2):
            sink.picture("landscape/interpolate", Figure(), {"depth": depth})
        sink.close()
    folder = tmp_path / "tensorboard/landscape/interpolate"
    events = EventAccumulator(str(folder))
    events.Reload()
    assert events.Tags()["images"] == ["landscape/interpolate"]
    assert events.Scalars("landscape/interpolate/depth")[-1].value == 2.0


def test_wandb_goes_on_under_one_id_with_the_rows_of_metrics_csv(tmp_path, monkeypatch, offline):
    run = interrupted_and_resumed(tmp_path / "run", monkeypatch, "wandb")
    offline.teardown()  # which waits for its files
    parts = [read_offline(file) for file in sorted((run / "wandb").glob("offline-run-*/*.wandb"))]
    assert [part["id"] for part in parts] == [json.loads((run / "config.json").read_text())["run_id"]] * 2
    assert parts[0]["config"]["agent"]["hidden"] == [8, 8]
    for part, steps in zip(parts, ({0, 15, 30, 45}, {45, 60}), strict=True):
        assert set(part["rows"]) == steps  # a row of all seeds at each
        for step in steps:
            own = {f"seed-{k}/online/{name}": v for (k, name, at), v in expected(run).items() if at == step}
            logged = {name: value for name, value in part["rows"][step].items() if name.startswith("seed-")}
            assert logged == pytest.approx(own, rel=1e-6)


def test_a_run_that_fails_leaves_wandb_to_the_next(tmp_path, monkeypatch, offline):
    """`wandb.init` in the same process gave the next run the one that was still open."""
    monkeypatch.setattr("smac.training.run.PROGRESS_INTERVAL", -1.0)

    def stop(*_: object) -> None:
        raise Stopped

    for name in ("a", "b"):
        with pytest.raises(Stopped):
            smac.train(TASK, "td3", out=tmp_path / name / "run", log_to=("wandb",), progress=stop, **OPTIONS)
    offline.teardown()
    ids = [read_offline(file)["id"] for file in sorted(tmp_path.glob("*/run/wandb/offline-run-*/*.wandb"))]
    assert ids == [json.loads((tmp_path / n / "run/config.json").read_text())["run_id"] for n in ("a", "b")]
    assert ids[0] != ids[1]


def test_a_landscape_in_wandb_comes_after_the_last_step(tmp_path, offline):
    (tmp_path / "config.json").write_text(json.dumps({"command": "train"}))
    (tmp_path / "metrics.csv").write_text("phase,step,seed,eval/return\nonline,60,0,1\n")
    (sink,) = sinks.open_sinks(["wandb"], tmp_path)
    sink.picture("landscape/interpolate", Figure(), {"depth": 2.5})
    sink.close()
    offline.teardown()
    (file,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    (row,) = read_offline(file)["rows"].items()
    assert (row[0], row[1]["landscape/interpolate/depth"]) == (61, 2.5)
    (picture,) = tmp_path.glob("wandb/offline-run-*/files/media/images/landscape/*.png")
    assert row[1]["landscape/interpolate/path"].endswith(picture.name)


def read_offline(file: Path) -> dict:
    """id, config and rows (step -> name -> value) of a file of Weights & Biases."""
    from wandb.proto import wandb_internal_pb2 as proto

    found: dict = {"id": None, "config": {}, "rows": {}}
    for text in records(file.read_bytes()):
        record = proto.Record()
        record.ParseFromString(text)
        if record.HasField("run"):
            found["id"] = record.run.run_id
            found["config"] |= {one.key: json.loads(one.value_json) for one in record.run.config.update}
        elif record.HasField("history"):
            row = {
                one.key or "/".join(one.nested_key): json.loads(one.value_json)
                for one in record.history.item
            }  # fmt: skip
            found["rows"][int(row["_step"])] = row
    return found


def records(content: bytes) -> Iterator[bytes]:
    """What a log of LevelDB's format holds: blocks of 32 KiB, in them checksum, length, kind and content."""
    at, whole = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            yield whole
            whole = b""
