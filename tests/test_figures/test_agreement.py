"""Whether lines and training runs agree: counts, shares and the exact test."""

from __future__ import annotations

import pytest

from figures.paper.agreement import Agreement, Ranks, agreement, answers, markdown, ranks, tabulate

REPORT = {
    "pairs": [
        {
            "from": {"algorithm": "smac", "seed": seed},
            "to": {"algorithm": "sac"},
            "verdict": verdict,
            "monotone": monotone,
        }
        for seed, (verdict, monotone) in enumerate(
            [("valley", "not monotone"), ("connected", "monotone"), ("undecided", "undecided")]
        )
    ]
}
TRANSFER = {
    "online": {
        "smac-sac": {
            "seeds": {
                "0": {"switch/monotone": "not monotone"},
                "1": {"switch/monotone": "monotone"},
                "2": {"switch/monotone": "monotone"},
            }
        }
    }
}


def test_fishers_exact_test_of_the_lady_who_tasted_tea():
    tea = Agreement(both=3, training_only=1, line_only=1, neither=3)
    assert tea.p_value == pytest.approx(17 / 70)
    assert tea.share is not None
    assert tea.share[0] == 0.75
    assert tea.share[1:] == pytest.approx((0.3491, 0.9681), abs=1e-4)  # Clopper and Pearson, 6 of 8


def test_undecided_pairs_are_counted_and_do_not_agree():
    found = tabulate({"maze": (TRANSFER, REPORT)})
    assert found["verdict"]["maze"] == Agreement(both=1, neither=1, undecided=1) == found["monotone"]["all"]


def test_disagreement_is_told_by_its_kind():
    said = [("not monotone", "connected"), ("monotone", "valley"), ("monotone", "undecided")]
    assert agreement(said, "valley", "connected") == Agreement(training_only=1, line_only=1, undecided=1)


def test_a_run_that_kept_no_episodes_is_not_a_count():
    transfer = {"online": {"smac-sac": {"seeds": {"0": {"switch/dip": 0.1}}}}}
    assert answers(transfer, REPORT, "verdict") == []
    none = tabulate({"maze": (transfer, REPORT)})
    assert none["verdict"]["all"] == Agreement()
    assert "| all | 0 | 0 | 0 | 0 | 0 | – | – |" in markdown(none, {"maze": ranks(transfer, REPORT)})
    assert ranks(transfer, REPORT) == Ranks(0, None, None)


def test_how_far_training_fell_is_ranked_against_the_depths_of_the_line():
    falls, depths, valleys = (0.1, 0.5, 0.3, 0.2), (10.0, 40.0, 30.0, 20.0), (5.0, 1.0, 0.0, 2.0)
    runs = {str(k): {"switch/monotone": "undecided", "switch/drawdown": fall} for k, fall in enumerate(falls)}
    pairs = [
        {
            "from": {"algorithm": "iql", "seed": k},
            "to": {"algorithm": "sac"},
            "DD_crossfit": DD,
            "V_crossfit": V,
        }
        for k, (DD, V) in enumerate(zip(depths, valleys, strict=True))
    ]
    found = ranks({"online": {"iql-sac": {"seeds": runs}}}, {"pairs": pairs})
    assert found.pairs == 4
    assert found.drawdown == pytest.approx(1.0)
    assert found.valley == pytest.approx(1 - 6 * 18 / (4 * 15))  # ranks 1, 4, 3, 2 against 4, 2, 1, 3
    pairs[0]["V_crossfit"] = None  # one episode has no halves
    assert ranks({"online": {"iql-sac": {"seeds": runs}}}, {"pairs": pairs}).pairs == 3
