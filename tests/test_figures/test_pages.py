"""Pages share one plotting library, stay small, and draw without a network, on a screen and a telephone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made import landscape, plane_result

from figures.draw import draw
from figures.library import NAME, write_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE = '<html><script src="plotly.min.js"></script></html>'


def test_a_page_is_small_and_its_library_lies_beside_it(tmp_path: Path) -> None:
    folder = landscape(tmp_path / "land")
    assert folder / "plot.html" in draw(folder)
    assert (folder / "plot.html").stat().st_size < 300_000
    assert (folder / NAME).stat().st_size > 1_000_000
    before = (folder / NAME).stat().st_mtime_ns
    draw(folder)
    assert (folder / NAME).stat().st_mtime_ns == before, "written once"


def test_lines_of_a_report_use_the_reports_library(tmp_path: Path) -> None:
    page = write_page(tmp_path / "pairs" / "smac-0" / "plot.html", PAGE)
    assert 'src="../../plotly.min.js"' in page.read_text()
    assert [path.parent for path in tmp_path.rglob(NAME)] == [tmp_path]


def test_another_version_of_the_library_is_replaced(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("/* plotly.js v1.0.0 */")
    write_page(tmp_path / "page.html", PAGE)
    assert "plotly.js v1.0.0" not in (tmp_path / NAME).read_text()[:500]


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1200, 400])
def test_pages_draw_in_a_browser(tmp_path: Path, width: int) -> None:
    for folder in (landscape(tmp_path / "land"), plane_result(tmp_path / "plane", q=False)):
        draw(folder)
        found = in_browser(folder / "plot.html", width)
        plots = found.count('js-plotly-plot"')
        assert plots >= 1
        assert found.count('class="main-svg"') >= plots
        assert "no-library" not in found.split("<style", 1)[0]
        widths = [float(x) for x in re.findall(r'class="main-svg"[^>]* width="([0-9.]+)"', found)]
        assert max(widths) <= width, "no picture is wider than the window"
        assert width > 500 or max(widths) > 250


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_page_without_its_library_shows_its_picture_for_paper(tmp_path: Path) -> None:
    folder = landscape(tmp_path / "land")
    draw(folder)
    (folder / NAME).unlink()
    found = in_browser(folder / "plot.html", 1200)
    assert 'class="no-library"' in found
    assert 'js-plotly-plot"' not in found


def in_browser(page: Path, width: int) -> str:
    """The page's elements after its scripts, in a frame of this width: a window is never below 500."""
    frame = page.with_name("frame.html")
    script = (
        "const f = document.querySelector('iframe'); f.onload = () => setTimeout(() => "
        "{ document.body.innerText = f.contentDocument.documentElement.outerHTML }, 3000)"
    )
    frame.write_text(
        f'<body><iframe src="{page.name}" width="{width}" height="900"></iframe><script>{script}</script>'
    )
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        f"--user-data-dir={page.parent / 'browser'}", f"--window-size={max(width, 500)},900",
        "--virtual-time-budget=15000", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        done.stdout = done.stdout.replace(entity, sign)
    return done.stdout
