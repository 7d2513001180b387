"""The pictures and tables of a report show what report.json says."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from made_pairs import two_methods
from PIL import Image

from figures.draw import draw
from figures.report.data import looks, panels_of, read_report, y_limits
from figures.report.interactive import panel_figure, profile_figure
from figures.report.tables import (
    METHOD_COLUMNS,
    comparison_rows,
    latex,
    markdown,
    method_rows,
    other_rows,
    tex,
)
from figures.style import interval_text, unbroken
from landscape.study.pairs import look_up
from landscape.study.report import report
from smac.errors import UserError

HOSTILE = "<script>alert('x')</script> $a_1$ & 5 %"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    report(look_up(two_methods(root)).pairs, draws=300).write(root, f"landscape report {HOSTILE}")
    return root


@pytest.fixture(scope="module")
def drawn(directory):
    return draw(directory)


def test_every_file_is_written(drawn, directory):
    assert {path.name for path in drawn} == {
        "report.html", "report.md", "report.tex", "paths.png", "paths.pdf", "profile.png", "profile.pdf",
    }  # fmt: skip
    assert min(Image.open(directory / "paths.png").size) > 500
    assert (directory / "paths.pdf").read_bytes().startswith(b"%PDF")


def test_panels_are_the_mean_path_and_every_seed(directory):
    found = read_report(directory)
    mean, *seeds = found.panels["Cal-QL → SAC"]
    assert (mean.title, mean.verdict, mean.monotone) == ("mean of 5 seeds", "valley", "not monotone")
    assert {panel.monotone_words() for panel in seeds} == {"not monotone"}
    assert replace(mean, falls=True).monotone_words() == "not monotone, falls"
    assert replace(mean, monotone="undecided").monotone_words(short=True) == "monotone?"
    assert [panel.title for panel in seeds] == [f"seed {k}" for k in range(5)]
    np.testing.assert_allclose(mean.means, np.mean([panel.means for panel in seeds], axis=0))
    assert np.all(mean.lower < mean.means)
    first = found.report["pairs"][5]
    assert seeds[0].means.tolist() == first["means"]
    assert seeds[0].level == pytest.approx(min(first["offline_return"], first["online_return"]) - 11.125)
    low, high = y_limits([mean, *seeds])
    assert low < min(panel.lower.min() for panel in [mean, *seeds])
    assert high > max(panel.upper.max() for panel in [mean, *seeds])


def test_a_report_of_an_older_version_is_drawn_with_the_verdict_that_its_interval_gives(directory):
    found = read_report(directory).report
    for method in found["methods"]:
        del method["path"]["monotone"]
    for pair in found["pairs"]:
        del pair["falls"]
    assert [panels_of(found, method)[0].monotone for method in found["methods"]] == [
        "monotone",
        "not monotone",
    ]
    assert [row[-1] for row in method_rows(found)] == ["connected, monotone", "valley, not monotone"]


def test_a_band_far_wider_than_the_usual_one_does_not_flatten_the_other_panels(directory):
    found = read_report(directory)
    mean, *seeds = found.panels["Cal-QL → SAC"]
    usual = y_limits([mean, *seeds])
    for wide in (100.0 * np.ptp(usual), np.inf, np.nan):
        odd = replace(mean, lower=mean.means - wide, upper=mean.means + wide)
        low, high = y_limits([odd, *seeds])
        assert high - low < 2.5 * np.ptp(usual)
        assert low < mean.means.min()
        assert high > mean.means.max()


def test_a_finger_on_a_point_reads_its_numbers(directory):
    found = read_report(directory)
    panel = found.panels["Cal-QL → SAC"][1]
    figure = panel_figure(panel, found.looks["Cal-QL → SAC"], (-300, 0))
    mean = next(trace for trace in figure.data if trace.name == "mean")
    np.testing.assert_allclose(mean.y, found.report["pairs"][5]["means"])
    np.testing.assert_allclose(mean.customdata, found.report["pairs"][5]["band"])
    assert "100 episodes per point" in mean.hovertemplate
    curves = [trace for trace in profile_figure(found).data if trace.mode == "lines"]
    assert [list(trace.y) for trace in curves[:2]] == [
        found.report["profiles"]["V"][name]["shares"] for name in ("SMAC → SAC", "Cal-QL → SAC")
    ]


def test_tables_hold_the_numbers(directory):
    found = read_report(directory).report
    rows = method_rows(found)
    assert [len(row) for row in rows] == [len(METHOD_COLUMNS)] * 2
    assert rows[0][:4] == ["SMAC → SAC", "5", "5 connected", "5 monotone"]
    assert rows[1][2:4] == ["5 valley", "5 not monotone"]
    assert [row[-1] for row in rows] == ["connected, monotone", "valley, not monotone"]
    assert rows[1][4] == interval_text(found["methods"][1]["iqm_relative"]["V"])
    assert comparison_rows(found)[0][:3] == ["V", "SMAC → SAC", "Cal-QL → SAC"]
    text = markdown(found)
    assert text.count("| Cal-QL → SAC |") == 1 + 5 + 2
    assert found["headline"] in text


def test_the_latex_table_holds_nothing_that_latex_would_trip_over(directory):
    text = latex(read_report(directory).report)
    assert r"\toprule" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert r"SMAC $\to$ SAC & 5 & 5 & 0 & 0 & 5 & 0 & 0 &" in body
    assert r"Cal-QL $\to$ SAC & 5 & 0 & 5 & 0 & 0 & 5 & 0 &" in body
    assert body.count("&") == 2 * 10
    assert text.isascii()
    assert tex("a_b & 5 % #1 → −2 \\") == r"a\_b \& 5 \% \#1 $\to$ $-$2 \textbackslash{}"


def test_the_page_is_self_contained_and_escaped(drawn, directory):
    page = (directory / "report.html").read_text()
    assert "<script>alert" not in page
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", outside)
    assert unbroken(read_report(directory).report["headline"]) in page.replace("&gt;", ">")
    assert page.count('class="plotly-graph-div"') == 2 * 6 + 1


def test_methods_with_one_offline_algorithm_have_different_lines(directory):
    found = read_report(directory).report
    found["methods"][0]["from"] = found["methods"][1]["from"] = "smac"
    one, other = looks(found).values()
    assert one.color == other.color
    assert one.dashes != other.dashes


def test_one_seed_has_no_profile(tmp_path):
    report(look_up(two_methods(tmp_path, seeds=1)).pairs, draws=300).write(tmp_path, "landscape report")
    names = {path.name for path in draw(tmp_path)}
    assert "paths.png" in names
    assert "profile.png" not in names
    assert "says nothing about a method" in (tmp_path / "report.html").read_text()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"result\.json: no such file"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"kind": "plane"}))
    with pytest.raises(UserError, match="landscape report"):
        read_report(tmp_path)


def test_other_paths_are_counted_by_method_and_kind():
    path = {"kind": "trajectory", "verdict": "valley", "monotone": "not monotone"}
    pairs = [
        {"method": "A", "beside": [path, {"kind": "curve", "verdict": "connected", "monotone": "undecided"}]},
        {"method": "A", "beside": [path], "training": "not monotone"},
        {"method": "A", "beside": [path | {"verdict": "undecided"}], "training": "monotone"},
        {"method": "B", "beside": [], "training": None},
    ]
    assert other_rows({"methods": [{"name": "A"}, {"name": "B"}], "pairs": pairs}) == [
        ["A", "training, by its own evaluations", "2", "–", "1 not monotone, 1 monotone"],
        ["A", "the path that fine-tuning took", "3", "2 valley, 1 undecided", "3 not monotone"],
        ["A", "a curve bent for return", "1", "1 connected", "1 undecided"],
    ]
