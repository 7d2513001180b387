"""The plans of the paper's figures and what follows from their runs; the whole road is the smoke preset."""

import shlex
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from analysis_cli.reproduce.protocol import protocol_page
from figures.paper import FIGURES, POLICIES, PRESETS
from figures.paper.ablation import _against, _kappa
from figures.paper.dips import dip_name, number
from figures.paper.presets import PARTS, Preset
from figures.paper.retain import draw_retain
from figures.paper.tradeoff import draw_tradeoff, front
from figures.paper.transfer import CLAIMS, _in_words, _regret_lines, dip_of_mean, pairs, regret_table
from smac.agents import OFFLINE


def mean(value: float) -> dict:
    return {"mean": value, "low": value - 0.1, "high": value + 0.1, "seeds": 5}


def task(**cells: tuple[float, float]) -> dict:
    """A task's transfer.json: pair -> its dip and its regret."""
    return {
        "online": {
            cell: {"over_seeds": {"switch/dip": mean(dip), "regret/eval": mean(regret)}}
            for cell, (dip, regret) in cells.items()
        }
    }


def test_regret_is_normalised_within_each_task_and_averaged_over_tasks() -> None:
    tasks = {
        "one": task(**{"smac-sac": (0, 0.1), "iql-sac": (0, 0.5), "smac-td3": (0, 0.3)}),
        "two": task(**{"smac-sac": (0, -2.0), "iql-sac": (0, -4.0)}),
    }
    table = regret_table(tasks)
    assert table["smac"]["sac"] == {"mean": pytest.approx(0.5), "tasks": 2}  # best of one, worst of two
    assert table["iql"]["sac"] == {"mean": pytest.approx(0.5), "tasks": 2}
    assert table["smac"]["td3"] == {"mean": pytest.approx(0.5), "tasks": 1}
    lines = _regret_lines(table)
    assert lines[2] == "| offline | AWR | SAC | TD3 | TD3+BC |"  # the order of the paper's table
    of_smac = "| SMAC | – (0.380) | 0.50 of 2 tasks (0.031) | 0.50 of 1 task (0.090) | – (0.226) |"
    assert lines[4] == of_smac


def test_figures_show_one_kind_of_dip() -> None:
    old = task(**{"smac-sac": (0.3, 0.0)})
    new = task(**{"smac-sac": (0.1, 0.0)})
    new["online"]["smac-sac"]["over_seeds"]["switch/dip_raw"] = mean(0.2)
    assert dip_name([new]) == "switch/dip"
    assert dip_name([new, old]) == "switch/dip_raw"
    shown = [number(one["online"]["smac-sac"], "switch/dip_raw")["mean"] for one in (new, old)]
    assert shown == [0.2, 0.3]


@pytest.mark.parametrize("name", PRESETS)
def test_every_command_of_every_preset_is_one_that_the_programs_take(name: str) -> None:
    seen = set()
    for figure in FIGURES.values():
        for step in figure.steps(PRESETS[name]):
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
            for variant, options in benchmark.variants.items():
                words = f"pretrain --task {benchmark.task} --algorithm smac {options}"
                assert parse(shlex.split(words)).algorithm == "smac", variant


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
        own += list(benchmark.variants.values())
        assert not any(" --steps" in f" {words}" for words in own)
        assert benchmark.pretrain.count("--steps ") >= 1


def test_the_protocol_of_a_preset_tells_what_its_commands_give() -> None:
    page = protocol_page(PRESETS["cpu"])
    pen = page[page.index("## pen-binary, offline") :]
    offline, online = pen.split("## pen-binary, online")
    assert "| reward | as it is | x 10 +5 | x 10 +5 | as it is |" in offline
    assert "| reward | as it is | x 10 +5 | x 10 +5 | as it is | as it is | as it is | x 10 +5 |" in online
    assert "| observations | raw | raw | raw | standardised |" in offline
    assert online.count("| temperature at the switch |" + 9 * " entropy |") == 1


def test_tasks_whose_data_need_a_published_policy_are_left_out_without_it() -> None:
    cpu = PRESETS["cpu"]
    assert {b.label for b in cpu.benchmarks} - {b.label for b in cpu.available(False).benchmarks} == {
        "pen-binary"
    }
    assert cpu.available(True) == cpu
    collects = [
        step.words
        for step in FIGURES["fig2"].steps(cpu)
        if step.words[1:3] == ("data", "collect") and any(POLICIES in word for word in step.words)
    ]
    assert len(collects) == 1  # pen is figure 2's second environment


def test_claims_count_tasks_without_a_drop_and_compare_regrets() -> None:
    tasks = {
        "a": task(
            **{"smac-sac": (0.01, 0.1), "iql-sac": (0.3, 0.4), "cal_ql-sac": (0.2, 0.2), "smac-td3": (0.5, 1)}
        ),
        "b": task(
            **{"smac-sac": (0.03, 0.3), "iql-sac": (0.0, 0.2), "cal_ql-sac": (0.1, 0.4), "smac-td3": (0.0, 1)}
        ),
    }
    c1 = CLAIMS["C1"](tasks)
    assert {cell: found["without a drop"] for cell, found in c1.items()} == {
        "smac-sac": 1, "iql-sac": 1, "cal_ql-sac": 0,
    }  # fmt: skip
    assert list(CLAIMS["C2"](tasks)) == ["smac-td3"]
    c3 = CLAIMS["C3"](tasks)
    assert c3["a"]["best baseline"] == "cal_ql"
    np.testing.assert_allclose([c3["a"]["below"], c3["b"]["below"]], [0.5, -0.5])
    assert "a: 0.10 against 0.20 of Cal-QL, 50 % below" in _in_words("C3", c3)
    better = CLAIMS["C3"]({"a": task(**{"smac-sac": (0.0, -0.01), "iql-sac": (0.0, 0.02)})})
    assert _in_words("C3", better) == "a: -0.01 against 0.02 of IQL"  # no share of a negative number


