"""The commands as a user types them, from data to verdict, and what they say to wrong input."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import run, small_agent

from analysis_cli import landscape, smac
from figures.output import Output, written_as
from smac.checkpoint import load_checkpoint, save_checkpoint

TINY = "--hidden 8 8 --batch-size 8 --steps 6 --log-every 3 --eval-every 6 --eval-episodes 1 --device cpu"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Data, two pre-trained and one fine-tuned agent, made by commands."""
    root = tmp_path_factory.mktemp("project")
    data = root / "data"
    assert run(smac, "data collect --task pointmaze-umaze --episodes 4 --out", data) == 0
    pretrain = f"pretrain --task pointmaze-umaze {TINY}"
    extra = "--diffusion-steps 4 --diffusion-hidden 8"
    assert run(smac, f"{pretrain} --algorithm smac {extra} --data-root", data, "--out", root / "smac") == 0
    assert (
        run(smac, f"{pretrain} --algorithm cal_ql --cql-actions 2 --data-root", data, "--out", root / "cal")
        == 0
    )
    finetune = "finetune --steps 30 --batch-size 8 --eval-every 15 --eval-episodes 1 --trajectory-every 10"
    assert (
        run(smac, f"{finetune} --from", root / "smac/seed-0/offline.safetensors", "--out", root / "online")
        == 0
    )
    return root


def test_a_run_directory_holds_what_the_readme_says(root):
    config = json.loads((root / "online" / "config.json").read_text())
    assert config["command"] == "finetune"
    assert config["command_line"].startswith("smac finetune --steps 30")
    assert config["online"]["steps"] == 30
    assert config["agent"]["hidden"] == [8, 8]  # taken from the checkpoint
    assert config["versions"]["torch"]
    names = sorted(
        p.relative_to(root / "online").as_posix() for p in (root / "online").rglob("*.safetensors")
    )
    assert names == [
        "seed-0/offline.safetensors",
        "seed-0/online.safetensors",
        "seed-0/trajectory/step-00000010.safetensors",
        "seed-0/trajectory/step-00000020.safetensors",
        "seed-0/trajectory/step-00000030.safetensors",
    ]


def test_task_and_algorithm_choose_the_defaults(root, capsys):
    config = json.loads((root / "cal" / "config.json").read_text())
    assert config["agent"]["cql_actions"] == 2
    assert run(smac, "pretrain --task door-binary --algorithm cal_ql --help") == 0
    text = capsys.readouterr().out
    assert "--cql-alpha" in text
    assert "(default: 1.0)" in text
    assert "512 512" in text


def test_interpolate_twice_and_with_two_workers_gives_the_same_matrix(root, tmp_path, capsys):
    ends = (
        "--from",
        root / "online/seed-0/offline.safetensors",
        "--to",
        root / "online/seed-0/online.safetensors",
    )
    for name, workers, formats in (("a", 1, ("png", "pdf")), ("b", 1, ()), ("c", 2, ())):
        line = f"interpolate --points 3 --episodes 5 --workers {workers}"
        with written_as(Output(formats=formats)):
            assert run(landscape, line, *ends, "--out", tmp_path / name) == 0
    printed = capsys.readouterr().out
    assert "valley depth V" in printed
    assert "on the straight line from offline SMAC to online SAC" in printed
    assert str(tmp_path / "a" / "plot.html") in printed
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "study.json", "episodes", "returns.npz", "result.json", "plot.png", "plot.pdf", "plot.html",
        "plotly.min.js",
    }  # fmt: skip
    matrices = [np.load(tmp_path / name / "returns.npz") for name in "abc"]
    for name in matrices[0].files:
        np.testing.assert_array_equal(matrices[0][name], matrices[1][name])
        np.testing.assert_array_equal(matrices[0][name], matrices[2][name])
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert result["verdict"] in ("connected", "valley", "undecided")
    assert {"estimate", "lower", "upper"} == set(result["analysis"]["V"])
    for number in ("V", "DD", "B_chord", "B_mean"):
        assert result["analysis"][number]["lower"] <= result["analysis"][number]["estimate"]
    assert result["command"].startswith("landscape interpolate --points 3")


