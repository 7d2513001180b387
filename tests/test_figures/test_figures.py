"""Figures show what the files say: the data behind every trace, and what the written files contain."""

import csv
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from made import ALPHAS, HOSTILE, landscape, sentence
from matplotlib.figure import Figure
from PIL import Image

from figures import curves, pages, style
from figures.draw import draw
from figures.line import data as files
from figures.line.interactive import line_figure
from figures.line.still import draw_on, line_axes
from figures.style import interval_text
from smac.errors import UserError
from smac.files import write_text


def run(directory: Path, algorithm: str, rows: list[tuple]) -> Path:
    """A training run; a row is (phase, step, seed, return, success)."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"task": "pointmaze-umaze", "algorithm": algorithm}))
    with (directory / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["phase", "step", "seed", "eval/return", "eval/success", "train/critic_loss"])
        for phase, step, seed, value, success in rows:
            writer.writerow([phase, step, seed, value, success, ""])
            writer.writerow([phase, step, seed, "", "", 1.5])
    return directory


def pair(root: Path, label: str = "Cal-QL", algorithm: str = "cal_ql", seeds: int = 1) -> curves.CurvePair:
    """Offline 0, 100, 200 and online 0, 10, 20, 30 with a dip from 0.8 to 0.2 and back to 0.9."""
    offline = [("diffusion", 500, 0, "", "")]
    offline += [("offline", s, k, -200 + s / 2, s / 250) for k in range(seeds) for s in (0, 100, 200)]
    success = {0: 0.8, 10: 0.2, 20: 0.5, 30: 0.9}
    online = [("online", s, k, -100 - k, v + 0.1 * k) for k in range(seeds) for s, v in success.items()]
    return curves.CurvePair(
        label,
        run(root / "off", algorithm, offline),
        run(root / "on", "sac", [*online, ("online", 40, 0, "nan", "")]),
    )


def draw_for_paper(directory: Path) -> Figure:
    """The matplotlib landscape, drawn once so that every text is laid out."""
    with style.paper():
        fig = Figure(layout="constrained")
        draw_on(*line_axes(fig), files.read_line(directory))
        fig.draw_without_rendering()
    return fig


def trace(figure, name: str):
    (found,) = [one for one in figure.data if one.name == name]
    return found


def assert_self_contained(page: str) -> None:
    """Nothing comes from a network, and nothing but plotly.js is loaded, once."""
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", outside)
    assert re.findall(r"<script[^>]+src=\"([^\"]*)\"", page) == ["plotly.min.js"]
    assert "* plotly.js v" not in page


# --- the landscape ------------------------------------------------------------------------------------------


def test_line_traces_are_the_files_arrays(tmp_path):
    line = files.read_line(landscape(tmp_path / "land"))
    figure = line_figure(line)
    mean, band = trace(figure, "mean"), trace(figure, "band")
    np.testing.assert_array_equal(mean.x, line.result.arrays["alphas"])
    np.testing.assert_array_equal(mean.y, line.means)
    assert max(mean.y) < 0
    lower, upper = line.result.band.T
    np.testing.assert_array_equal(band.y[:-1], [*upper, *lower[::-1]])
    np.testing.assert_array_equal(mean.customdata[:, :2], np.column_stack([lower, upper]))
    np.testing.assert_array_equal(trace(figure, "success").y, line.result.arrays["successes"].mean(axis=1))


def test_line_marks_both_checkpoints(tmp_path):
    line = files.read_line(landscape(tmp_path / "land"))
    ends = trace(line_figure(line), "checkpoints")
    means = line.means
    assert list(ends.x) == [0, 1]
    assert list(ends.y) == [means[0], means[-1]]
    assert list(ends.text) == ["offline Cal-QL", "online SAC"]


def test_line_level_and_depth(tmp_path):
    line = files.read_line(landscape(tmp_path / "land"))
    means = line.means
    assert line.level == min(means[0], means[-1]) - 9
    assert line.alphas[line.bottom] == 0.5
    (level,) = [shape for shape in line_figure(line).layout.shapes if shape.type == "line"]
    assert level.y0 == level.y1 == line.level
    xs, ys = files.depth_path(line)
    assert ys[1] - ys[2] == pytest.approx(line.result.depth.estimate)
    assert xs[-1] == 0.5


def test_line_failed_points_stay_gaps_and_are_marked(tmp_path):
    directory = landscape(tmp_path / "land", failed=True)
    line = files.read_line(directory)
    figure = line_figure(line)
    failed = trace(figure, "failed")
    np.testing.assert_array_equal(failed.x, ALPHAS[[3, 7]])
    assert list(failed.text) == ["2 of 8 episodes failed", "8 of 8 episodes failed"]
    assert np.isnan(trace(figure, "mean").y[7])
    success = trace(figure, "success").y
    assert success[3] == line.result.arrays["successes"][3, 2:].mean()
    assert np.isnan(success[7])
    assert trace(figure, "band").y.count(None) == 3  # three stretches of known points, each closed
    assert all(np.isfinite(files.y_range(line)))
    fig = draw_for_paper(directory)
    (mean,) = [one for one in fig.axes[0].lines if len(one.get_xdata()) == len(ALPHAS)]
    assert np.isnan(mean.get_ydata()[7])
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert {"2 of 8 failed", "8 of 8 failed"} <= set(texts)


def test_line_files(tmp_path):
    directory = landscape(tmp_path / "land")
    png, pdf, page = draw(directory)
    assert [path.name for path in (png, pdf, page)] == ["plot.png", "plot.pdf", "plot.html"]
    assert not list(directory.glob(".*")), "a temporary file was left behind"

    pixels = np.asarray(Image.open(png).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 200
    assert np.any(np.all(pixels == (0xD1, 0x56, 0x0B), axis=1)), "the curve has its method's colour"
    assert Image.open(png).info["dpi"] == pytest.approx((200, 200), abs=0.1)

    document = pdf.read_bytes()
    assert b"/FontFile2" in document, "fonts are embedded as TrueType"
    assert b"/Type3" not in document

    text = page.read_text(encoding="utf-8")
    assert_self_contained(text)
    assert text.count(html.escape(sentence("cal_ql", "valley"))) == 1
    assert "<script>alert" not in text
    assert text.count("runs/&lt;script&gt;alert(") == 2


def test_hostile_names_are_text_everywhere(tmp_path):
    directory = landscape(tmp_path / "land", algorithm=HOSTILE)
    draw(directory)  # `$a_1$` is not set as a formula
    page = (directory / "plot.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    ends = trace(line_figure(files.read_line(directory)), "checkpoints")
    assert "&lt;script&gt;" in ends.text[0]


def test_unbounded_interval_and_missing_band(tmp_path):
    directory = landscape(tmp_path / "land", verdict="undecided")
    result = json.loads((directory / "result.json").read_text())
    result["analysis"]["V"]["upper"] = None
    result["analysis"]["band"] = [[None, None]] * len(ALPHAS)
    (directory / "result.json").write_text(json.dumps(result))
    draw_for_paper(directory)
    line = files.read_line(directory)
    assert list(trace(line_figure(line), "band").x) == [None]
    assert files.depth_text(line.result).endswith(", ∞]")


@pytest.mark.parametrize("name", ["result.json", "returns.npz"])
def test_missing_landscape_file_is_named(tmp_path, name):
    directory = landscape(tmp_path / "land")
    (directory / name).unlink()
    with pytest.raises(UserError, match=name):
        files.read_line(directory)


@pytest.mark.parametrize("kept", [4, 200])
def test_torn_returns_are_told(tmp_path, kept):
    path = landscape(tmp_path / "land") / "returns.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match="cannot be read"):
        files.read_line(path.parent)


def test_other_results_are_refused(tmp_path):
    directory = landscape(tmp_path / "land")
    (directory / "result.json").write_text('{"kind": "plane"}')
    with pytest.raises(UserError, match="of `landscape plane`, which cannot be drawn here"):
        files.read_line(directory)


# --- learning curves ----------------------------------------------------------------------------------------


def test_curves_meet_at_the_switch(tmp_path):
    figure = curves.curves_figure(curves.read_methods([pair(tmp_path)]))
    offline = trace(figure, "Cal-QL|eval/success|offline")
    online = trace(figure, "Cal-QL|eval/success|online")
    np.testing.assert_array_equal(offline.x, [-200, -100, 0])
    np.testing.assert_allclose(offline.y, [0, 0.4, 0.8])
    np.testing.assert_array_equal(online.x, [0, 10, 20, 30])
    np.testing.assert_allclose(online.y, [0.8, 0.2, 0.5, 0.9])
    returns = trace(figure, "Cal-QL|eval/return|online")
    np.testing.assert_array_equal(returns.x, [0, 10, 20, 30])  # the row with nan is not drawn
    layout = figure.layout
    assert layout.xaxis.range[1] == layout.xaxis2.range[0] == 0
    assert layout.xaxis.domain[1] == pytest.approx(layout.xaxis2.domain[0])


def test_curves_draw_each_seed_and_their_mean(tmp_path):
    methods = curves.read_methods([pair(tmp_path, seeds=3)])
    figure = curves.curves_figure(methods)
    thin = [trace(figure, f"Cal-QL|eval/success|online|seed {seed}") for seed in range(3)]
    np.testing.assert_allclose(thin[2].y, [1.0, 0.4, 0.7, 1.1])
    bold = trace(figure, "Cal-QL|eval/success|online")
    np.testing.assert_allclose(bold.y, np.mean([one.y for one in thin], axis=0))
    assert bold.line.width > thin[0].line.width
    assert curves.seed_count(methods) == 3


def test_the_score_is_drawn_where_no_episode_succeeds():
    def method(success: float, score: float) -> curves.Method:
        at = {"eval/success": success, "eval/score": score, "eval/return": -1.0}
        series = {
            metric: {phase: [curves.Series(0, np.array([0.0]), np.array([value]))] for phase in curves.PHASES}
            for metric, value in at.items()
        }
        return curves.Method("IQL", style.look("iql"), series)

    assert curves.shown_metrics([method(0, 0), method(0, 0.25)]) == ["eval/score", "eval/return"]
    assert curves.shown_metrics([method(0, 0.25), method(0.1, 0.5)]) == ["eval/success", "eval/return"]
    assert curves.shown_metrics([method(0, 0)]) == ["eval/success", "eval/return"]
    # with no evaluation before the switch, its panel is but a strip without ticks
    assert curves.widths([method(0, 0)])[0] < 0.05
    assert curves.step_ticks([method(0, 0)], "offline") == []


def test_mean_uses_only_the_steps_that_all_seeds_have():
    first = curves.Series(0, np.array([0.0, 10, 20]), np.array([1.0, 2, 3]))
    second = curves.Series(1, np.array([0.0, 20]), np.array([3.0, 5]))
    xs, ys = curves.mean_series([first, second])
    np.testing.assert_array_equal(xs, [0, 20])
    np.testing.assert_array_equal(ys, [2, 4])


def test_curves_files(tmp_path):
    files = curves.draw_curves([pair(tmp_path, label=HOSTILE)], tmp_path / "figures" / "curves")
    assert [path.name for path in files] == ["curves.png", "curves.pdf", "curves.html"]
    assert b"/Type3" not in files[1].read_bytes()
    page = files[2].read_text(encoding="utf-8")
    assert_self_contained(page)
    assert "<script>alert" not in page


def test_curves_errors_name_the_file(tmp_path):
    good = pair(tmp_path)
    with pytest.raises(UserError, match=r"nowhere.*metrics\.csv"):
        curves.read_methods([curves.CurvePair("x", good.pretrain_dir, tmp_path / "nowhere")])
    with pytest.raises(UserError, match="no evaluation in the online phase"):
        curves.read_methods([curves.CurvePair("x", good.pretrain_dir, good.pretrain_dir)])
    (good.finetune_dir / "metrics.csv").write_text("phase,step,seed,eval/success\nonline,0,0,high\n")
    with pytest.raises(UserError, match=r"metrics\.csv has a cell"):
        curves.read_methods([good])


# --- the page -----------------------------------------------------------------------------------------------


def test_demo_page(tmp_path):
    methods = []
    for name, algorithm, verdict in (("SMAC", "smac", "connected"), ("Cal-QL", "cal_ql", "valley")):
        runs = pair(tmp_path / algorithm, name, algorithm)
        place = landscape(tmp_path / algorithm / "land", algorithm, verdict)
        methods.append(pages.DemoMethod(name, runs.pretrain_dir, runs.finetune_dir, place))
    path = pages.demo_page(
        methods,
        tmp_path / "demo.html",
        commands=["smac demo <fast>", "landscape interpolate smac & co"],
        wall_seconds=192,
    )
    page = path.read_text(encoding="utf-8")

    assert_self_contained(page)
    assert page.count(html.escape(sentence("smac", "connected"))) == 1
    assert page.count(html.escape(sentence("cal_ql", "valley"))) == 1
    assert (
        "SMAC: in training success fell from 80\u00a0% to 20\u00a0%, the straight line has no valley" in page
    )
    assert "Cal-QL: in training success fell from 80\u00a0% to 20\u00a0%, the straight line crosses" in page
    assert page.count("monotone on it") >= 2
    cells = re.findall(r"<td>(\d\.\d\d)</td>", page)
    assert cells == ["0.80", "0.80", "0.20", "0.20", "0.60", "0.60", "0.90", "0.90"]
    line = files.read_line(methods[1].landscape_dir)
    assert page.count(interval_text(line.result.analysis["V"])) == 2  # V and DD, which are equal here
    assert "smac demo &lt;fast&gt;" in page
    assert "landscape interpolate smac &amp; co" in page
    assert "3 min 12 s" in page
    assert "torch 2.13.0" in page
    assert "one seed says nothing about a method" in page


def test_landscapes_on_a_page_share_their_scale(tmp_path):
    lines = [
        files.read_line(landscape(tmp_path / verdict, verdict=verdict)) for verdict in ("connected", "valley")
    ]
    low, high = files.common_range(lines)
    for line in lines:
        assert low < line.lower.min()
        assert high > line.upper.max()


# --- style --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (80.66, "80.7"),
        (-119.4, "−119"),
        (9.0, "9"),
        (0.0123, "0.0123"),
        (0, "0"),
        (200, "200"),
        (-1385.2, "−1385"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_number(value, text):
    assert style.number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (500, "500"), (-50_000, "−50k"), (1.5e6, "1.5M")])
def test_steps(value, text):
    assert style.steps(value) == text


def test_spread_keeps_order_and_distance():
    placed = style.spread([1.0, 1.0, 0.5, 0.0], 0.1)
    assert placed == pytest.approx([0.95, 1.05, 0.5, 0.0])
    many = sorted(style.spread([0.5] * 5 + [0.55], 0.1))
    assert min(np.diff(many)) >= 0.1 - 1e-9


def test_methods_differ_in_colour_and_in_grey():
    looks = list(style.PALETTE.values())
    assert len({one.color for one in looks}) == len(looks)
    assert len({(one.marker, one.dashes) for one in looks}) == len(looks)

    def lightness(color: str) -> float:
        return float(np.dot([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)], [0.2126, 0.7152, 0.0722]))

    assert abs(lightness(style.look("smac").color) - lightness(style.look("cal_ql").color)) > 0.1


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_text(tmp_path / "page.html", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
