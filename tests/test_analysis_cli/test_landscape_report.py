"""`landscape report`, `merge`, `doctor` and `interpolate --adaptive`, as a user types them."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from made_pairs import pair_directory, two_methods
from support import described, run, small_agent

from analysis_cli import landscape
from analysis_cli.studies import doctor as command
from landscape.store import Store
from landscape.study import doctor as evaluator
from landscape.study.doctor import Check, check_evaluator
from smac.checkpoint import save_checkpoint

TASK = "Pendulum-v1@horizon=20,random=-150,expert=-20"


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory) -> Path:
    """A run of `smac finetune` with two finished seeds and one that has not ended."""
    folder = tmp_path_factory.mktemp("runs") / "cal-sac"
    for seed in (0, 1, 2):
        for moment, algorithm in (("offline", "cal_ql"), ("online", "sac")):
            agent, description = small_agent(TASK, algorithm, seed=seed + 10 * (moment == "online"))
            about = described(description, moment=moment, seed=seed, algorithm=algorithm)
            if (seed, moment) != (2, "online"):
                path = folder / f"seed-{seed}" / f"{moment}.safetensors"
                save_checkpoint(path, agent.tensors(0), about)
    (folder / "config.json").write_text(json.dumps({"command": "finetune"}))
    return folder


def ends_of(finetuned: Path) -> tuple[object, ...]:
    first = finetuned / "seed-0"
    return "--from", first / "offline.safetensors", "--to", first / "online.safetensors"


@pytest.mark.usefixtures("pages_alone")
def test_report_evaluates_runs_and_goes_on_where_it_was_killed(finetuned, tmp_path, capsys):
    out, line = tmp_path / "r", "report --points 5 --episodes 3"
    assert run(landscape, line, finetuned, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "Cal-QL → SAC" in printed
    assert "seed-2: has no online.safetensors" in printed
    found = json.loads((out / "report.json").read_text())
    assert [pair["seed"] for pair in found["pairs"]] == [0, 1]
    assert [one["place"] for one in found["missing"]] == [str(finetuned / "seed-2")]
    assert {path.name for path in (out / "pairs").iterdir()} == {"cal-sac-seed-0", "cal-sac-seed-1"}
    # as after a kill in the second pair: what is there is taken as it is
    first = (out / "pairs/cal-sac-seed-0/result.json").stat().st_mtime_ns
    for name in ("report.json", "pairs/cal-sac-seed-1/result.json"):
        (out / name).unlink()
    size = Store(out / "episodes").size
    assert run(landscape, line, finetuned, "--out", out) == 0
    assert (out / "pairs/cal-sac-seed-0/result.json").stat().st_mtime_ns == first
    assert Store(out / "episodes").size == size == 2 * 5 * 3
    again = json.loads((out / "report.json").read_text())
    assert again["pairs"] == found["pairs"]
    assert run(landscape, line, finetuned, "--out", out) == 2
    assert "finished report" in capsys.readouterr().err


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a study but its episodes."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "episodes"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def failing(monkeypatch, place: str):
    """The function at `place` raises as a full disk does."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(place, full)


def test_a_study_that_ended_without_its_pictures_draws_them(finetuned, tmp_path, capsys, monkeypatch):
    line = "interpolate --points 5 --episodes 3"
    whole, out = tmp_path / "whole", tmp_path / "out"
    for path in (whole, out):
        with monkeypatch.context() as patch:
            if path == out:
                failing(patch, "figures.draw.draw")
            status = run(landscape, line, *ends_of(finetuned), "--out", path)
        assert status == (2 if path == out else 0)
    assert "No space left" in capsys.readouterr().err
    assert (out / "result.json").exists()
    (out / ".plot.png.1.tmp.png").touch()  # of a kill
    assert run(landscape, line, *ends_of(finetuned), "--out", out) == 0
    found, expected = contents(out), contents(whole)
    assert found.keys() == expected.keys()
    for name in ("returns.npz", "plot.png", "study.json"):
        assert found[name] == expected[name], name
    (out / "plot.pdf").unlink()
    assert run(landscape, line, *ends_of(finetuned), "--out", out) == 0
    assert (out / "plot.pdf").exists()
    assert run(landscape, line, *ends_of(finetuned), "--out", out) == 2
    assert "finished result" in capsys.readouterr().err