def test_evaluate_writes_what_it_prints(root, tmp_path, capsys):
    checkpoint = root / "online/seed-0/online.safetensors"
    assert run(smac, "evaluate --episodes 3 --out", tmp_path / "e", checkpoint) == 0
    result = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert f"{result['return']['mean']:.3f}" in capsys.readouterr().out
    assert -300 <= result["return"]["mean"] <= 0


def test_a_run_directory_fine_tunes_every_seed_as_a_stack(root, tmp_path):
    line = f"pretrain --task pointmaze-umaze --algorithm cal_ql --cql-actions 2 --seed 3 --seeds 2 {TINY}"
    assert run(smac, f"{line} --data-root", root / "data", "--out", tmp_path / "two") == 0
    line = "finetune --steps 20 --batch-size 8 --eval-every 20 --eval-episodes 1 --trajectory-every 0"
    assert run(smac, f"{line} --from", tmp_path / "two", "--out", tmp_path / "online") == 0
    for seed in (3, 4):
        about = load_checkpoint(tmp_path / "online" / f"seed-{seed}" / "online.safetensors").description
        assert (about.seed, about.history[0]["algorithm"]) == (seed, "cal_ql")
    evaluates_what_each_seed_ended_with(tmp_path / "online", tmp_path)


def evaluates_what_each_seed_ended_with(online: Path, tmp_path: Path) -> None:
    assert run(smac, "evaluate --episodes 2 --out", tmp_path / "both", online) == 0
    both = json.loads((tmp_path / "both" / "evaluation.json").read_text())
    returns = []
    for seed in ("3", "4"):
        end = online / f"seed-{seed}" / "online.safetensors"
        assert run(smac, "evaluate --episodes 2 --out", tmp_path / seed, end) == 0
        alone = json.loads((tmp_path / seed / "evaluation.json").read_text())
        assert {name: alone[name]["mean"] for name in both["seeds"][seed]} == both["seeds"][seed]
        returns.append(alone["return"]["mean"])
    over = both["over_seeds"]["return"]
    assert over["mean"] == pytest.approx(np.mean(returns))
    assert np.isnan(over["low"])  # two seeds support no interval
    assert both["command"].startswith("smac evaluate --episodes 2")


@pytest.mark.slow
def test_kill_9_and_resume(root, tmp_path, capsys):
    """A real process, really killed in either phase; the files are those of a run that was left alone."""
    data = str(root / "data")
    pretrain = (
        "pretrain --task pointmaze-umaze --algorithm smac --hidden 8 8 --batch-size 8 --steps 400 "
        "--diffusion-steps 200 --diffusion-hidden 8 --log-every 100 --eval-every 200 --eval-episodes 1 "
        f"--save-every 50 --device cpu --data-root {data}"
    )
    finetune = (
        "finetune --steps 600 --batch-size 8 --eval-every 300 --log-every 100 --eval-episodes 1 "
        f"--save-every 50 --trajectory-every 200 --from {tmp_path}/whole-pretrain/seed-0/offline.safetensors"
    )
    for name, line in (("pretrain", pretrain), ("finetune", finetune)):
        whole, killed = tmp_path / f"whole-{name}", tmp_path / f"killed-{name}"
        assert run(smac, line, "--out", whole) == 0
        kill_when_saved([*line.split(), "--out", str(killed)], killed / "state.safetensors")
        assert run(smac, f"status {killed}") == 0
        assert "last seen" in capsys.readouterr().out
        assert run(smac, f"resume {killed}") == 0
        names = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
        assert names == sorted(p.relative_to(killed) for p in killed.rglob("*") if p.is_file())
        for file in set(names) - {Path("config.json")}:
            assert (whole / file).read_bytes() == (killed / file).read_bytes(), file
        capsys.readouterr()
        assert run(smac, f"resume {killed}") == 0
        assert "nothing to resume" in capsys.readouterr().out


def kill_when_saved(arguments: list[str], state: Path) -> None:
    """Start `smac` as a process of its own and kill -9 it once it has saved its state a few times."""
    process = subprocess.Popen(
        [sys.executable, "-m", "analysis_cli.smac", *arguments], stdout=subprocess.DEVNULL
    )
    seen, saves = 0.0, 0
    while process.poll() is None and saves < 3:
        time.sleep(0.005)
        if state.exists() and state.stat().st_mtime != seen:
            seen, saves = state.stat().st_mtime, saves + 1
    process.kill()
    process.wait()
    assert saves == 3, "it ended before it could be killed"


