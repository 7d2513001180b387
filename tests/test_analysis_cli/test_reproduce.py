"""The plans of the paper's figures; that they run to the end is shown by the smoke preset."""

import json
import os
import shlex
import signal
from importlib import import_module
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from support import forked, run

from analysis_cli import landscape, smac
from analysis_cli.ended import has_ended
from analysis_cli.reproduce.benchmarks import PARTS, POLICIES
from analysis_cli.reproduce.plan import STEPS, Step
from analysis_cli.reproduce.presets import PRESETS, Preset
from analysis_cli.reproduce.protocol import protocol_page
from figures.paper import FIGURES, PaperFigure
from figures.style import save
from smac.agents import OFFLINE
from smac.errors import UserError
from smac.training.run import Run


def test_every_figure_has_its_plan() -> None:
    assert list(STEPS) == list(FIGURES)


def test_kappa_is_known_of_variants_that_differ_in_nothing_else() -> None:
    assert [PARTS[name].kappa for name in ("kappa 0", "default", "kappa 1")] == [0.0, 0.1, 1.0]
    assert [PARTS[name].kappa for name in ("paper form", "Muon")] == [None, None]
    assert PARTS["Muon"].options == "--optimiser muon"


@pytest.mark.parametrize("name", PRESETS)
def test_every_command_of_every_preset_is_one_that_the_programs_take(name: str) -> None:
    seen = set()
    for steps in STEPS.values():
        for step in steps(PRESETS[name]):
            program, *words = step.words
            reads_a_checkpoint = words[0] == "finetune"  # for its defaults, and there is none
            if step.words not in seen and not reads_a_checkpoint:
                assert import_module(f"analysis_cli.{program}").parse(words) is not None, shlex.join(
                    step.words
                )
            seen.add(step.words)
    assert len(seen) > 5


def test_options_of_cells_are_those_of_the_programs() -> None:
    from analysis_cli.smac import parse

    for preset in PRESETS.values():
        for benchmark in preset.benchmarks:
            for a in preset.offline:
                words = f"pretrain --task {benchmark.task} --algorithm {a} {benchmark.pretrain}"
                command = parse(shlex.split(f"{words} {benchmark.only.get(a, '')}"))
                assert command.agent.actor_lr > 0
            for name, variant in benchmark.variants.items():
                words = f"pretrain --task {benchmark.task} --algorithm smac {variant.options}"
                assert parse(shlex.split(words)).algorithm == "smac", name


def test_brief_phases_are_no_longer_than_the_whole_ones() -> None:
    def steps_of(options: str) -> int:
        words = options.split()
        return int(words[len(words) - words[::-1].index("--steps")])  # the last one counts

    for preset in PRESETS.values():
        for benchmark in preset.benchmarks:
            brief = benchmark.brief()
            assert steps_of(brief.pretrain) <= steps_of(benchmark.pretrain)
            assert steps_of(brief.finetune) <= steps_of(benchmark.finetune)
            for a, options in benchmark.only.items():
                if "--steps" in options:
                    assert steps_of(brief.only[a]) <= steps_of(options)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_offline_method_takes_the_same_number_of_gradient_steps(preset: Preset) -> None:
    for benchmark in (b for whole in preset.benchmarks for b in (whole, whole.brief())):
        own = [words for method, words in benchmark.only.items() if method in OFFLINE]
        own += [variant.options for variant in benchmark.variants.values()]
        assert not any(" --steps" in f" {words}" for words in own)
        assert benchmark.pretrain.count("--steps ") >= 1


def test_the_protocol_of_a_preset_tells_what_its_commands_give() -> None:
    page = protocol_page(PRESETS["cpu"].of_tasks(["pen-binary"]))
    pen = page[page.index("## pen-binary, offline") :]
    offline, online = pen.split("## pen-binary, online")
    assert "| reward | as it is | x 10 +5 | x 10 +5 | as it is |" in offline
    assert "| reward | as it is | x 10 +5 | x 10 +5 | as it is | as it is | as it is | x 10 +5 |" in online
    assert "| observations | raw | raw | raw | standardised |" in offline
    assert online.count("| temperature at the switch |" + 9 * " entropy |") == 1


