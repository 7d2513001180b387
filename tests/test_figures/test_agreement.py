"""Whether lines and training runs agree: counts, shares and the exact test."""

from __future__ import annotations

import pytest

from figures.paper.agreement import Agreement, agreement, answers, markdown, tabulate

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
    assert "| all | 0 | 0 | 0 | 0 | 0 | – | – |" in markdown(none)
