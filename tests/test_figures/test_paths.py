"""Paths of every kind, any result redrawn by its kind, and the command that does it."""

import json

import numpy as np
import pytest
from made import ALPHAS, landscape, plane_result
from support import run

from analysis_cli import landscape as program
from figures.draw import KINDS, draw
from figures.line import line_figure, line_still, notes
from figures.line.axis import roomy
from figures.line.data import read_line, y_range
from landscape import results
from smac.errors import UserError

STEPS = (0, 500, 1000, 3000, 4000)
DISTANCES = (0.0, 1.5, 2.0, 4.0, 5.0)


def trajectory(directory, along="steps", steps=STEPS):
    """Checkpoints whose alphas are shares of the steps, or of the distance travelled."""
    places = STEPS if along == "steps" else DISTANCES
    found = [
        {"step": step, "alpha": place / places[-1], "distance": far}
        for step, place, far in zip(steps, places, DISTANCES, strict=True)
    ]
    return landscape(directory, kind="trajectory", along=along, checkpoints=found)


def behind(directory, kind, **more):
    """A path with 20 more return than the straight line behind it, which has no failures."""
    folder = landscape(directory, kind=kind)
    result = json.loads((folder / "result.json").read_text())
    analysis = json.loads(json.dumps(result["analysis"]))
    analysis["means"] = [mean - 20 for mean in analysis["means"]]
    analysis["band"] = [[low - 20, high - 20] for low, high in analysis["band"]]
    analysis["V"] = {"estimate": 123.0, "lower": 100.0, "upper": None}
    result["straight"] = {"analysis": analysis, "alphas": analysis["alphas"], "verdict": "valley"} | more
    (folder / "result.json").write_text(json.dumps(result))
    with np.load(folder / "returns.npz") as archive:
        arrays = dict(archive)
    arrays |= {"straight_returns": arrays["returns"] - 20, "straight_successes": arrays["returns"] > -120}
    np.savez(folder / "returns.npz", **arrays)
    return folder


def trace(figure, name: str):
    (found,) = [one for one in figure.data if one.name == name]
    return found


def ticks(fig, axes: int = -1) -> dict[float, str]:
    ax = fig.axes[axes]
    return dict(zip(ax.get_xticks().tolist(), [t.get_text() for t in ax.get_xticklabels()], strict=True))


# --- kinds --------------------------------------------------------------------------------------------------


def test_a_trajectory_has_training_steps_on_its_axis(tmp_path):
    line = read_line(trajectory(tmp_path / "path"))
    np.testing.assert_allclose(trace(line_figure(line), "mean").x, 4000 * ALPHAS)
    found = ticks(line_still(line))
    assert list(found) == list(STEPS)
    assert [word.split("\n")[0] for word in found.values()] == ["0", "500", "1k", "3k", "4k"]
    assert found[0] == "0\noffline Cal-QL"
    assert line_still(line).axes[-1].get_xlabel().startswith("training step\n")
    assert "step %{x" in trace(line_figure(line), "mean").hovertemplate
    assert "Ticks: the checkpoints" in notes(line)[0]


def test_a_trajectory_can_be_spaced_by_distance(tmp_path):
    line = read_line(trajectory(tmp_path / "path", "distance"))
    np.testing.assert_allclose(line.xs, 5.0 * ALPHAS)
    found = ticks(line_still(line))
    np.testing.assert_allclose(list(found), DISTANCES)
    assert [word.split("\n")[0] for word in found.values()] == ["0", "500", "1k", "3k", "4k"]
    assert line.axis.label == "training step (spaced by distance)"


def test_steps_that_start_anew_leave_points_at_their_alphas(tmp_path):
    line = read_line(trajectory(tmp_path / "path", steps=(4000, 500, 1000, 3000, 4000)))
    np.testing.assert_array_equal(line.xs, line.alphas)
    assert line.axis.symbol == "α = "


def test_crowded_ticks_keep_both_ends_and_are_thinned():
    positions = np.array([0, 1, 2, 3, 30, 31, 99, 100.0])
    assert roomy(positions) == [True, False, False, False, True, False, False, True]


def test_a_curve_has_the_straight_line_behind_it(tmp_path):
    line = read_line(behind(tmp_path / "path", "curve"))
    figure = line_figure(line)
    grey, own = trace(figure, "behind"), trace(figure, "mean")
    np.testing.assert_allclose(np.array(own.y) - np.array(grey.y), 20)
    assert figure.data.index(grey) < figure.data.index(own)
    assert grey.line.color == "#6b6b6b"
    fig = line_still(line)
    words = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert words[0].startswith("curve: V = ")
    assert words[1] == "straight line: V = 123 [100, ∞]"
    assert fig.axes[-1].get_xlabel().startswith("t, share of the curve's length")
    low, _ = y_range(line)
    assert low < min(lower for lower, _ in line.result.straight["analysis"]["band"])
    strip = [line.get_ydata() for line in fig.axes[1].lines]
    np.testing.assert_allclose(strip[1], line.result.arrays["straight_successes"].mean(axis=1))