def test_tasks_whose_data_need_a_published_policy_are_left_out_without_it() -> None:
    cpu = PRESETS["cpu"]
    assert [b.label for b in cpu.available(False).benchmarks] == [
        "pointmaze-umaze", "pointmaze-medium", "kitchen-partial"
    ]  # fmt: skip
    assert cpu.available(True) == cpu
    collects = [
        step.words
        for step in STEPS["fig2"](cpu)
        if step.words[1:3] == ("data", "collect") and any(POLICIES in word for word in step.words)
    ]
    assert len(collects) == 1  # pen is figure 2's second environment


def test_the_papers_six_tasks_are_there_and_can_be_asked_for() -> None:
    six = ["pen-binary", "kitchen-partial", "hopper", "door-binary", "walker2d", "relocate-binary"]
    for name in ("cpu", "gpu"):
        assert [b.label for b in PRESETS[name].of_tasks(six).benchmarks] == six
    with pytest.raises(UserError, match="--tasks pen: is not in the preset cpu, which has pointmaze-umaze"):
        PRESETS["cpu"].of_tasks(["pen"])


def test_tasks_without_their_policies_are_refused_before_anything_is_written(tmp_path, capsys) -> None:
    out = tmp_path / "out"
    assert run(landscape, "reproduce transfer --tasks hopper --out", out) == 2
    assert "hopper: left out, name the folder of policies with --policies" in capsys.readouterr().err
    assert not out.exists()


def test_connectivity_looks_at_the_seeds_that_were_trained() -> None:
    preset = PRESETS["cpu"].available(False)
    runs = {
        word.removesuffix("/offline.safetensors").removesuffix("/online.safetensors")
        for figure in ("connectivity", "fig1")
        for step in STEPS[figure](preset)
        for word in step.words
        if "umaze/finetune/smac-sac/seed-" in word
    }
    folder = "./transfer/pointmaze-umaze/finetune/smac-sac"
    assert runs == {f"{folder}/seed-{seed}" for seed in range(5, 10)}


@pytest.mark.parametrize("name", PRESETS)
def test_fig1_lays_u_and_v_through_what_the_transfer_leaves(name: str) -> None:
    """Offline, SAC-tuned and TD3+BC-tuned of every offline method, all of them trained in the preset."""
    preset = PRESETS[name].available(False)
    planes = [step.words for step in STEPS["fig1"](preset) if step.words[1] == "plane"]
    assert len(planes) == len(preset.benchmarks) * len(preset.offline)
    trained = {f"{a}-sac" for a in preset.offline} | set(preset.also)
    for words, method in zip(planes, preset.offline * len(preset.benchmarks), strict=True):
        at = words.index("--through")
        assert words[at + 4 : at + 6] == ("--axes", "uv")
        ends = [word.split("/")[-3:] for word in words[at + 1 : at + 4]]
        assert [(pair, file) for pair, _, file in ends] == [
            (f"{method}-sac", "offline.safetensors"), (f"{method}-sac", "online.safetensors"),
            (f"{method}-td3_bc", "online.safetensors"),
        ]  # fmt: skip
        assert {pair for pair, _, _ in ends} <= trained


def test_a_step_is_recorded_as_its_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis_cli.console import as_typed, command_line

    monkeypatch.setattr("sys.argv", ["landscape", "reproduce", "fig2"])
    with as_typed(["smac", "transfer", "--task", "a b"]):
        assert command_line("smac") == "smac transfer --task 'a b'"
    assert command_line("landscape") == "landscape reproduce fig2"


def test_retain_fine_tunes_every_pair_of_transfer_with_the_data_that_it_was_pretrained_on() -> None:
    cpu = PRESETS["cpu"]
    plan = {step.done: step.words for step in STEPS["retain"](cpu)}
    cells = {f"retain/{b.label}/{pair}/summary.json" for b in cpu.benchmarks for pair in cpu.pairs}
    assert cells == {done for done in plan if done.startswith("retain")}
    words = plan["retain/pen-binary/smac-td3/summary.json"]
    assert words[words.index("--from") + 1] == "./transfer/pen-binary/pretrain/smac"
    assert words[words.index("--dataset") + 1] == "reproduce/pen-binary-v0"
    assert words[words.index("--offline-ratio") + 1] == "0.5"
    assert "--temperature-lr" not in words  # that is SAC's own
    assert "--temperature-lr" in plan["retain/pen-binary/iql-sac/summary.json"]


