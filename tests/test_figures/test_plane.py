"""Pictures of planes show what the files say: positions, colours, hatches, words that can be read."""

import json

import numpy as np
import pytest
from made import (
    EPISODES,
    HOSTILE,
    NX,
    NY,
    SHAKY,
    UNPLAYABLE,
    XS,
    YS,
    assert_legible,
    believed,
    changed,
    checkpoint,
    drawn,
    height,
    plane_result,
    texts,
    trace,
)
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from figures.draw import draw
from figures.plane import notes, plane_figure, plane_page, read_plane, surface_figure
from figures.plane.colors import color_of
from figures.plane.data import correlation_text, plane_data, scale_of
from figures.plane.key import MOST, key_rows
from figures.plane.still import pair_still, plane_still, planes_still, surface_still
from smac.errors import UserError

CELL = (XS[1] - XS[0]) / 2, (YS[1] - YS[0]) / 2  # half the distance of two points of the grid


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return plane_result(tmp_path_factory.mktemp("plane") / "plane")


@pytest.fixture(scope="module")
def files(folder):
    return read_plane(folder)


@pytest.fixture(scope="module")
def map_still(files):
    return drawn(plane_still(files))


def marker(fig: Figure, name: str):
    (found,) = fig.axes[0].findobj(lambda artist: artist.get_gid() == name)
    return found


# --- positions and colours ----------------------------------------------------------------------------------


def test_a_rectangular_surface_is_not_transposed(files):
    figure = plane_figure(files)
    surface = trace(figure, "return")
    assert np.shape(surface.z) == (NY, NX) != (NX, NY)
    for j, i in ((0, 0), (8, 0), (0, 12), (3, 7)):
        assert surface.z[j][i] == pytest.approx(height(XS[i], YS[j]), abs=1e-9)
        assert surface.x[i] == XS[i]
        assert surface.y[j] == YS[j] / 2  # filter norms of length 2
    assert trace(plane_figure(files, "q"), "q").z[8][0] == pytest.approx(believed(XS[0], YS[8]))


def test_the_still_has_each_value_in_its_place(files, map_still):
    plane = files
    scale, ax = scale_of("return", plane), map_still.axes[0]
    pixels = np.asarray(map_still.canvas.buffer_rgba())
    for j, i in ((5, 1), (4, 9), (7, 1), (1, 7)):  # where no line, label or marker is
        x, y = ax.transData.transform((plane.xs[i], plane.ys[j]))
        found = pixels[round(pixels.shape[0] - y), round(x), :3] / 255
        assert found == pytest.approx(to_rgb(color_of(height(XS[i], YS[j]), scale)), abs=0.06)


def test_both_axes_have_equal_scales(files, map_still):
    ax = map_still.axes[0]
    (x0, y0), (x1, _), (_, y1) = ax.transData.transform([(0, 0), (1, 0), (0, 1)])
    assert (y1 - y0) / (x1 - x0) == pytest.approx(2.0)  # one filter norm is two distances long
    assert ax.get_xlabel() == "distance"
    assert ax.get_ylabel() == "filter norms"
    yaxis = plane_figure(files).layout.yaxis
    assert (yaxis.scaleanchor, yaxis.scaleratio) == ("x", 2.0)


def test_markers_have_the_colour_of_their_own_return(files, map_still):
    scale = scale_of("return", files)
    offline, away = marker(map_still, "offline"), marker(map_still, "step 2000")
    assert offline.get_markerfacecolor() == color_of(float(height(0, 0)), scale)  # vanishes in the surface
    assert away.get_markerfacecolor() == color_of(-70.0, scale)
    assert away.get_markerfacecolor() != color_of(float(height(2.3, 1.4)), scale)
    assert (away.get_xdata()[0], away.get_ydata()[0]) == (2.3, 0.7)
    points = trace(plane_figure(files), "checkpoints")
    assert list(points.marker.color) == pytest.approx([height(0, 0), -66, -70, -74, height(5, 0)])
    surface = trace(plane_figure(files), "return")
    assert (points.marker.cmin, points.marker.cmax) == (surface.zmin, surface.zmax)
    assert points.marker.colorscale == surface.colorscale


def test_on_the_map_of_q_markers_claim_no_value(files):
    assert set(trace(plane_figure(files, "q"), "checkpoints").marker.color) == {"white"}