def test_an_aligned_line_names_the_one_as_trained(tmp_path):
    line = read_line(behind(tmp_path / "path", "align", label="as trained"))
    words = [text.get_text() for text in line_still(line).axes[0].get_legend().get_texts()]
    assert words[0].startswith("aligned: V = ")
    assert words[1].startswith("as trained: V = ")
    assert notes(line)[0].startswith("Grey: as trained, valley, V = 123 [100, ∞].")
    assert next(text.split("\n")[0] for text in ticks(line_still(line)).values()) == "0"


def test_the_legend_is_between_title_and_axes(tmp_path):
    fig = line_still(read_line(behind(tmp_path / "path", "curve")))
    fig.draw_without_rendering()
    ax = fig.axes[0]
    legend = ax.get_legend().get_window_extent()
    left = ax._left_title.get_window_extent()
    assert legend.y1 <= left.y0 + 1
    assert legend.y0 >= ax.get_window_extent().y1


def test_a_task_without_success_has_no_strip(tmp_path):
    line = read_line(landscape(tmp_path / "path", fields={"return": [], "length": []}))
    assert len(line_still(line).axes) == 1
    figure = line_figure(line)
    assert not [one.name for one in figure.data if "success" in one.name]
    assert "success" not in trace(figure, "mean").hovertemplate
    assert figure.layout.xaxis.ticktext[-1] == "1<br>online SAC"
    told = read_line(landscape(tmp_path / "told", fields={"return": [], "success": []}))
    assert len(line_still(told).axes) == 2


def test_points_where_every_episode_failed_are_hatched_closer(tmp_path):
    line = read_line(landscape(tmp_path / "path", failed=True))
    assert list(line.dead) == [7]
    assert list(line.failed) == [3, 7]
    patches = {round(p.get_x(), 3): p.get_hatch() for p in line_still(line).axes[0].patches}
    assert patches == {0.25: "/////", 0.65: "xxxxx"}
    fills = {shape.x0: shape.fillcolor for shape in line_figure(line).layout.shapes if shape.x1}
    assert fills[line.xs[6:8].mean()] == "#d2d2d2"
    assert "2 of 8 failed; 8 of 8 failed" in notes(line)[-1]


def test_neighbouring_failures_share_one_note(tmp_path):
    folder = landscape(tmp_path / "path", failed=True)
    with np.load(folder / "returns.npz") as archive:
        arrays = dict(archive)
    arrays["returns"][4, :5] = np.nan
    np.savez(folder / "returns.npz", **arrays)
    texts = [text.get_text() for text in line_still(read_line(folder)).axes[0].texts]
    assert "2 to 5 of 8 failed" in texts
    assert "2 of 8 failed" not in texts


# --- any result ---------------------------------------------------------------------------------------------


def test_every_kind_of_result_has_its_picture():
    assert set(KINDS) == {*results.KINDS.values(), results.ReportResult}


def test_plot_redraws_from_the_files_alone(tmp_path, capsys):
    folder = trajectory(tmp_path / "path")
    kept = {name: (folder / name).read_bytes() for name in ("result.json", "returns.npz")}
    (folder / "plot.png").write_bytes(b"old")
    assert run(program, "plot", folder) == 0
    assert {name: (folder / name).read_bytes() for name in kept} == kept
    assert (folder / "plot.png").read_bytes()[:4] == b"\x89PNG"
    written = capsys.readouterr().out.splitlines()
    assert written == [f"wrote {folder / name}" for name in ("plot.png", "plot.pdf", "plot.html")]


def test_plot_tells_what_is_wrong_in_one_line(tmp_path, capsys):
    folder = landscape(tmp_path / "path")
    good = (folder / "result.json").read_text()
    for text, told in (
        ('{"kind": "report"}', "of kind 'report'; known are interpolate"),
        ('{"kind": ', "not a readable JSON file"),
        ("[1]", "is not the result of a landscape"),
        ('{"kind": "interpolate", "analysis": {}}', "lack 'alphas'"),
        (good.replace('"means": [', '"means": ["high", '), "damaged"),
    ):
        (folder / "result.json").write_text(text)
        assert run(program, "plot", folder) == 2
        error = capsys.readouterr().err
        assert error.startswith("landscape: ")
        assert error.count("\n") == 1
        assert told in error
    assert not (folder / "plot.png").exists()
    assert run(program, "plot", tmp_path / "nowhere") == 2
    assert "nowhere/result.json: no such file" in capsys.readouterr().err


def test_a_plane_without_its_episodes_is_told(tmp_path):
    folder = plane_result(tmp_path / "plane")
    (folder / "returns.npz").unlink()
    with pytest.raises(UserError, match=r"returns\.npz is missing"):
        draw(folder)