@pytest.mark.usefixtures("pages_alone")
@pytest.mark.parametrize("place", ["figures.draw.draw", "analysis_cli.studies.report.draw"])
def test_a_report_that_ended_without_pictures_draws_them(finetuned, tmp_path, monkeypatch, place):
    out, line = tmp_path / "r", "report --points 3 --episodes 2"
    with monkeypatch.context() as patch:
        failing(patch, place)
        assert run(landscape, line, finetuned, "--out", out) == 2
    assert run(landscape, line, finetuned, "--out", out) == 0
    assert len(list(out.glob("pairs/*/plot.html"))) == 2
    assert (out / "report.html").exists()
    assert run(landscape, line, finetuned, "--out", out) == 2
    (out / "pairs/cal-sac-seed-1/plot.html").unlink()
    assert run(landscape, line, finetuned, "--out", out) == 0
    assert (out / "pairs/cal-sac-seed-1/plot.html").exists()


def test_report_reads_finished_results(tmp_path, capsys):
    pairs = two_methods(tmp_path / "pairs", seeds=1)
    assert run(landscape, "report --out", tmp_path / "r", *pairs) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "SMAC → SAC is connected in its one training seed" in printed
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "study.json", "report.json", "report.html", "report.md", "report.tex", "paths.png", "paths.pdf",
        "plotly.min.js",
    }  # fmt: skip


def test_a_run_named_twice_is_refused_before_an_episode_is_played(finetuned, tmp_path, capsys):
    assert run(landscape, "report --out", tmp_path / "out", finetuned, finetuned / "../cal-sac") == 2
    assert "seed-0: is named 2 times" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_line_from_a_policy_to_itself_is_refused(finetuned, tmp_path, capsys):
    start = finetuned / "seed-0/offline.safetensors"
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(start.read_bytes())
    for end in (start, copy):
        assert run(landscape, "interpolate --out", tmp_path / "out", "--from", start, "--to", end) == 2
        assert "have the same parameters where the line moves" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_wrong_input_to_report_is_one_line_and_status_2(tmp_path, capsys):
    good = pair_directory(tmp_path / "good")
    other = pair_directory(tmp_path / "other", "iql", 3, task="pointmaze-medium")
    damaged = pair_directory(tmp_path / "damaged", "iql", 1)
    (damaged / "returns.npz").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    for inputs, words in (
        ((), "at least one result"),
        ((tmp_path / "empty",), "empty: neither a result"),
        ((tmp_path / "nowhere",), "nowhere: neither a result"),
        ((good, other), "differ in task"),
        ((good, damaged), "damaged/returns.npz"),
    ):
        assert run(landscape, "report --out", tmp_path / "out", *inputs) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
        assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("pages_alone")
def test_adaptive_interpolation_by_command(finetuned, tmp_path, capsys):
    ends = (
        "--from",
        finetuned / "seed-0/offline.safetensors",
        "--to",
        finetuned / "seed-0/online.safetensors",
    )
    line = "interpolate --points 5 --adaptive --first-episodes 3 --most-episodes 6"
    assert run(landscape, line, *ends, "--out", tmp_path / "a") == 0
    assert "still open" in capsys.readouterr().out
    analysis = json.loads((tmp_path / "a" / "result.json").read_text())["analysis"]
    assert analysis["stages"][0]["episodes"] == 3
    assert max(analysis["episodes"]) in (3, 6)
    wrong = "interpolate --points 5 --adaptive --first-episodes 9 --most-episodes 6"
    assert run(landscape, wrong, *ends, "--out", tmp_path / "b") == 2
    assert "first <= most" in capsys.readouterr().err