def killed_after_its_summary() -> None:
    Run.forget_state = lambda self: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]


def test_a_run_killed_after_its_summary_has_not_ended_until_it_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = (
        "train --task pointmaze-umaze --algorithm sac --hidden 8 8 --critic-hidden 8 8 --batch-size 16 "
        "--steps 40 --eval-every 40 --log-every 20 --eval-episodes 1 --save-every 20 --warmup-steps 10 "
        f"--out {out}"
    )
    killed = forked(smac, words.split(), before=killed_after_its_summary)
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert (out / "summary.json").exists()
    assert (out / "seed-0/online.safetensors").exists()
    assert not has_ended(out / "summary.json")
    assert run(smac, "resume", out) == 0
    assert has_ended(out / "summary.json")


def test_a_study_has_ended_when_it_lists_its_files(tmp_path: Path) -> None:
    done = tmp_path / "report.html"
    assert not has_ended(done)
    done.write_text("")
    assert has_ended(done), "of an older version, which listed none"
    for files, ended in ((None, False), (["report.html", "report.md"], False), (["report.html"], True)):
        (tmp_path / "study.json").write_text(json.dumps({"command": "report", "files": files}))
        assert has_ended(done) is ended


def test_a_matrix_has_ended_with_all_of_its_cells(tmp_path: Path) -> None:
    (tmp_path / "transfer.json").write_text("{}")
    (tmp_path / "plan.json").write_text(json.dumps({"cells": {"pretrain/bc": []}}))
    cell = tmp_path / "pretrain/bc"
    (cell / "seed-0").mkdir(parents=True)
    (cell / "config.json").write_text(json.dumps({"command": "pretrain"}))
    assert not has_ended(tmp_path / "transfer.json")
    (cell / "seed-0/offline.safetensors").write_bytes(b"")
    assert has_ended(tmp_path / "transfer.json")


def test_style_width_and_formats_hold_for_every_picture_of_a_figure(tmp_path, monkeypatch, capsys) -> None:
    def draw(root: Path, preset: object) -> list[Path]:
        fig = Figure(figsize=(5.0, 4.0))
        fig.add_subplot().set_title("title")
        return save(fig, root / "figures" / "fig1" / "picture")

    monkeypatch.setitem(STEPS, "fig1", lambda preset: [Step(("smac", "tasks"), "reproduction.json")])
    monkeypatch.setitem(FIGURES, "fig1", PaperFigure("fig1", "a picture", draw))
    line = "reproduce fig1 --preset smoke --style paper --width 3in --formats svg --out"
    assert run(landscape, line, tmp_path / "all") == 0
    assert [path.name for path in (tmp_path / "all/figures/fig1").glob("picture.*")] == ["picture.svg"]
    svg = (tmp_path / "all/figures/fig1/picture.svg").read_text()
    assert 'width="216pt"' in svg
    assert run(landscape, "reproduce fig1 --preset smoke --width 3parsec --out", tmp_path / "other") == 2
    assert "'3parsec' is no width" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_misspelt_figure_is_told_with_the_closest(capsys) -> None:
    assert run(landscape, "reproduce trnasfer") == 2
    assert "there is no figure 'trnasfer': did you mean 'transfer'? there are" in capsys.readouterr().err


def test_mini_trains_what_each_of_its_figures_draws() -> None:
    """One maze and two methods, at as many episodes a point as the larger preset has there."""
    mini = PRESETS["mini"]
    (maze,) = mini.benchmarks
    assert maze.task == "pointmaze-umaze"
    assert mini.seeds >= 3
    assert maze.line.endswith("--episodes 300")
    assert all(STEPS[name](mini) for name in FIGURES)
    assert min(maze.sizes) < max(maze.sizes) == 1.0
    assert set(maze.variants) == {"default", "kappa 0"}
