"""What the paper's figures and tables make of their runs."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.paper.ablation import _against
from figures.paper.dips import dip_name, number
from figures.paper.retain import draw_retain
from figures.paper.tradeoff import draw_tradeoff, front
from figures.paper.transfer import CLAIMS, _in_words, _regret_lines, dip_of_mean, regret_table


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
    kappas = {"default": 0.1, "kappa 0": 0.0, "kappa 0.01": 0.01, "kappa 1": 1.0, "Muon": None}
    rows = {
        name: {"dip": mean(0.1 * k), "offline success": mean(1 - 0.05 * k)} for k, name in enumerate(kappas)
    }
    fig, ax = plt.subplots()
    _against(ax, rows, kappas, "red")
    line = ax.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0.1, 0.2, 0.0, 0.3])  # kappa 0, 0.01, 0.1, 1
    plt.close(fig)


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


def test_retain_draws_both_starts_of_a_pair_as_hollow_and_full_dots() -> None:
    def cells(dip: float, gain: float) -> dict:
        return {"smac-sac": {"over_seeds": {"switch/dip": mean(dip), "switch/gain": mean(gain)}}}

    fig = draw_retain({"a": {"online": cells(0.01, 0.2), "from an empty buffer": cells(0.3, -0.1)}})
    for ax, expected in zip(fig.axes, ((0.3, 0.01), (-0.1, 0.2)), strict=True):
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert tuple(float(dot.get_xdata()[0]) for dot in dots) == expected
        assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False]
    plt.close(fig)
