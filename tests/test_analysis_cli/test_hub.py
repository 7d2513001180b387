"""Runs, checkpoints and landscapes to a hub and back, with the real client against a hub on this machine."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import assert_same_tensors, run, small_agent

import landscape as landscapes
import smac as training
from analysis_cli import landscape, smac
from landscape.results import PathResult
from smac import hub as transport
from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.errors import UserError
from smac.optim import MOMENTS

pytest.importorskip("huggingface_hub")
pytest.importorskip("yaml")
from hub_server import READER, WRITER, Hub, serving  # needs yaml

TASK = "pointmaze-umaze"


@pytest.fixture
def hub(monkeypatch):
    import huggingface_hub.constants as constants

    with serving() as hub:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        yield hub


@pytest.fixture
def trained(tmp_path) -> Path:
    """The directory of a run of two seeds that has ended, with what does not travel in it."""
    directory = tmp_path / "run"
    for seed in (3, 4):
        agent, about = small_agent(TASK, "td3", seed)
        moments = {f"{MOMENTS}exp_avg/actor.x": torch.ones(3)}
        place = directory / f"seed-{seed}"
        save_checkpoint(place / "offline.safetensors", agent.tensors(0) | moments, about)
        save_checkpoint(place / "trajectory/step-00000010.safetensors", agent.tensors(0), about)
    config = {"command": "pretrain", "task": TASK, "algorithm": "td3", "variant": None,
              "command_line": "smac pretrain --task pointmaze-umaze", "versions": {"torch": "2"}}  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))
    rows = ["phase,step,seed,eval/return,eval/success", "offline,10,3,-5,0.25", "offline,10,4,-7,0.75"]
    (directory / "metrics.csv").write_text("\n".join(rows) + "\n")
    (directory / "secret.json").write_text("{}")
    (directory / "notes.py").write_text("")
    (directory / "wandb").mkdir()
    (directory / "wandb/config.json").write_text("{}")
    return directory


@pytest.fixture
def line(tmp_path) -> Path:
    """The directory of a line of three points."""
    interval = {"estimate": 0.9, "lower": 0.5, "upper": None}
    analysis = {
        "alphas": [0, 0.5, 1], "means": [1.5, 0.1, 3.0], "V": interval, "DD": interval, "band": [[0, 2]] * 3,
        "verdict": "valley", "monotone": "not monotone", "confidence": 0.95,
    }  # fmt: skip
    result = {
        "kind": "interpolate", "task": TASK, "analysis": analysis, "margin": {"delta": 0.2}, "command": "c",
        "sentence": "There is a valley.", "versions": {"torch": "2"},
    }  # fmt: skip
    directory = tmp_path / "line"
    PathResult(result, {"returns": np.array([[1.0, 2.0], [0.0, 0.2], [3.0, 3.0]])}).write(directory)
    (directory / "plot.html").write_text("<script>")
    (directory / "plot.png").write_bytes(b"png")
    return directory


def front_matter(card: bytes) -> dict:
    import yaml

    return yaml.safe_load(card.decode().split("---\n")[1])


def test_a_run_comes_back_as_it_was_but_for_what_optimisers_remember(hub: Hub, trained, tmp_path, capsys):
    assert run(smac, "push --to me/umaze", trained) == 0
    assert f"{hub.address}/me/umaze/commit/" in capsys.readouterr().out
    assert set(hub.files("me/umaze")) == {
        ".gitattributes", "README.md", "config.json", "metrics.csv",
        "seed-3/offline.safetensors", "seed-3/trajectory/step-00000010.safetensors",
        "seed-4/offline.safetensors", "seed-4/trajectory/step-00000010.safetensors",
    }  # fmt: skip
    assert run(smac, f"pull me/umaze --out {tmp_path}/back") == 0
    back = training.load(tmp_path / "back")
    assert back.final == {3: {"return": -5, "success": 0.25}, 4: {"return": -7, "success": 0.75}}
    before, after = (load_checkpoint(r / "seed-3/offline.safetensors") for r in (trained, tmp_path / "back"))
    kept = {name: x for name, x in before.tensors.items() if not name.startswith(MOMENTS)}
    assert len(kept) == len(before.tensors) - 1
    assert_same_tensors(kept, after.tensors)
    assert before.description == after.description
    assert not list((tmp_path / "back").glob(".*"))


def test_with_state_the_files_are_the_same_bytes(hub: Hub, trained):
    assert run(smac, "push --with-state --to me/umaze", trained) == 0
    name = "seed-4/offline.safetensors"
    assert hub.files("me/umaze")[name] == (trained / name).read_bytes()


def test_the_card_tells_task_algorithm_seeds_and_numbers(hub: Hub, trained):
    training.push_to_hub(trained, "me/umaze")
    card = hub.files("me/umaze")["README.md"]
    about = front_matter(card)
    assert about["library_name"] == "smac-landscape"
    assert about["pipeline_tag"] == "reinforcement-learning"
    assert {"td3", TASK, "offline-to-online"} <= {*about["tags"]}
    assert (about["task"], about["algorithm"], about["seeds"]) == (TASK, ["td3"], [3, 4])
    (results,) = about["model-index"]
    metrics = {m["type"]: m for r in results["results"] for m in r["metrics"]}
    assert metrics["return"]["value"] == -6
    assert metrics["success"]["value"] == 0.5
    low, high = metrics["success"]["args"]["interval_95"]
    assert 0 <= low < 0.5 < high <= 1
    text = card.decode()
    assert 'smac.load(smac.pull_from_hub("me/umaze"))' in text
    assert "smac pretrain --task pointmaze-umaze" in text
    assert "--optimiser-state reset" in text


def test_checkpoints_alone_travel_by_their_names(hub: Hub, trained, tmp_path):
    (tmp_path / "b.safetensors").write_bytes((trained / "seed-4/offline.safetensors").read_bytes())
    files = [trained / "seed-3/offline.safetensors", tmp_path / "b.safetensors"]
    assert run(smac, "push --to me/two", *files) == 0
    folder = training.pull_from_hub("me/two", tmp_path / "two")
    assert {p.name for p in folder.iterdir()} == {"README.md", "offline.safetensors", "b.safetensors"}
    assert load_checkpoint(folder / "b.safetensors").description.seed == 4
    assert front_matter(hub.files("me/two")["README.md"])["seeds"] == [3, 4]


def test_a_landscape_comes_back_without_its_page(hub: Hub, line, tmp_path):
    assert run(landscape, "push --to me/line", line) == 0
    assert run(landscape, f"pull me/line --out {tmp_path}/back") == 0
    assert {p.name for p in (tmp_path / "back").iterdir()} == {
        "README.md", "result.json", "returns.npz", "plot.png"
    }  # fmt: skip
    first, back = landscapes.load(line), landscapes.load(tmp_path / "back")
    np.testing.assert_array_equal(first.returns, back.returns)
    card = hub.files("me/line", kind="datasets")["README.md"]
    assert front_matter(card)["verdicts"] == {"depth": "valley", "largest fall": "not monotone"}
    assert b"There is a valley." in card


def test_what_is_there_is_replaced_only_when_asked(hub: Hub, trained, line, capsys):
    hub.make("me/umaze", {"README.md": b"mine", "old.safetensors": b"x", "run.py": b"print()"})
    assert run(smac, "push --to me/umaze", trained) == 2
    assert "README.md, old.safetensors already" in capsys.readouterr().err
    assert hub.files("me/umaze")["README.md"] == b"mine"
    assert run(smac, "push --replace --to me/umaze", trained) == 0
    now = hub.files("me/umaze")
    assert "old.safetensors" not in now
    assert now["run.py"] == b"print()"  # not ours


def test_a_new_branch_holds_the_new_files_alone(hub: Hub, trained):
    hub.make("me/umaze", {"old.safetensors": b"x"})
    assert run(smac, "push --revision v2 --to me/umaze", trained) == 0
    assert "old.safetensors" in hub.files("me/umaze")
    assert "old.safetensors" not in hub.files("me/umaze", "v2")
    assert "config.json" in hub.files("me/umaze", "v2")


def test_revisions_are_pulled_by_name(hub: Hub, tmp_path, capsys):
    hub.make("me/x", {"a.json": b"1"}).commit({"a.json": b"2"}, "v2")
    assert run(smac, f"pull me/x --revision v2 --out {tmp_path}/a") == 0
    assert (tmp_path / "a/a.json").read_text() == "2"
    assert run(smac, f"pull me/x --revision v3 --out {tmp_path}/b") == 2
    assert "has no revision 'v3'" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_private_is_private_or_refused(hub: Hub, trained, capsys):
    assert run(smac, "push --private --to me/new", trained) == 0
    assert hub.repositories["models", "me/new"].private
    hub.make("me/open", {})
    assert run(smac, "push --private --to me/open", trained) == 2
    assert "is public" in capsys.readouterr().err
    assert set(hub.files("me/open")) == {".gitattributes"}


def test_a_dry_run_sends_and_writes_nothing(hub: Hub, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(smac, "push --dry-run --to me/umaze", trained) == 0
    told = capsys.readouterr().out
    assert f"metrics.csv, bytes: {(trained / 'metrics.csv').stat().st_size}" in told
    assert "secret" not in told
    assert hub.requests == []
    hub.make("me/x", {"a.json": b"{}", "run.py": b"print()"})
    before = sorted(tmp_path.rglob("*"))
    assert run(smac, "pull me/x --dry-run") == 0
    told = capsys.readouterr().out
    assert "a.json, bytes: 2" in told
    assert "other kinds: run.py" in told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["x.py", "x.pkl", "x.pt", "x.html", "x.pth", ".lock.json", "a/.b/x.json", "x.sh"]
)
def test_what_could_be_code_is_left(hub: Hub, tmp_path, name):
    hub.make("me/x", {name: b"import os", "a/a.json": b"{}"})
    folder = training.pull_from_hub("me/x", tmp_path / "out")
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == ["a/a.json"]


@pytest.mark.parametrize(
    "name", ["../x.json", "a/../../x.json", "/x.json", "C:/x.json", "a\\..\\x.json", "..\\x.md"]
)
def test_a_name_that_leads_elsewhere_refuses_the_whole_repository(hub: Hub, tmp_path, name):
    hub.make("me/x", {name: b"{}", "a.json": b"{}"})
    with pytest.raises(UserError, match="leads elsewhere"):
        training.pull_from_hub("me/x", tmp_path / "deep/out")
    assert not list(tmp_path.rglob("*"))


def test_nothing_is_overwritten_and_nothing_is_half_there(hub: Hub, tmp_path, capsys):
    repository = hub.make("me/x", {"a.json": b"{}", "b.json": b"{}"})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.json").write_text("mine")
    assert run(smac, f"pull me/x --out {tmp_path}/mine") == 2
    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "mine/a.json").read_text() == "mine"

    def broken(done: int, total: int) -> None:
        repository.commits.clear()  # after the first file

    with pytest.raises(UserError):
        training.pull_from_hub("me/x", tmp_path / "out", progress=broken)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_commit_that_fails_leaves_the_branch_and_can_be_repeated(hub: Hub, trained, capsys):
    hub.failing = 500
    assert run(smac, "push --to me/umaze", trained) == 2
    assert "status 500" in capsys.readouterr().err
    assert set(hub.files("me/umaze")) == {".gitattributes"}
    assert run(smac, "push --to me/umaze", trained) == 0


@pytest.mark.parametrize(
    ("token", "line", "named"),
    [
        (None, "push {run} --to me/x", "HF_TOKEN"),
        ("hf_wrong", "push {run} --to me/x", "does not accept the token"),
        (READER, "push {run} --to me/x", "may not do this"),
        (WRITER, "push {run} --to x", "user/name"),
        (WRITER, "push {run} --to me/x--y", "me/x--y"),
        (WRITER, "push {run}/none --to me/x", "no such checkpoint"),
        (WRITER, "push {run}/config.json --to me/x", "config.json"),
        (WRITER, "push {run}/seed-3 --to me/x", "config.json"),
        (
            WRITER,
            "push {run}/seed-3/offline.safetensors {run}/seed-4/offline.safetensors --to me/x",
            "one name",
        ),
        (WRITER, "pull me/none", "no such repository"),
        (None, "pull me/none", "no such repository"),
        (WRITER, "pull me/nothing", "holds no file of ours"),
    ],
)
def test_mistakes_are_told_in_one_line(hub: Hub, trained, tmp_path, capsys, monkeypatch, token, line, named):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.chdir(tmp_path)
    hub.make("me/nothing", {"README.md": b"", "x.bin": b""})
    assert run(smac, line.format(run=trained)) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_run_that_has_not_ended_is_refused(hub: Hub, trained, capsys):
    (trained / "state.safetensors").write_bytes(b"")
    assert run(smac, "push --to me/umaze", trained) == 2
    assert "smac resume" in capsys.readouterr().err
    assert hub.requests == []


def test_no_network_is_told_in_one_line(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", WRITER)
    for words in (f"push {trained} --to me/x", f"pull me/x --out {tmp_path}/x"):
        assert run(smac, words) == 2
        error = capsys.readouterr().err
        assert "http://127.0.0.1:9 cannot be reached" in error
        assert error.count("\n") == 1


def test_without_the_extra_a_line_says_what_to_install(trained, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    for words in (f"push {trained} --to me/x", "pull me/x", f"push {trained} --to me/x --dry-run"):
        assert run(smac, words) == 2
        assert "pip install 'smac-landscape[hub]'" in capsys.readouterr().err


def test_names_are_judged_by_their_whole_path():
    assert transport.travels("seed-0/trajectory/step-1.safetensors")
    assert not transport.travels("seed-0/.hidden/a.json")
    assert not transport.travels("a.json.py")