@pytest.mark.usefixtures("pages_alone")
def test_report_plays_its_lines_stage_by_stage(finetuned, tmp_path, capsys):
    line = "report --points 5 --adaptive --first-episodes 3 --most-episodes 6"
    assert run(landscape, line, finetuned, "--out", tmp_path / "a") == 0
    for seed in (0, 1):
        found = json.loads((tmp_path / f"a/pairs/cal-sac-seed-{seed}/result.json").read_text())["analysis"]
        assert found["stages"][0]["episodes"] == 3
        assert max(found["episodes"]) in (3, 6)
    capsys.readouterr()
    for wrong, words in (("--most-episodes 2", "first <= most"), ("--shard 1/2", "cannot be split")):
        assert run(landscape, f"{line} {wrong}", finetuned, "--out", tmp_path / "b") == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "b").exists()


@pytest.mark.usefixtures("pages_alone")
def test_merge_takes_stores_and_studies(finetuned, tmp_path, capsys):
    ends = (
        "--from",
        finetuned / "seed-0/offline.safetensors",
        "--to",
        finetuned / "seed-0/online.safetensors",
    )
    shards = [tmp_path / "one", tmp_path / "two"]
    for k, out in enumerate(shards, start=1):
        line = f"interpolate --points 5 --episodes 2 --shard {k}/2"
        assert run(landscape, line, *ends, "--out", out) == 0
    capsys.readouterr()
    # a study by its directory, a store by its own
    assert run(landscape, "merge --out", tmp_path / "all", shards[0], shards[1] / "episodes") == 0
    assert "10 episodes of 5 policies from 2 stores" in capsys.readouterr().out
    line = "interpolate --points 5 --episodes 2 --store"
    assert run(landscape, line, tmp_path / "all", *ends, "--out", tmp_path / "whole") == 0
    assert Store(tmp_path / "all").size == 10  # nothing was played again
    with np.load(tmp_path / "whole" / "returns.npz") as arrays:
        assert np.isfinite(arrays["returns"]).all()


def test_wrong_input_to_merge(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for inputs, words in (((), "at least one store"), ((tmp_path / "empty",), "empty: not a store")):
        assert run(landscape, "merge --out", tmp_path / "all", *inputs) == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "all").exists()


def test_doctor_tells_a_sound_installation_from_a_broken_one(tmp_path, capsys, monkeypatch):
    """The evaluator's own checks are another test; here one that fails stands in for them."""
    sound = (Check("one is one", True, "equal in every bit"),)
    monkeypatch.setattr(command, "check_evaluator", lambda progress: sound)
    assert run(landscape, "doctor --repeats 6 --episodes 10 --out", tmp_path / "d.json") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "This installation is right: on 6 landscapes" in printed
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["failures"] == []
    assert len(found["calibration"]["cases"]) == 6
    assert run(landscape, "doctor --repeats 6 --out", tmp_path / "d.json") == 2
    broken = (Check("one is one", False, "3 of 25 returns differ"),)
    monkeypatch.setattr(command, "check_evaluator", lambda progress: broken)
    assert run(landscape, "doctor --repeats 6 --episodes 10") == 1
    assert "NOT right: one is one: 3 of 25 returns differ" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_the_evaluator_of_this_machine_is_sound():
    checks = check_evaluator()
    assert len(checks) == 6
    assert all(check.holds for check in checks), checks


def test_the_doctor_sees_one_bit(tmp_path):
    """Without the second worker, which takes seconds to start; the same line with one return changed."""
    short = evaluator._Line(evaluator.TASKS[1])
    fresh = short.play(evaluator._EVALUATION)
    assert evaluator._resumed(short, fresh, tmp_path) == evaluator._ends(short, fresh, tmp_path) == ""
    fresh.returns[0, 1] = np.nextafter(fresh.returns[0, 1], 0)
    assert evaluator._resumed(short, fresh, tmp_path) == "1 of 25 returns differ"
    assert "other returns" in evaluator._ends(short, fresh, tmp_path)