def test_only_the_command_that_was_typed_is_imported() -> None:
    """So that a training run does not begin with importing what draws."""
    code = """if True:
        import sys
        from analysis_cli.smac import parse
        slow = ("matplotlib", "scipy.stats")
        for line in sys.argv[1:]:
            print(type(parse(line.split())).__name__, *(name in sys.modules for name in slow))
        """
    lines = "train --task pointmaze-umaze", "render --out a.gif none.safetensors"
    done = subprocess.run([sys.executable, "-c", code, *lines], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["Train False False", "Render True False"], done.stderr


# ---- wrong input: one line, exit status 2, nothing written ---------------------------------------------


@pytest.fixture
def refused(root, tmp_path, capsys):
    """Call a command that must fail; returns the one line it printed."""

    def call(program, line: str, *paths: object) -> str:
        capsys.readouterr()
        before = sorted(p for p in root.rglob("*"))
        assert run(program, line, *paths, "--out", tmp_path / "out") == 2
        printed = capsys.readouterr()
        assert printed.out.strip() == ""
        assert len(printed.err.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()
        assert sorted(p for p in root.rglob("*")) == before
        return printed.err

    return call


def test_a_missing_file(root, refused):
    online = root / "online/seed-0/online.safetensors"
    assert "no such checkpoint file" in refused(landscape, "interpolate --from none.safetensors --to", online)
    assert "no such checkpoint file" in refused(smac, "finetune --from none.safetensors")
    assert "no such checkpoint file" in refused(smac, "evaluate none.safetensors")
    assert "config.json: no such file" in refused(smac, "evaluate", root / "data")
    assert "none.npz" in refused(smac, "data import --source none.npz")


def test_a_checkpoint_of_another_task(root, refused, tmp_path):
    agent, description = small_agent("pointmaze-medium", hidden=(8, 8))
    medium = save_checkpoint(tmp_path / "medium.safetensors", agent.tensors(0), description)
    online = root / "online/seed-0/online.safetensors"
    message = refused(landscape, "interpolate --from", online, "--to", medium)
    assert "pointmaze-umaze" in message
    assert "pointmaze-medium" in message


def test_a_truncated_file(root, refused, tmp_path):
    online = root / "online/seed-0/online.safetensors"
    half = tmp_path / "half.safetensors"
    half.write_bytes(online.read_bytes()[:5000])
    message = refused(landscape, "interpolate --to", online, "--from", half)
    assert "half.safetensors: not a readable safetensors file (it is damaged" in message
    assert "half.safetensors: damaged" in refused(smac, "finetune --from", half)
    assert "half.safetensors: not a readable safetensors file" in refused(smac, "evaluate", half)


def test_an_unknown_task_or_algorithm(root, refused):
    data = ("--data-root", root / "data")
    assert "did you mean 'pointmaze-umaze'" in refused(smac, "data collect --task pointmaze-umazes")
    assert "unknown task 'maze'" in refused(smac, "pretrain --task maze --algorithm smac", *data)
    message = refused(smac, "pretrain --task pointmaze-umaze --algorithm sac", *data)
    assert "choose from bc, cal_ql, cql, iql, smac, td3_bc" in message
    message = refused(smac, "finetune --algorithm smac --from", root / "smac/seed-0/offline.safetensors")
    assert "choose from awr, sac, td3, td3_bc" in message


def test_one_point(root, refused):
    ends = (
        "--from",
        root / "online/seed-0/offline.safetensors",
        "--to",
        root / "online/seed-0/online.safetensors",
    )
    assert "--points must be at least 3" in refused(landscape, "interpolate --points 1", *ends)
    assert "--episodes must be at least 1" in refused(landscape, "interpolate --episodes 0", *ends)


def test_numbers_that_make_no_sense(root, refused):
    pretrain = "pretrain --task pointmaze-umaze --algorithm smac"
    data = ("--data-root", root / "data")
    assert "--eval-every must be at least 1" in refused(smac, f"{pretrain} --eval-every 0", *data)
    assert "--discount must lie in [0, 1)" in refused(smac, f"{pretrain} --discount 1.0", *data)
    assert "--seeds must be at least 1" in refused(smac, f"{pretrain} --seeds 0", *data)
    assert "--threads must be" in refused(smac, f"{pretrain} --threads 0", *data)
    assert "--device nonsense" in refused(smac, f"{pretrain} --device nonsense", *data)
    start = root / "smac/seed-0/offline.safetensors"
    assert "--updates-per-step must be at least 1" in refused(
        smac, "finetune --updates-per-step 0 --from", start
    )
    message = refused(smac, "finetune --hidden 9 9 --from", start)
    assert "--hidden: `smac finetune` has none, the checkpoint decides it" in message
    assert "wander is a probability" in refused(smac, "data collect --task pointmaze-umaze --wander 2")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("interpolate --extrapolate nan", "extrapolate must be a finite number >= 0"),
        ("interpolate --extrapolate -1", "extrapolate must be a finite number >= 0"),
        ("interpolate --margin inf", "--margin must be a finite"),
        ("interpolate --margin -1", "--margin must be a finite"),
        ("interpolate --confidence 1", "confidence must lie between 0 and 1"),
        ("interpolate --confidence nan", "confidence must lie between 0 and 1"),
        ("interpolate --time-limit nan", "--time-limit must be"),
        ("interpolate --time-limit 0", "--time-limit must be"),
        ("interpolate --workers 0", "--workers must be at least 1"),
        ("interpolate --seed -1", "--seed must be at least 0"),
        ("interpolate --shard 3/2", "--shard must be K/N"),
        ("interpolate --adaptive --first-episodes 0", "first"),
        ("interpolate --adaptive --first-episodes 20 --most-episodes 10", "most"),
        ("interpolate --fields q --probe-data none/such-v0", "none/such-v0"),
        ("curve --bends 0", "--bends must be 1"),
        ("curve --confidence 2", "confidence must lie between 0 and 1"),
        ("align --points 2", "--points must be at least 3"),
        ("align --margin nan", "--margin must be a finite"),
    ],
)
def test_landscapes_refuse_numbers_out_of_range_before_they_play(root, refused, options, word):
    seeds = [root / f"online/seed-0/{moment}.safetensors" for moment in ("offline", "online")]
    assert word in refused(landscape, options, "--from", seeds[0], "--to", seeds[1])


