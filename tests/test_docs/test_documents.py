"""The pages of the documentation run as they stand, in an empty folder."""

import sys
from pathlib import Path

import gymnasium
import pytest
from pages import DOCS, run_page

from smac.agents.registry import AGENTS, OFFLINE, ONLINE


@pytest.fixture(autouse=True)
def _what_pages_register_is_gone_again():
    before = [dict(registry) for registry in (AGENTS, OFFLINE, ONLINE)]
    yield
    for registry, kept in zip((AGENTS, OFFLINE, ONLINE), before, strict=True):
        registry.clear()
        registry.update(kept)
    gymnasium.registry.pop("Slide-v0", None)
    sys.modules.pop("my_envs", None)


def test_quickstart(tmp_path):
    line = run_page(DOCS / "quickstart.md", tmp_path)["line"]
    assert (line.verdict, line.returns.shape) == ("undecided", (3, 3))
    assert {path.suffix for path in (tmp_path / "runs/line").glob("plot.*")} == {".png", ".pdf", ".html"}


def test_checkpoints(tmp_path):
    line = run_page(DOCS / "tutorials/checkpoints.md", tmp_path)["line"]
    assert line.returns.shape == (3, 3)
    assert (tmp_path / "corl/result.json").exists()


def test_every_tutorial_has_a_test():
    tests = "".join(file.read_text() for file in Path(__file__).parents[1].rglob("test_*.py"))
    for page in (DOCS / "tutorials").iterdir():
        assert page.name in tests, f"no test runs {page.name}"


@pytest.mark.slow
def test_environment(tmp_path):
    names = run_page(DOCS / "tutorials/environment.md", tmp_path)
    assert (tmp_path / "runs/online/seed-1/online.safetensors").exists()
    assert "Slide-v0" in names["line"].task


@pytest.mark.slow
def test_method(tmp_path):
    found = run_page(DOCS / "tutorials/method.md", tmp_path)["found"]
    assert {name: sum(of.values()) for name, of in found.verdicts.items()} == {"Anchored": 2, "IQL": 2}
    assert "anchored" not in found.sentence  # it is called by its label
    assert (tmp_path / "page/report.html").exists()


@pytest.mark.slow
def test_paper(tmp_path):
    run_page(DOCS / "tutorials/paper.md", tmp_path)
    assert "SMAC" in (tmp_path / "protocol/protocol.md").read_text()


@pytest.mark.slow
def test_cluster(tmp_path):
    """Two shares, merged, are what one machine finds."""
    import landscape

    run_page(DOCS / "cluster.md", tmp_path)
    line = landscape.load(tmp_path / "runs/line")
    seeds = [tmp_path / f"runs/a/seed-{k}/online.safetensors" for k in (0, 1)]
    alone = landscape.interpolate(*seeds, margin=10.0, points=3, episodes=4)
    assert (line.returns == alone.returns).all()
