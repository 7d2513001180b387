"""Words are placed where they can be read."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from figures import labels
from figures.style import paper


def test_labels_overlap_neither_each_other_nor_markers():
    rng = np.random.default_rng(0)
    bounds = labels.Box(0, 0, 200, 150)
    for _ in range(20):
        points = rng.uniform((5, 5), (195, 145), (9, 2))
        sizes = [[(60.0, 9.0), (10.0, 9.0)] for _ in points]
        found = labels.place(points, sizes, bounds, radius=4, busy=np.empty((0, 2)))
        boxes = [label[1] for label in found if label]
        assert len(boxes) >= 8
        for one in boxes:
            assert one.inside(bounds)
            assert not any(one.hits(labels.around(x, y, 4)) for x, y in points)
            assert not any(one.hits(other) for other in boxes if other is not one)


def test_a_shorter_wording_is_taken_where_the_long_one_has_no_room():
    bounds = labels.Box(0, 0, 40, 20)
    ((wording, box),) = labels.place(
        np.array([[20.0, 10.0]]), [[(60.0, 8.0), (9.0, 8.0)]], bounds, radius=3, busy=np.empty((0, 2))
    )
    assert wording == 1
    assert (box.width, box.height) == (9.0, 8.0)
    assert labels.place(
        np.array([[20.0, 10.0]]), [[(60.0, 8.0)]], bounds, radius=3, busy=np.empty((0, 2))
    ) == [None]


def test_labels_keep_off_busy_places():
    bounds, point = labels.Box(0, 0, 200, 200), np.array([[100.0, 100.0]])
    right = np.array([[x, 100.0] for x in range(105, 160)])
    ((_, free),) = labels.place(point, [[(40.0, 8.0)]], bounds, radius=3, busy=np.empty((0, 2)))
    ((_, moved),) = labels.place(point, [[(40.0, 8.0)]], bounds, radius=3, busy=right)
    assert free.left > 100
    assert not any(moved.hits(labels.around(x, y, 0.5)) for x, y in right)


@pytest.mark.parametrize("bold", [False, True])
def test_text_size_is_that_of_the_drawn_text(bold):
    with paper():
        fig = Figure()
        text = fig.text(0.5, 0.5, "SAC step 2000", fontsize=7, fontweight="bold" if bold else "normal")
        FigureCanvasAgg(fig).draw()
    width = text.get_window_extent().width * 72 / fig.dpi
    assert labels.text_size("SAC step 2000", 7, bold=bold)[0] == pytest.approx(width + 2, rel=0.05)