def test_a_dataset_that_is_not_there_or_of_another_task(root, refused):
    data = ("--data-root", root / "data")
    message = refused(smac, "pretrain --task pointmaze-medium --algorithm smac", *data)
    assert "smac data collect --task pointmaze-medium" in message
    line = "pretrain --task pointmaze-medium --algorithm smac --dataset smac/pointmaze-umaze-v0"
    assert "pointmaze-umaze" in refused(smac, line, *data)


def test_resume_and_status_of_no_run(root, tmp_path, capsys):
    for verb in ("resume", "status"):
        assert run(smac, f"{verb} {tmp_path / 'none'}") == 2
        assert "no such run directory" in capsys.readouterr().err
        assert run(smac, f"{verb} {root / 'data'}") == 2
        assert "config.json: no such file" in capsys.readouterr().err


def test_an_existing_directory_is_not_overwritten(root, capsys):
    before = (root / "smac" / "metrics.csv").read_bytes()
    line = f"pretrain --task pointmaze-umaze --algorithm smac {TINY} --diffusion-steps 2 --data-root"
    assert run(smac, line, root / "data", "--out", root / "smac") == 2
    assert "already exists and is not empty" in capsys.readouterr().err
    assert (root / "smac" / "metrics.csv").read_bytes() == before


def test_options_of_the_wrong_type_are_told_by_the_parser(capsys):
    assert run(smac, "evaluate --episodes many x.safetensors") == 2
    assert run(landscape, "interpolate --from a") == 2
    assert "--to" in capsys.readouterr().err


def test_the_installed_programs_start_and_explain_themselves():
    environment = os.environ | {"COLUMNS": "100"}
    for program in ("smac", "landscape"):
        done = subprocess.run(
            [sys.executable, "-m", f"analysis_cli.{program}", "--help"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert f"usage: {program}" in done.stdout