def test_the_mean_over_seeds_dips_less_than_its_seeds(tmp_path: Path) -> None:
    scores = {"0": [1.0, 0.8, 1.0, 1.1], "1": [1.0, 1.0, 0.9, 1.1]}
    lines = ["phase,step,seed,eval/score"]
    lines += [f"online,{100 * k},{seed},{x}" for seed, xs in scores.items() for k, x in enumerate(xs)]
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    assert dip_of_mean(tmp_path) == pytest.approx(0.1)  # of dips of 0.2 and 0.1


def test_kappas_are_one_curve_and_other_variants_are_not_on_it() -> None:
    kappas = {name: _kappa({"options": options}) for name, options in PARTS.items()}
    assert [kappas[name] for name in ("kappa 0", "default", "kappa 1")] == [0.0, 0.1, 1.0]
    assert [kappas[name] for name in ("paper form", "Muon")] == [None, None]

    rows = {
        name: {"options": options, "dip": mean(0.1 * k), "offline success": mean(1 - 0.05 * k)}
        for k, (name, options) in enumerate(PARTS.items())
    }
    fig, ax = plt.subplots()
    _against(ax, rows, "red")
    line = ax.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0.1, 0.2, 0.0, 0.3])  # kappa 0, 0.01, 0.1, 1
    plt.close(fig)


def test_connectivity_looks_at_the_seeds_that_were_trained() -> None:
    preset = PRESETS["cpu"].available(False)
    runs = {
        word.removesuffix("/offline.safetensors").removesuffix("/online.safetensors")
        for figure in ("connectivity", "fig1")
        for step in FIGURES[figure].steps(preset)
        for word in step.words
        if "umaze/finetune/smac-sac/seed-" in word
    }
    folder = "./transfer/pointmaze-umaze/finetune/smac-sac"
    assert runs == {f"{folder}/seed-{seed}" for seed in range(5, 10)}


@pytest.mark.parametrize("name", ["smoke", "cpu", "gpu"])
def test_fig1_lays_u_and_v_through_what_the_transfer_leaves(name: str) -> None:
    """Offline, SAC-tuned and TD3+BC-tuned of every offline method, all of them trained in the preset."""
    preset = PRESETS[name].available(False)
    planes = [step.words for step in FIGURES["fig1"].steps(preset) if step.words[1] == "plane"]
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


def test_front_keeps_what_nothing_beats_in_both() -> None:
    dip = np.array([0.0, 0.1, 0.2, 0.2, 0.3, 0.1])
    success = np.array([0.5, 0.7, 0.6, 0.9, 0.9, 0.7])
    assert front(dip, success).tolist() == [0, 1, 5, 3]  # equal points both stay


def test_tradeoff_has_a_point_per_pair_and_the_dip_that_was_asked_for() -> None:
    found = task(**{"smac-sac": (0.05, 0.1), "smac-td3": (0.01, 0.1), "iql-sac": (0.2, 0.3)})
    found["offline"] = {a: {"over_seeds": {"success": mean(0.9)}} for a in ("smac", "iql")}
    fig = draw_tradeoff({"a": found, "b": found}, 0.02)
    places = [line.get_xydata().tolist() for line in fig.axes[0].lines if line.get_marker() != "None"]
    assert places == [[[0.05, 0.9]], [[0.01, 0.9]], [[0.2, 0.9]]]
    assert len(fig.axes) == 2
    assert [text.get_text() for text in fig.legends[0].texts] == ["SMAC", "IQL", "→ SAC", "→ TD3"]
    plt.close(fig)


def test_retain_fine_tunes_every_pair_of_transfer_with_the_data_that_it_was_pretrained_on() -> None:
    cpu = PRESETS["cpu"]
    plan = {step.done: step.words for step in FIGURES["retain"].steps(cpu)}
    cells = {f"retain/{b.label}/{pair}/summary.json" for b in cpu.benchmarks for pair in pairs(cpu)}
    assert cells == {done for done in plan if done.startswith("retain")}
    words = plan["retain/pen-binary/smac-td3/summary.json"]
    assert words[words.index("--from") + 1] == "./transfer/pen-binary/pretrain/smac"
    assert words[words.index("--dataset") + 1] == "reproduce/pen-binary-v0"
    assert words[words.index("--offline-ratio") + 1] == "0.5"
    assert "--temperature-lr" not in words  # that is SAC's own
    assert "--temperature-lr" in plan["retain/pen-binary/iql-sac/summary.json"]


def test_retain_draws_both_starts_of_a_pair_as_hollow_and_full_dots() -> None:
    def cells(dip: float, gain: float) -> dict:
        return {"smac-sac": {"over_seeds": {"switch/dip": mean(dip), "switch/gain": mean(gain)}}}

    fig = draw_retain({"a": {"online": cells(0.01, 0.2), "from an empty buffer": cells(0.3, -0.1)}})
    for ax, expected in zip(fig.axes, ((0.3, 0.01), (-0.1, 0.2)), strict=True):
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert tuple(float(dot.get_xdata()[0]) for dot in dots) == expected
        assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False]
    plt.close(fig)
