"""Pictures in the width, letters and formats of a paper."""

import shutil
from pathlib import Path

import pytest
from made import landscape
from matplotlib.figure import Figure
from PIL import Image
from support import run

from analysis_cli import landscape as program
from figures.latex import NEEDED, drawable, tex
from figures.output import Output, fit, inches, written_as
from figures.report.data import whiskers
from figures.style import between, save
from smac.errors import UserError


@pytest.mark.parametrize(
    "text", ["3.25in", "3.25", "8.255cm", "82.55 mm", "234.8775pt"]
)  # fmt: skip
def test_widths_have_units(text: str) -> None:
    assert inches(text) == pytest.approx(3.25)


@pytest.mark.parametrize("text", ["", "3.25px", "wide", "-3in", "0.1in", "500cm"])
def test_other_widths_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--width"):
        inches(text)


def test_a_picture_is_one_column_or_two() -> None:
    narrow, broad = Figure(figsize=(4.6, 3.3)), Figure(figsize=(7.0, 5.0))
    label = narrow.text(0, 0, "x", fontsize=10)
    fit(narrow, 3.25)
    fit(broad, 3.25)
    assert narrow.get_size_inches()[0] == 3.25
    assert broad.get_size_inches()[0] == 6.75
    assert label.get_fontsize() == 8.0


def test_save_writes_the_formats_that_were_asked_for(tmp_path: Path) -> None:
    with written_as(Output("paper", 2.0, ("svg", "png"))):
        written = save(Figure(figsize=(3.0, 2.0)), tmp_path / "one")
    assert [path.name for path in written] == ["one.svg", "one.png"]
    assert Image.open(tmp_path / "one.png").width == 400
    assert [path.name for path in save(Figure(), tmp_path / "two")] == ["two.png", "two.pdf"]


def test_plot_draws_for_a_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = landscape(tmp_path / "land")
    options = ["--style", "paper", "--width", "3.25in", "--formats", "svg", "png"]
    assert run(program, "plot", str(folder), *options) == 0
    assert Image.open(folder / "plot.png").width == 650
    assert (folder / "plot.svg").read_text().count("STIX")
    assert not (folder / "plot.pdf").exists()
    assert run(program, "plot", str(folder), "--width", "3 feet") == 2
    assert "'3 feet' is no width (--width)" in capsys.readouterr().err


def test_whiskers_of_methods_stand_side_by_side() -> None:
    profile = {"thresholds": [0, 1, 2, 4], "shares": [0, 0.5, 0.5, 1], "lower": [0, 0.2, 0.2, 0.6],
               "upper": [0.4, 0.8, 0.8, 1]}  # fmt: skip
    first, second = whiskers(profile, 0, 2, places=2), whiskers(profile, 1, 2, places=2)
    assert first.xs.tolist() == pytest.approx([2 / 3, 8 / 3])
    assert second.xs.tolist() == pytest.approx([4 / 3, 10 / 3])
    assert (second.shares.tolist(), second.above.tolist()) == ([0.5, 0.5], pytest.approx([0.3, 0.3]))


def test_labels_are_kept_under_the_top() -> None:
    assert between([5.0, 6.5, 1.0], bottom=0.0, top=6.0, gap=1.5) == [4.5, 6.0, 1.0]
    assert between([0.5, 0.0, 3.0], bottom=0.0, top=6.0, gap=1.5) == [1.5, 0.0, 3.0]
    assert between([0.1, -2.0], bottom=0.0, top=6.0, gap=1.5) == [1.5, 0.0]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("95 % of 3_a", r"95 \% of 3\_a"),
        ("a → b & $c", r"a $\to$ b \& \$c"),
        ("−0.5 ± ∞", r"$-$0.5 $\pm$ $\infty$"),
    ],
)
def test_latex_reads_no_command_in_a_label(text: str, written: str) -> None:
    assert tex(text) == written
    assert drawable("é中") == "é?"


def test_latex_that_is_not_there_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = landscape(tmp_path / "land")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(program, f"plot {folder} --style paper --latex") == 2
    error = capsys.readouterr().err
    assert "need latex and dvipng" in error
    assert "apt-get install" in error
    assert error.count("\n") == 1
    assert run(program, f"plot {folder} --latex") == 2
    assert "style of a paper (--style)" in capsys.readouterr().err
    assert not (folder / "plot.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="LaTeX is not installed")
def test_latex_sets_the_letters_of_every_kind(tmp_path: Path) -> None:
    """The fonts of the PDF are TeX's, and the picture keeps its size."""
    folder = landscape(tmp_path / "land")
    assert run(program, f"plot {folder} --style paper --latex --width 3.25in") == 0
    assert Image.open(folder / "plot.png").width == 650
    pdf = (folder / "plot.pdf").read_bytes()
    assert b"SFRM" in pdf or b"CMR" in pdf
    assert b"DejaVu" not in pdf
