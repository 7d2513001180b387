"""`landscape demo`, with the smallest of everything, its commands run in this process."""

from contextlib import contextmanager
from importlib import import_module

import pytest
from support import run

from analysis_cli import demo, landscape
from analysis_cli.processes import continuing

TINY = "--hidden 8 8 --batch-size 16 --steps 20 --log-every 10 --eval-every 20 --eval-episodes 1"


class InThisProcess:
    """Runs commands one after another, and is interrupted after so many of them."""

    def __init__(self, allowed):
        self.allowed, self.ran = allowed, []

    def run(self, words, directory=None, watch=None):
        if len(self.ran) == self.allowed:
            raise KeyboardInterrupt
        words = continuing(words, directory)
        self.ran.append(words[:3])
        import_module(f"analysis_cli.{words[0]}").parse(words[1:]).run()


class Pool:
    """Does at once what a pool of threads would do."""

    def submit(self, work, *arguments):
        value = work(*arguments)
        return type("Done", (), {"result": lambda self: value})()


@pytest.fixture
def tiny(monkeypatch):
    """The demo with tiny steps; `tiny(n)` lets its next run end after n commands, and gives what it ran."""
    options = {
        "smac": "--diffusion-steps 5 --diffusion-hidden 8",
        "cal_ql": "--cql-actions 2",
    }
    monkeypatch.setattr(demo, "PRETRAIN", {name: f"{TINY} {own}" for name, own in options.items()})
    monkeypatch.setattr(demo, "FINETUNE", "--steps 20 --eval-every 10 --eval-episodes 1 --trajectory-every 0")
    monkeypatch.setattr(demo, "COLLECT", "--episodes 6")
    monkeypatch.setattr(demo, "LANDSCAPE", "--points 3 --episodes 2")

    def limited(allowed):
        runner = InThisProcess(allowed)

        @contextmanager
        def in_this_process(workers):
            yield Pool(), runner

        monkeypatch.setattr(demo, "side_by_side", in_this_process)
        return runner

    return limited


def test_a_demo_that_is_interrupted_goes_on_and_repeats_nothing(tiny, tmp_path, capsys):
    out, ran = tmp_path / "demo", []
    for allowed, status in ((3, 130), (1, 130), (9, 0)):
        runner = tiny(allowed)
        assert run(landscape, "demo --workers 1 --out", out) == status
        ran += [tuple(words[:2]) for words in runner.ran]
    trained = [("smac", "pretrain"), ("smac", "finetune")]
    assert ran == [("smac", "data"), *trained, *trained, *2 * [("landscape", "interpolate")]]
    page = (out / "demo.html").read_text()
    assert "It was interrupted and went on later." in page
    assert page.count("<pre><code>") == 8
    told = capsys.readouterr().out
    assert f"The demo goes on in {out}. If it is interrupted, `landscape demo --seed 0 --out {out}`" in told
    tiny(0)
    assert run(landscape, "demo --out", out) == 2
    assert f"{out}: holds a finished demo, open {out / 'demo.html'}" in capsys.readouterr().err


def test_a_demo_of_another_seed_is_not_continued(tiny, tmp_path, capsys):
    out = tmp_path / "demo"
    tiny(0)
    assert run(landscape, "demo --out", out) == 130
    assert run(landscape, "demo --seed 1 --out", out) == 2
    assert "was begun with seed = 0, not 1; choose another --out" in capsys.readouterr().err


def test_wrong_numbers_are_refused_before_anything_is_written(tmp_path, capsys):
    for option in ("--seed -1", "--workers 0", "--seed -1 --dry-run"):
        assert run(landscape, f"demo {option} --out", tmp_path / "demo") == 2
        assert f"{option.split()[0]} must be at least" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


def test_a_demo_does_not_write_into_a_directory_of_something_else(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("")
    assert run(landscape, "demo --out", tmp_path) == 2
    assert "already exists and is not empty" in capsys.readouterr().err
