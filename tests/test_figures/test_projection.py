"""Pictures of projections show what the files say: places, colours, order of time, and the warning."""

import json

import numpy as np
import pytest
from made import HOSTILE, assert_legible, drawn, projection_result, texts, trace
from matplotlib.colors import to_hex

from figures.draw import draw
from figures.plane.colors import color_of
from figures.projection import projection_figure, projection_still, read_projection
from figures.projection.interactive import run_rows
from figures.projection.still import ARROW, _arrows
from smac.errors import UserError

MANY = dict.fromkeys(("smac", "cal_ql", "iql", "td3_bc"), ("sac", "td3", "td3_bc"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return read_projection(projection_result(tmp_path_factory.mktemp("projection") / "a"))


@pytest.fixture(scope="module")
def picture(files):
    return drawn(projection_still(files))


def test_every_point_is_at_its_place_in_the_colour_of_its_own_return(files, picture):
    found = files
    for point in found.points:
        seen = picture.axes[0].findobj(lambda artist, name=point.name: artist.get_gid() == name)
        assert seen, point.name
        for one in seen:
            assert (one.get_xdata()[0], one.get_ydata()[0]) == (point.x, point.y)
            assert to_hex(one.get_markerfacecolor()) == color_of(point.own, found.scale)
    assert to_hex(seen[0].get_markerfacecolor()) == "#ffffff"  # of the last one no episode finished
    assert seen[0].get_marker() == "X"


def test_runs_lead_from_offline_to_online_in_the_order_of_steps(files, picture):
    result = files.result.result
    for run in result["runs"]:
        (line,) = picture.axes[0].findobj(lambda artist, name=run["name"]: artist.get_gid() == name)
        own = [result["points"][k] for k in run["points"]]
        np.testing.assert_array_equal(line.get_xydata(), [(p["x"], p["y"]) for p in own])
    assert result["runs"][0]["points"][0] == result["runs"][1]["points"][0]


def test_arrows_point_the_way_of_time():
    way = np.array([[0.0, 0.0], [0.0, 30.0], [0.0, 35.0], [40.0, 35.0]])
    found = _arrows(way)
    np.testing.assert_allclose([end - start for start, end in found], [[0, 0.12 * 30], [0.12 * 40, 0]])
    (beside,) = _arrows(np.stack([np.arange(0.0, 40.0, 4.0), np.zeros(10)], axis=1))
    np.testing.assert_allclose(beside[1] - beside[0], [ARROW, 0.0])
    assert beside[0][1] > 3  # clear of the markers on the line
    assert _arrows(np.zeros((3, 2))) == []


def test_methods_have_their_colours_and_one_entry_each(tmp_path):
    files = read_projection(projection_result(tmp_path / "a", seeds=3))
    found = files
    assert len(found.runs) == 9
    assert (
        found.looks["SMAC → SAC"].color
        == found.looks["SMAC → TD3+BC"].color
        != found.looks["IQL → SAC"].color
    )
    assert found.looks["SMAC → SAC"].dashes != found.looks["SMAC → TD3+BC"].dashes
    shown = [one.name for one in projection_figure(files).data if one.showlegend]
    assert shown == ["SMAC → SAC (3 runs)", "SMAC → TD3+BC (3 runs)", "IQL → SAC (3 runs)"]
    legend = [t.get_text() for axes in drawn(projection_still(files)).axes if axes.get_legend()
              for t in axes.get_legend().get_texts()]  # fmt: skip
    assert legend[:3] == shown
    assert legend[-1] == "no episode finished"


def test_the_same_pair_of_another_directory_has_another_colour(tmp_path):
    folder = projection_result(tmp_path / "a")
    result = json.loads((folder / "result.json").read_text())
    result["runs"][1] |= {"online": "sac", "group": "SMAC → SAC (b)"}
    (folder / "result.json").write_text(json.dumps(result))
    looks = read_projection(folder).looks
    assert looks["SMAC → SAC"].color != looks["SMAC → SAC (b)"].color
    assert looks["SMAC → SAC"].dashes == looks["SMAC → SAC (b)"].dashes


@pytest.mark.parametrize("by", ["tsne", "pca", "mds"])
def test_scales_are_equal_and_ticks_are_there_where_they_mean_something(tmp_path, by):
    files = read_projection(projection_result(tmp_path / "a", by))
    ax = drawn(projection_still(files)).axes[0]
    box = ax.get_window_extent()
    across, up = box.width / np.ptp(ax.get_xlim()), box.height / np.ptp(ax.get_ylim())
    assert across == pytest.approx(up, rel=1e-3)
    assert bool(len(ax.get_xticks())) == (by != "tsne")
    assert ax.get_xlabel() == {"tsne": "", "pca": "component 1 (71 %)", "mds": "distance between actors"}[by]
    for one in files.points:
        assert ax.get_xlim()[0] < one.x < ax.get_xlim()[1]
        assert ax.get_ylim()[0] < one.y < ax.get_ylim()[1]


def test_the_picture_says_how_true_it_is_and_what_it_does_not_show(picture):
    said = " ".join(texts(picture))
    assert "perplexity 6.5, seed 7" in said
    assert "stress-1 0.23 (0 is a true picture), trustworthiness 0.97 over 5 neighbours" in said
    assert said.count("A valley between clusters cannot be read off this picture.") == 3
    assert "offline SMAC" in said


@pytest.mark.parametrize("seeds", [1, 3])
def test_crowded_stills_are_legible(tmp_path, seeds):
    files = read_projection(projection_result(tmp_path / "a", "mds", pairs=MANY, seeds=seeds))
    assert_legible(drawn(projection_still(files)))


def test_hover_texts_and_the_table(files):
    fig = projection_figure(files)
    starts = trace(fig, "start: offline")
    assert "return −100 [−105, −95]<br>success 25 %<br>of 2 runs: SMAC → SAC, SMAC → TD3+BC" in starts.text[0]
    assert list(trace(fig, "end: online").marker.symbol) == ["circle", "circle", "x"]
    rows = run_rows(files)
    assert rows[0]["start"] == "−100 [−105, −95]"
    assert rows[0]["worst"] == "−116 [−121, −111], step 80"
    assert (rows[2]["end"], rows[2]["checkpoints"]) == ("–", "9")


def test_files_and_page(tmp_path):
    folder = projection_result(tmp_path / "a", sentence=HOSTILE, task=HOSTILE, warning=HOSTILE)
    names = [path.name for path in draw(folder)]
    assert names == ["plot.png", "plot.pdf", "plot.html"]
    page = (folder / "plot.html").read_text()
    assert "<script>alert" not in page
    assert "What this picture does not show." in page
    assert "runs/SMAC → TD3+BC/seed-0" in page
    assert [path.name for path in draw(folder)] == names


def test_damaged_files_and_nothing_to_draw_are_told(tmp_path):
    folder = projection_result(tmp_path / "a")
    result = json.loads((folder / "result.json").read_text())
    for change, message in (
        ({"points": result["points"][:-1]}, "damaged"),
        ({"embedding": {}}, "lack 'by'"),
        ({"kind": "plane"}, "lack 'plane'"),
        (
            {"points": [p | {"measured": dict.fromkeys(p["measured"])} for p in result["points"]]},
            "No episode",
        ),
    ):
        (folder / "result.json").write_text(json.dumps(result | change))
        with pytest.raises(UserError, match=message):
            draw(folder)