def test_colours_get_lighter_in_grey():
    scale = scale_of("return", _made_plane())
    low, high = scale.limits
    grey = [np.dot(to_rgb(color_of(v, scale)), [0.2126, 0.7152, 0.0722]) for v in np.linspace(low, high, 20)]
    assert (np.diff(grey) > 0.01).all()


def test_training_runs_through_the_checkpoints_in_order(files, map_still):
    line = marker(map_still, "training")
    np.testing.assert_allclose(line.get_xydata(), [(0, 0), (1, 0.45), (2.3, 0.7), (3.6, 0.6), (5, 0)])
    path = trace(plane_figure(files), "training")
    assert list(path.x)[::2] == [0, 1, 2.3, 3.6, 5]
    assert list(path.marker.size) == [0, 11] * 4 + [0]  # an arrow within every stretch


def test_the_level_is_the_lower_anchor_less_the_margin(files):
    assert files.level == pytest.approx(height(5, 0) - 9)
    level = trace(plane_figure(files), "level")
    assert level.contours.start == level.contours.end == pytest.approx(height(5, 0) - 9)
    assert "the lower of offline and online, less the margin of 9" in notes(files)[0]
    bare = plane_data(changed(files, margin=None))
    assert bare.level is None
    assert not notes(bare)[0].startswith("Dashed")
    deep = plane_data(changed(files, margin={"delta": 500.0, "source": ""}))
    assert "nowhere on this plane" in notes(deep)[0]


def test_stems_lead_from_the_surface_to_the_own_return(files):
    figure = surface_figure(files)
    stems = trace(figure, "stems")
    assert list(stems.z[6:8]) == pytest.approx([height(2.3, 1.4), -70.0])  # the third, step 2000
    assert list(trace(figure, "checkpoints").z)[2] == -70.0
    assert np.isnan(trace(figure, "surface").z[UNPLAYABLE[0]][UNPLAYABLE[1]])


# --- failures -----------------------------------------------------------------------------------------------


def cell(row: int, column: int) -> list[float]:
    """Left, right, low and high of a cell inside the grid, in the axes' units."""
    x, y = XS[column], YS[row]
    return [x - CELL[0], x + CELL[0], (y - CELL[1]) / 2, (y + CELL[1]) / 2]


def test_hatched_cells_are_those_that_failed(files, map_still):
    some = map_still.axes[0].findobj(lambda artist: artist.get_gid() == "some failed")
    vertices = some[0].get_path().vertices.reshape(-1, 5, 2)
    found = [[*part[:2, 0], part[0, 1], part[2, 1]] for part in vertices]
    np.testing.assert_allclose(found, [cell(*SHAKY[0]), cell(*SHAKY[1])])
    (dead,) = map_still.axes[0].findobj(lambda artist: artist.get_gid() == "all failed")
    assert dead.get_facecolor() == (1, 1, 1, 1)  # no colour where nothing is known
    xs, ys = dead.get_path().vertices[:5].T
    np.testing.assert_allclose([xs.min(), xs.max(), ys.min(), ys.max()], cell(*UNPLAYABLE))
    left, right, low, high = cell(*UNPLAYABLE)
    polygon = trace(plane_figure(files), "all failed")
    np.testing.assert_allclose(polygon.x[:5], [left, right, right, left, left])
    np.testing.assert_allclose(polygon.y[:5], [low, low, high, high, low])


def test_nan_is_not_replaced_by_the_mean(files):
    text = trace(plane_figure(files), "return").text[UNPLAYABLE[0]][UNPLAYABLE[1]]
    assert "mean return –" in text
    assert f"0 of {EPISODES} episodes finished" in text
    assert files.fields["return"][UNPLAYABLE] != files.fields["return"][UNPLAYABLE]
    assert "1 point of the grid" in notes(files)[-1]


