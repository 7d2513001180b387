"""`--dry-run`: right counts, nothing written, and what the command would refuse is refused."""

import json
from pathlib import Path

import pytest
from support import described, run, run_words, small_agent

from analysis_cli import demo, landscape, smac
from analysis_cli.dry import lasting
from smac.checkpoint import save_checkpoint

PENDULUM = "Pendulum-v1@horizon=15,random=-150,expert=-20"


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """What a dry run prints, which must change nothing in the directory that it is given in."""
    monkeypatch.chdir(tmp_path)

    def printed(program, *words):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        status = run_words(program, [*map(str, words), "--dry-run"])
        after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert after == before
        out, err = capsys.readouterr()
        assert status == 0, err
        assert "time: about " in out
        assert out.endswith("nothing was written\n")
        return out

    return printed


@pytest.fixture
def tuned(tmp_path) -> list[Path]:
    """Two runs of `smac finetune`, each of one seed with a trajectory of one checkpoint."""
    runs = []
    for seed in (0, 1):
        folder = tmp_path / f"tuned-{seed}"
        for k, (place, moment) in enumerate(
            (("offline", "offline"), ("trajectory/step-5", "trajectory"), ("online", "online"))
        ):
            algorithm = "cal_ql" if moment == "offline" else "sac"
            agent, about = small_agent(PENDULUM, algorithm, seed=10 * k + seed)
            about = described(about, moment=moment, seed=seed, algorithm=algorithm, step=5 * k)
            save_checkpoint(folder / f"seed-{seed}/{place}.safetensors", agent.tensors(0), about)
        (folder / "config.json").write_text(json.dumps({"command": "finetune"}))
        runs.append(folder)
    return runs


def test_compare_counts_the_lines_of_both(told, tuned):
    a, b = tuned
    out = told(landscape, "compare", f"A={a}", f"B={b}", "--points", 3, "--episodes", 4)
    assert "would run `landscape compare`: 2 lines of 3 points" in out
    assert "episodes: 24\nenvironment steps, at most: 360\n" in out


def test_compare_refuses_one_method_as_the_command_does(tuned, capsys):
    assert run(landscape, f"compare A={tuned[0]} --dry-run") == 2
    assert "a comparison is of two methods or more" in capsys.readouterr().err


def test_project_counts_checkpoints(told, tuned):
    folders = [run / f"seed-{seed}" for seed, run in enumerate(tuned)]
    assert "6 checkpoints, equal ones once" in (out := told(landscape, "project", *folders, "--episodes", 5))
    assert "episodes: 30\n" in out


def test_forecast_counts_updates_of_the_last_measurement(told, tuned):
    start = tuned[0] / "seed-0/offline.safetensors"
    line = ("--after", 0, 7, "--transitions", 40, "--eval-episodes", 3, "--optimiser-state", "reset")
    out = told(landscape, "forecast", "--from", start, *line)
    assert "environment steps: 40\nupdates: 7\nevaluation episodes: 6\n" in out


def test_tasks_measure_counts_both_policies(told):
    out = told(smac, "tasks", "measure", "pointmaze-umaze", "--episodes", 7)
    assert "1 of 1 tasks, which are not in runs/tasks.md yet" in out
    assert "episodes: 14\nenvironment steps, at most: 4200\n" in out


def test_doctor_counts_samples(told):
    out = told(landscape, "doctor", "--repeats", 15, "--episodes", 4)
    assert "samples of each: 15\n" in out
    assert "samples of each claim: 3\nchecks of the evaluator: 6\n" in out


def test_transfer_counts_every_cell(told, tmp_path):
    collect = "data collect --task pointmaze-umaze@horizon=40 --dataset me/maze-v0 --episodes 4 --out"
    assert run(smac, collect, tmp_path / "data") == 0
    small = "--hidden 8 8 --batch-size 16 --eval-episodes 2"
    out = told(
        smac, "transfer", "--task", "pointmaze-umaze@horizon=40", "--dataset", "me/maze-v0",
        "--data-root", tmp_path / "data", "--offline", "td3_bc,bc", "--also", "td3_bc-td3", "--seeds", 2,
        f"--pretrain={small} --steps 60 --eval-every 30",
        "--finetune=--initialise-critic --batch-size 16 --steps 50 --eval-every 25 --eval-episodes 2",
    )  # fmt: skip
    assert "would run `smac transfer`: 5 cells" in out
    assert "offline steps: 120\nevaluations: 13\nevaluation episodes: 52\nonline steps: 150\n" in out
    assert out.count(": about ") == 6
    assert "policies that are not trained" in out


def test_the_demo_says_all_that_it_would_do(told, tmp_path, monkeypatch):
    small = "--hidden 8 8 --batch-size 16 --steps 4000 --eval-every 1000"
    own = {"smac": "--diffusion-hidden 8 --diffusion-steps 2000", "cal_ql": "--cql-actions 2"}
    monkeypatch.setattr(demo, "PRETRAIN", {name: f"{small} {options}" for name, options in own.items()})
    out = told(landscape, "demo", "--workers", 2, "--out", tmp_path / "demo")
    assert "would run `landscape demo`: 7 commands\n" in out
    assert "\nepisodes: 8800\n" in out
    assert "offline steps: 8000\n" in out
    assert "online steps: 8000\n" in out
    assert "  smac data collect (demo/datasets): about " in out


def test_a_figure_says_what_its_commands_would_do(told, tmp_path):
    out = told(landscape, "reproduce", "fig1", "--preset", "smoke", "--out", tmp_path / "all")
    assert "would run `landscape reproduce`: 4 commands of the preset smoke\n" in out
    assert "  fig1: 4 of its 4 commands, about " in out
    assert f"\nepisodes: {20 + 2 * 28}\n" in out
    assert "online steps: 200\n" in out


@pytest.mark.slow
def test_a_reproduction_shares_commands_between_figures(told, tmp_path):
    out = told(landscape, "reproduce", "all", "--preset", "smoke", "--out", tmp_path / "all")
    assert "  transfer: 2 of its 2 commands, about " in out
    assert "  fig1: 2 of its 4 commands, about " in out
    assert "  retain: 5 of its 7 commands, about " in out
    # lines and paths of two methods and seeds, planes of five by five and three ends, and data
    lines, paths, planes, points, data = 2 * 2 * 5 * 2, 2 * 2 * 3 * 2, 2 * 28, 2 * 2 * 3, 20 + 20
    assert f"\nepisodes: {lines + paths + planes + points + data}\n" in out


def test_a_protocol_needs_no_run(told):
    assert "the protocol of the preset cpu would be written" in told(landscape, "reproduce", "protocol")


def test_the_longest_command_bounds_what_workers_gain():
    assert lasting([60.0, 20.0, 20.0], workers=1) == 100.0
    assert lasting([60.0, 20.0, 20.0], workers=4) == 60.0
    assert lasting([], workers=2) == 0.0
