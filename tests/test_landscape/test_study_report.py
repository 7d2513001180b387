"""The report: methods from the lines of their seeds, nothing dropped, nothing claimed of one seed."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from made_pairs import ALPHAS, pair_directory, two_methods

from landscape.statistics import iqm
from landscape.study.pairs import look_up, read_pair
from landscape.study.report import report
from smac.errors import UserError
from smac.tasks import get_task

RANDOM = get_task("pointmaze-umaze").random_return
FAST = {"draws": 300}


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """Two methods of five seeds each, and their directories."""
    directories = two_methods(tmp_path_factory.mktemp("five"))
    return report(look_up(directories).pairs, **FAST), directories


def test_methods_are_counted_over_their_training_seeds(five):
    found, _ = five
    assert [method.name for method in found.methods] == ["SMAC → SAC", "Cal-QL → SAC"]
    assert [method.verdicts for method in found.methods] == [
        {"connected": 5, "valley": 0, "undecided": 0},
        {"connected": 0, "valley": 5, "undecided": 0},
    ]
    assert [method.monotones for method in found.methods] == [
        {"monotone": 5, "not monotone": 0, "undecided": 0},
        {"monotone": 0, "not monotone": 5, "undecided": 0},
    ]
    assert [method.path.monotone for method in found.methods] == ["monotone", "not monotone"]
    assert [method.path.monotones for method in found.methods] == [
        method.monotones for method in found.methods
    ]
    assert found.headline.startswith(
        "On pointmaze-umaze, SMAC → SAC is connected in all 5 training seeds, monotone in all 5; Cal-QL → "
        "SAC is separated by a valley in all 5 training seeds, monotone in none. Monotone is what the paper "
        "calls linearly connected. The valleys of SMAC → SAC are shallower than those of Cal-QL → SAC "
        "(probability 1.00, p = "
    )


def test_an_online_end_below_the_offline_one_is_said_to_fall(tmp_path):
    """A path that falls all the way has no valley and is not monotone from offline to online."""
    directories = [pair_directory(tmp_path / f"{k}", seed=k, rise=-60.0) for k in range(2)]
    found = report(look_up([*directories, pair_directory(tmp_path / "2", seed=2)]).pairs, **FAST)
    (method,) = found.methods
    assert method.monotones == {"monotone": 1, "not monotone": 2, "undecided": 0}
    assert method.verdicts["connected"] == 3
    assert "monotone in 1, not monotone in 2 (it ends below its start in 2)" in found.headline
    assert [pair["falls"] for pair in found.to_json()["pairs"]] == [True, True, False]
    assert found.to_json()["methods"][0]["falls"] == 2


def test_depths_are_shares_of_what_the_better_end_gained(five):
    """docs/landscape.md §3: depth / (max(J_0, J_1) - J_random), never |J_1 - J_0|."""
    found, directories = five
    method = found.methods[1]
    by_hand = []
    for directory in directories[5:]:
        analysis = json.loads((directory / "result.json").read_text())["analysis"]
        gained = max(analysis["numbers"]["J_0"], analysis["numbers"]["J_1"]) - RANDOM
        by_hand.append(analysis["V_crossfit"] / gained)
    np.testing.assert_allclose(method.relative.V, by_hand)
    assert method.iqm_relative["V"].estimate == pytest.approx(float(iqm(np.array(by_hand))))
    low, high = method.iqm_relative["V"].lower, method.iqm_relative["V"].upper
    assert min(by_hand) <= low < method.iqm_relative["V"].estimate < high <= max(by_hand)
    assert method.path.seeds == 5
    assert method.path.verdict == "valley"


def test_shallower_is_better_and_holm_counts_every_comparison(five):
    found, _ = five
    (V,), (DD,) = found.comparisons["V"], found.comparisons["DD"]
    assert (V.a, V.b, V.probability.estimate) == ("SMAC → SAC", "Cal-QL → SAC", 1.0)
    # two p-values made together: the smaller one counts twice
    assert V.p_holm == pytest.approx(min(1, 2 * min(V.p_value, DD.p_value)))
    assert found.unit == "share of what was gained"


def test_profiles_are_shares_of_runs_shallower_than_a_depth(five):
    found, _ = five
    one = found.profiles["V"]["Cal-QL → SAC"]
    depths = found.methods[1].relative.V
    shares = [(depths < threshold).mean() for threshold in one.thresholds]
    np.testing.assert_allclose(one.shares, shares)
    assert one.shares[-1] == 1.0
    assert list(one.thresholds) == sorted(one.thresholds)


def test_profiles_of_depths_that_do_not_matter_reach_beyond_the_margin(tmp_path):
    pairs = [pair_directory(tmp_path / str(seed), "smac", seed, dip=0.5) for seed in range(5)]
    found = report(look_up(pairs).pairs, **FAST)
    delta, thresholds = found.margin["delta"], found.profiles["V"]["SMAC → SAC"].thresholds
    assert found.methods[0].depths.V.max() < delta
    better = [max(pair.analysis["numbers"][end] for end in ("J_0", "J_1")) for pair in look_up(pairs).pairs]
    assert thresholds[-1] == pytest.approx(1.05 * delta / (min(better) - found.random_return))


def test_a_report_is_plain_json(five, tmp_path):
    found, directories = five
    path = found.write(tmp_path, "landscape report ...")
    read = json.loads(path.read_text())
    assert (read["kind"], read["task"], len(read["pairs"])) == ("report", "pointmaze-umaze", 10)
    assert read["pairs"][0]["directory"] == str(directories[0])
    assert read["pairs"][5]["verdict"] == "valley"
    json.dumps(read, allow_nan=False)


def test_one_seed_says_nothing_of_a_method(tmp_path):
    found = report(look_up(two_methods(tmp_path, seeds=1)).pairs, **FAST)
    for method in found.methods:
        assert (method.path, method.iqm, method.iqm_relative) == (None, {}, {})
    assert found.comparisons == {}
    assert found.profiles == {"V": {}, "DD": {}}
    assert found.headline.endswith("One training seed says nothing about a method.")
    assert "in its one training seed" in found.headline


def test_three_seeds_have_no_finite_bounds(tmp_path):
    found = report(look_up(two_methods(tmp_path, seeds=3)).pairs, **FAST)
    assert math.isinf(found.methods[1].iqm["V"].upper)
    assert any("3 training seeds say little" in flag for flag in found.flags)
    assert found.headline.endswith("Fewer than 5 training seeds say little about a method.")


def test_a_mean_path_hides_valleys_at_different_places_and_says_so(tmp_path):
    """Trap: averaging over runs fills their valleys up."""
    directories = [
        pair_directory(tmp_path / "a", "smac", 0, dip=140.0),
        *(pair_directory(tmp_path / f"b{k}", "smac", k) for k in range(1, 10)),
    ]
    found = report(look_up(directories).pairs, **FAST)
    method = found.methods[0]
    assert method.verdicts["valley"] == 1
    expected = method.path.verdict == "connected"
    assert any("fill each other up" in flag for flag in found.flags) == expected


def test_what_is_missing_is_listed(tmp_path):
    """Trap: pairs that failed are dropped in silence."""
    directories = two_methods(tmp_path, seeds=2)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "study.json").write_text("{}")
    run = tmp_path / "run"
    (run / "seed-3").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"command": "finetune"}))
    (run / "seed-3" / "offline.safetensors").touch()
    sorted_out = look_up([*directories, begun, run])
    found = report(sorted_out.pairs, missing=sorted_out.missing, **FAST)
    told = {one.place: one.reason for one in found.missing}
    assert told[str(begun)] == "was begun and has not ended"
    assert "no online.safetensors" in told[str(run / "seed-3")]
    assert sum(str(begun) in flag for flag in found.flags) == 1


def test_runs_are_lines_to_be_evaluated(tmp_path):
    run = tmp_path / "matrix" / "finetune" / "smac-sac"
    for seed in (10, 2):
        (run / f"seed-{seed}").mkdir(parents=True)
        for moment in ("offline", "online"):
            (run / f"seed-{seed}" / f"{moment}.safetensors").touch()
    (run / "config.json").write_text(json.dumps({"command": "finetune"}))
    cells = {"pretrain/smac": {}, "finetune/smac-sac": {}, "finetune/iql-sac": {}}
    (tmp_path / "matrix" / "plan.json").write_text(json.dumps({"cells": cells}))
    assert [line.seed for line in look_up([run]).lines] == [2, 10]
    whole = look_up([tmp_path / "matrix"])
    assert [line.seed for line in whole.lines] == [2, 10]
    assert [one.reason for one in whole.missing] == ["has not been trained yet"]


def test_other_studies_are_put_beside_their_pair(tmp_path):
    directories = two_methods(tmp_path, seeds=1)
    ends = json.loads((directories[0] / "result.json").read_text())
    curve = {
        "kind": "curve",
        "from": ends["from"],
        "to": ends["to"],
        "verdict": "connected",
        "sentence": "Yes.",
    }
    plane = {"kind": "plane", "checkpoints": [ends["from"], {"path": "elsewhere"}], "sentence": "No."}
    for name, result in (("curve", curve), ("plane", plane)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(result))
    sorted_out = look_up([*directories, tmp_path / "curve", tmp_path / "plane"])
    found = report(sorted_out.pairs, beside=sorted_out.beside, **FAST)
    first, second = found.to_json()["pairs"]
    assert [(one["kind"], one["verdict"]) for one in first["beside"]] == [("curve", "connected")]
    assert second["beside"] == []
    assert [one.place for one in found.missing] == [str(tmp_path / "plane")]


def test_a_line_between_the_ends_of_a_run_tells_whether_training_fell(tmp_path):
    directory = two_methods(tmp_path / "lines", seeds=1)[0]
    result = json.loads((directory / "result.json").read_text())
    run = tmp_path / "run"
    for end, moment in (("from", "offline"), ("to", "online")):
        result[end]["path"] = str(run / "seed-0" / f"{moment}.safetensors")
    (directory / "result.json").write_text(json.dumps(result))
    (pair,) = look_up([directory]).pairs
    assert pair.training is None  # no such run
    run.mkdir()
    (run / "summary.json").write_text(json.dumps({"0": {"switch/monotone": "not monotone"}}))
    assert report([pair], **FAST).to_json()["pairs"][0]["training"] == "not monotone"
    (run / "summary.json").write_text(json.dumps({"0": {"switch/dip_raw": 0.1}}))
    assert pair.training is None  # a run of a version that kept no episodes
    result["to"]["path"] = str(tmp_path / "other" / "seed-0" / "online.safetensors")
    assert replace(pair, result=result).training is None


def test_adaptive_pairs_lend_the_episodes_that_all_points_played(tmp_path):
    """Later episodes went where returns were low; a mean over seeds must not depend on that choice."""
    directories = two_methods(tmp_path, seeds=2)
    path = directories[0] / "result.json"
    result = json.loads(path.read_text())
    result["analysis"]["stages"] = [{"episodes": 12, "points": [], "level": 0.01, "open": []}]
    path.write_text(json.dumps(result))
    found = report(look_up(directories).pairs, **FAST)
    assert found.methods[0].path.episodes_used == 12
    assert found.methods[1].path.episodes_used == 100
    assert any("adaptive" in flag for flag in found.flags)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "pointmaze-medium"}, "differ in task"),
        ({"margin": {"delta": 3.0, "source": "given"}}, "differ in margin"),
        ({"actions": "sampled"}, "differ in actions"),
        ({"alphas": np.linspace(0, 1, 5)}, "different alphas"),
        ({"first_episode": 1}, "not played on the same episodes"),
        ({"episodes": 20}, "not played on the same episodes"),
        ({"seed": 0}, "both of SMAC → SAC, seed 0"),
    ],
)
def test_unlike_pairs_are_refused_by_both_their_names(tmp_path, changes, words):
    a = pair_directory(tmp_path / "a", "smac", 0)
    b = pair_directory(tmp_path / "b", "smac", **{"seed": 1} | changes)
    with pytest.raises(UserError, match=words) as told:
        report(look_up([a, b]).pairs, **FAST)
    assert str(a) in str(told.value)
    assert str(b) in str(told.value)


def test_damaged_files_are_named(tmp_path):
    whole = pair_directory(tmp_path / "a")
    text = (whole / "result.json").read_text()
    for damage, file in (
        (lambda: (whole / "result.json").write_text(text[:100]), "result.json"),
        (
            lambda: (whole / "result.json").write_text(text.replace('"analysis"', '"analyses"')),
            "analysis",
        ),
        (lambda: (whole / "returns.npz").write_bytes(b"PK"), "returns.npz"),
        (lambda: (whole / "returns.npz").unlink(), "returns.npz"),
    ):
        (whole / "result.json").write_text(text)
        damage()
        with pytest.raises(UserError, match=file):
            read_pair(whole)


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither a result"):
        look_up([tmp_path])
    for command, lines in (("demo", "*/interpolate"), ("report", "pairs/*")):
        (tmp_path / "study.json").write_text(json.dumps({"command": command}))
        with pytest.raises(UserError, match=re.escape(f"name the lines in it, {tmp_path / lines}")):
            look_up([tmp_path])
    (tmp_path / "study.json").write_text(json.dumps({"command": "interpolate"}))
    assert look_up([tmp_path]).missing[0].reason == "was begun and has not ended"
    (tmp_path / "study.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps({"command": "pretrain"}))
    with pytest.raises(UserError, match="smac pretrain"):
        look_up([tmp_path])
    with pytest.raises(UserError, match="no finished pair"):
        report([])


def test_failed_episodes_are_flagged(tmp_path):
    a = pair_directory(tmp_path / "a", failed=True)
    found = report(look_up([a]).pairs, **FAST)
    assert found.to_json()["pairs"][0]["episodes_dropped"] == 1
    assert any("1 failed episodes were left out" in flag for flag in found.flags)


def test_depths_without_a_scale_stay_in_units_of_return(tmp_path):
    """Neither end beats a random policy: then there is no share, and the report says so."""
    numbers = {"task": "pointmaze-large"}
    directories = [pair_directory(tmp_path / str(k), "smac", k, **numbers) for k in range(2)]
    for directory in directories:
        path = directory / "result.json"
        result = json.loads(path.read_text())
        result["analysis"]["numbers"] |= {"J_0": -900.0, "J_1": -950.0}
        path.write_text(json.dumps(result))
    found = report(look_up(directories).pairs, **FAST)
    assert found.unit == "return"
    assert found.methods[0].relative is None
    assert any("no scale" in flag for flag in found.flags)
    assert len(ALPHAS) == 9