def test_a_plane_on_which_nothing_finished_is_refused(tmp_path):
    folder = plane_result(tmp_path / "plane")
    with np.load(folder / "returns.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "returns.npz", **arrays | {"statuses": np.full((NY, NX, EPISODES), 4)})
    with pytest.raises(UserError, match="nothing to draw"):
        read_plane(folder)


# --- words --------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_which_nothing_finished_is_a_cross(tmp_path):
    shown = [checkpoint("offline", 0, 0, -60.0, anchor=True), checkpoint("online", 5, 0, -80.0, anchor=True)]
    read = read_plane(plane_result(tmp_path / "plane", checkpoints=shown, trajectory=None, q=False))
    nothing = {"measured": {"return": None, "low": None, "high": None}}
    first, second = read.result.checkpoints
    files = plane_data(changed(read, checkpoints=[first, second | nothing]))
    marks = trace(plane_figure(files), "checkpoints").marker
    assert list(marks.symbol) == ["circle", "x"]
    np.testing.assert_array_equal(np.array(marks.color, float), [-60.0, np.nan])


def test_hover_texts(files):
    text = trace(plane_figure(files), "return").text
    j, i = SHAKY[0]
    assert text[j][i].startswith("(0.167, −0.15)<br>mean return −")
    assert text[j][i].endswith("<br>success 100 %<br>5 of 8 episodes finished")
    where, mean, *_ = text[0][0].split("<br>")
    assert (where, mean) == ("(−1, −0.4)", f"mean return −{-height(XS[0], YS[0]):.4g}")
    own = trace(plane_figure(files), "checkpoints").text[2]
    assert own == (
        "<b>3 step 2000</b><br>own return −70, interval [−76, −64]"
        f"<br>the surface says {round(float(height(2.3, 1.4)))}<br>58 % off the plane"
    ).replace("-", "−")
    assert trace(plane_figure(files), "checkpoints").text[0].endswith("in the plane")
    belief = trace(plane_figure(files, "q"), "q").text[0][0]
    assert "mean Q of the critic −" in belief
    assert "mean return −" in belief


def test_a_task_without_success_shows_none(tmp_path):
    files = read_plane(plane_result(tmp_path / "plane", success=False, q=False))
    assert "success" not in "".join(trace(plane_figure(files), "return").text.ravel())


def test_key_tells_own_return_surface_and_share(map_still):
    found = texts(map_still)
    row = found.index("step 2000")
    assert found[row + 1 : row + 4] == ["−70 ± 6", f"−{-round(float(height(2.3, 1.4)))}", "58 %"]
    assert any(text.endswith("58 % off") for text in found)  # on the map, too


def test_stills_are_legible(map_still, files):
    assert map_still.get_size_inches()[0] == pytest.approx(3.3)
    for fig in (map_still, drawn(pair_still(files)), drawn(surface_still(files))):
        assert_legible(fig)


@pytest.mark.parametrize("count", [1, 30])
def test_crowded_stills_are_legible(tmp_path, count):
    rng = np.random.default_rng(count)
    crowd = [checkpoint("offline SMAC", 0, 0, -61.0, anchor=True)]
    crowd += [
        checkpoint(f"SAC step {500 * k}", *rng.normal((5.0, 0.5), (0.4, 0.3)), -1234.5 + k, 0.4)
        for k in range(count)
    ]
    files = read_plane(
        plane_result(
            tmp_path / "plane", q=False, checkpoints=crowd, trajectory=[one["name"] for one in crowd],
            plane={
                "anchors": {"offline SMAC": [0, 0]}, "kind": "random", "cosine": None, "seed": 0,
                "units": [{"name": "distance", "length": 1.0}] * 2, "aspect": 1,
            },
        )
    )  # fmt: skip
    assert_legible(drawn(plane_still(files)))
    rows = key_rows(files)
    assert len(rows) == min(count + 1, MOST - (count >= MOST))
    assert rows[0].anchor


def test_a_checkpoint_outside_the_grid_is_shown(tmp_path):
    far = [checkpoint("offline", 0, 0, -60.0, anchor=True), checkpoint("far", 9.0, 1.0, -80.0, 0.2)]
    files = read_plane(plane_result(tmp_path / "plane", checkpoints=far, trajectory=None, q=False))
    (left, right), _ = files.extent
    assert (left, right) == (-1.0, pytest.approx(9.5))
    assert "the surface says –" in trace(plane_figure(files), "checkpoints").text[1]


def test_principal_components_tell_their_shares(tmp_path):
    found = {"explained": [0.71, 0.18, 0.11], "sentence": "", "null": {}, "beyond_null": True}
    files = read_plane(plane_result(tmp_path / "plane", trajectory_plane=found, q=False))
    assert files.labels == ("component 1 (71 %)", "component 2 (18 %)")


UV = {
    "kind": "checkpoints", "anchors": {"offline": [0, 0], "online": [1, 0], "step 1000": [0, 1]},
    "axes": "uv", "units": [{"name": "u", "length": 1.0}, {"name": "v", "length": 1.0}],
    "lengths": [4.0, 0.5], "seed": None, "cosine": -0.125, "aspect": 1,
}  # fmt: skip


def test_axes_u_and_v_say_what_they_are(tmp_path):
    files = read_plane(plane_result(tmp_path / "plane", plane=UV, trajectory=None, q=False))
    plane = files
    assert plane.labels == ("u = online − offline", "v = step 1000 − offline")
    assert (plane.scale, plane.xs.tolist()) == (1.0, XS.tolist())
    assert "‖u‖ = 4, ‖v‖ = 0.5, cosine −0.12" in texts(drawn(plane_still(files)))
    assert any("not those of parameter space" in note for note in notes(plane))


# --- the pair, several planes, files ------------------------------------------------------------------------


def test_pair_states_the_correlation(files):
    fig = drawn(pair_still(files))
    assert "pointmaze-umaze: Spearman ρ = 0.46 between return and Q" in texts(fig)
    reward, belief = fig.axes[0], fig.axes[2]
    assert reward.get_xlim() == belief.get_xlim()
    assert reward.get_ylim() == belief.get_ylim()
    told = [plane_data(changed(files, correlation={"q": rho})) for rho in (-0.3, None)]
    assert [correlation_text(plane) for plane in told] == ["Spearman ρ = −0.30", "Spearman ρ unknown"]


def test_planes_side_by_side_share_their_colours(tmp_path, files):
    lower = files.fields["return"] - 100
    shifted = plane_data(changed(files, fields={"return": lower.tolist(), "success": lower.tolist()}))
    fig = drawn(planes_still([files, shifted]))
    first, second = (axes.get_xlim() for axes in fig.axes if axes.get_xlabel().startswith("mean return"))
    assert first == second
    assert first[0] <= np.nanmin(lower)
    assert_legible(fig)


def test_four_planes_come_in_two_rows(files):
    fig = drawn(planes_still([files] * 4))
    corners = [axes.get_position().p0 for axes in fig.axes if axes.get_ylabel() == "filter norms"]
    assert len(corners) == 4
    (a, b, c, d) = np.round(corners, 6)
    assert (a[1], c[1], a[0], b[0]) == (b[1], d[1], c[0], d[0])
    assert a[1] > c[1]
    assert_legible(fig)


def test_plane_files(tmp_path):
    folder = plane_result(tmp_path / "plane", q=False, sentence=HOSTILE, task=HOSTILE)
    before = (folder / "result.json").read_bytes()
    names = [path.name for path in draw(folder)]
    assert names == ["plot.png", "plot.pdf", "surface.png", "surface.pdf", "plot.html"]
    assert (folder / "result.json").read_bytes() == before
    assert not list(folder.glob(".*")), "a temporary file was left behind"
    document = (folder / "plot.pdf").read_bytes()
    assert b"/FontFile2" in document
    assert b"/Type3" not in document
    assert b"/Subtype /Image" not in document, "the surface is drawn with lines and areas"
    page = (folder / "plot.html").read_text()
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(") >= 2
    assert page.count('src="plotly.min.js"') == 1
    assert "what the critic believes" not in page


def test_the_page_lists_every_checkpoint_and_every_field(files):
    page = plane_page(files, {name: Figure() for name in ("plot", "surface", "pair")})
    assert "Spearman ρ = 0.46" in page
    assert "<td>−70 [−76, −64]</td><td>−116</td>" in page.replace("\n", "")
    assert [page.count(f'id="{name}"') for name in ("map", "surface", "pair-return", "pair-q")] == [1] * 4
    assert page.count('id="map-critic_loss"') == 1


@pytest.mark.parametrize("name", ["xs", "fields", "checkpoints", "plane"])
def test_a_damaged_result_is_told(tmp_path, name):
    folder = plane_result(tmp_path / "plane")
    result = json.loads((folder / "result.json").read_text())
    for broken in ({k: v for k, v in result.items() if k != name}, result | {name: [1, 2]}):
        (folder / "result.json").write_text(json.dumps(broken))
        with pytest.raises(UserError, match="run the landscape again"):
            read_plane(folder)


def _made_plane():
    class Made:
        fields = {"return": np.linspace(-5, 5, 6).reshape(2, 3)}  # noqa: RUF012
        checkpoints = ()

    return Made()
