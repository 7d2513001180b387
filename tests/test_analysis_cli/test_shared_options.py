"""Options that every command takes, what help shows, and what is said without a terminal."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest
from support import run, small_agent

from analysis_cli import console, landscape, smac
from analysis_cli.reading import subcommands
from smac.checkpoint import save_checkpoint

COMMANDS = [
    (program, verb, place)
    for program in ("smac", "landscape")
    for verb, place in import_module(f"analysis_cli.{program}").PROGRAM.commands.items()
]


@pytest.fixture
def ends(tmp_path) -> tuple[Path, Path]:
    """Two untrained policies of one task."""
    files = []
    for seed in (0, 1):
        agent, about = small_agent(seed=seed, hidden=(8, 8))
        files.append(save_checkpoint(tmp_path / f"{seed}.safetensors", agent.tensors(0), about))
    return files[0], files[1]


@pytest.mark.parametrize(("program", "verb", "place"), COMMANDS)
def test_every_command_has_a_sentence_and_two_examples(program, verb, place):
    kind = resolve_name(place)
    for word, one in {"": kind, **subcommands(kind)}.items():
        assert one.__doc__.partition("\n\n")[0].count("\n") <= 1
        assert len(one.examples) == 2
        for example in one.examples:
            assert example.startswith(f"{program} {verb} {word}".strip())
        names = {f for f in one.often if f not in known_names(one)}
        assert not names, f"{one.__name__}.often names no option: {names}"


def test_an_example_begins_from_what_another_one_leaves():
    """Given in order, with the options that they have: no example names a run that none of them made."""
    examples = [
        example
        for _, _, place in COMMANDS
        for one in (resolve_name(place), *subcommands(resolve_name(place)).values())
        for example in one.examples
    ]
    made = {name for example in examples for name in re.findall(r"--out (runs/[\w-]+)", example)}
    named = {name for example in examples for name in re.findall(r"runs/[^\s/]+", example)}
    assert named <= made
    assert {"runs/smac", "runs/finetune", "runs/transfer", "runs/interpolate", "runs/plane"} <= made


def known_names(kind) -> set[str]:
    from dataclasses import fields

    from analysis_cli.config_file import options_of
    from smac.agents import AGENTS

    found = {word[2:].replace("-", "_") for word in options_of(kind)} | {f.name for f in fields(kind)}
    for agent in AGENTS.values():
        found |= {f.name for f in fields(agent.Config)}
    return found


def test_rare_options_are_folded(capsys):
    assert run(landscape, "interpolate --help") == 0
    brief = capsys.readouterr().out
    assert "landscape interpolate --from" in brief
    assert "--margin" in brief
    assert "--shard" not in brief
    assert "more options" in brief
    assert run(landscape, "interpolate --help-all") == 0
    whole = capsys.readouterr().out
    assert "--shard" in whole
    assert "more options" not in whole
    assert "evaluation options" in whole


def test_version_and_exit_statuses(capsys):
    for program in (smac, landscape):
        assert run(program, "--version") == 0
        assert capsys.readouterr().out.split()[-1].count(".") == 2
        assert run(program, "--help") == 0
        assert "130 interrupted" in capsys.readouterr().out


def test_quiet_prints_errors_only(tmp_path, capsys):
    line = "data collect --task pointmaze-umaze --episodes 2 --quiet --out"
    assert run(smac, line, tmp_path / "data") == 0
    assert capsys.readouterr() == ("", "")
    assert run(smac, line, tmp_path / "data") == 2
    assert "exists" in capsys.readouterr().err


def test_json_is_one_line_with_verdict_and_numbers(ends, tmp_path, capsys):
    line = f"interpolate --from {ends[0]} --to {ends[1]} --points 3 --episodes 3 --json --out {tmp_path}/line"
    assert run(landscape, line) == 0
    (told,) = capsys.readouterr().out.splitlines()
    found = json.loads(told)
    assert found["verdict"] in ("connected", "valley", "undecided")
    assert {"estimate", "lower", "upper"} == found["V"].keys()
    assert found["out"] == str(tmp_path / "line")
    assert found["verdict"] == json.loads((tmp_path / "line/result.json").read_text())["verdict"]


def test_the_command_line_wins_over_a_file_of_options(ends, tmp_path):
    file = tmp_path / "line.toml"
    file.write_text(
        f"from = '{ends[0]}'\nto = '{ends[1]}'\npoints = 3\n[evaluation]\nepisodes = 2\nseed = 4\n"
    )
    line = landscape.parse(["interpolate", "--config", str(file), "--episodes", "5"])
    assert (line.points, line.evaluation.episodes, line.evaluation.seed) == (3, 5, 4)
    assert (line.start, line.end) == ends


def test_a_run_s_config_is_a_file_of_options(tmp_path):
    line = "train --task pointmaze-umaze --algorithm td3 --policy-delay 3 --steps 50"
    first = smac.parse(line.split())
    file = tmp_path / "config.json"
    file.write_text(json.dumps(first.to_json() | {"command_line": "", "versions": {}}, default=str))
    again = smac.parse(["train", f"--config={file}", "--steps", "60"])
    assert (again.algorithm, again.agent, again.online.steps) == ("td3", first.agent, 60)
    with pytest.raises(Exception, match="is of `smac train`, not of `smac pretrain`"):
        smac.parse(["pretrain", f"--config={file}"])


def test_an_unknown_key_is_refused_by_name(tmp_path, capsys):
    file = tmp_path / "line.toml"
    file.write_text("pionts = 3\n")
    assert run(landscape, f"interpolate --from a --to b --config {file}") == 2
    assert "landscape interpolate has no option 'pionts'" in capsys.readouterr().err
    file.write_text("points = \n")
    assert run(landscape, f"interpolate --from a --to b --config {file}") == 2
    assert "not a readable TOML file" in capsys.readouterr().err


def test_a_dry_run_counts_and_writes_nothing(ends, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert (
        run(landscape, f"interpolate --from {ends[0]} --to {ends[1]} --points 7 --episodes 3 --dry-run") == 0
    )
    told = capsys.readouterr().out
    assert "episodes: 21\n" in told
    assert "environment steps, at most: 6300\n" in told
    line = "train --task pointmaze-umaze --steps 1000 --eval-every 250 --eval-episodes 2 --hidden 8 8"
    assert run(smac, f"{line} --seeds 2 --device cpu --dry-run") == 0
    told = capsys.readouterr().out
    assert "online steps: 1000\n" in told
    assert "evaluations: 5\nevaluation episodes: 20\n" in told
    assert "time: about" in told
    assert sorted(tmp_path.rglob("*")) == before


def test_home_is_meant_by_a_tilde():
    assert landscape.parse(["plot", "~/x"]).directories == (Path.home() / "x",)
    assert smac.parse(["evaluate", "a.pt", "--out=~/x"]).out == Path.home() / "x"


def test_former_words_are_understood(tmp_path):
    assert smac.parse(["data", "list", "--out", str(tmp_path)]).command.data_root == tmp_path


def test_a_line_a_minute_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(console, "LINE_EVERY", 0.0)
    monkeypatch.setattr(console, "errors", console.Console(stderr=True, soft_wrap=True))
    with console.progress("episodes") as show:
        show(40, 200)
    assert capsys.readouterr().err.startswith("episodes: 40 of 200")
    assert console.duration(40) == "40 s"
    assert console.duration(720) == "12 min"
    assert console.duration(12600) == "3.5 h"


def test_another_phase_on_the_same_line_has_its_own_time_left(capsys, monkeypatch):
    monkeypatch.setattr(console, "errors", console.Console(stderr=True, soft_wrap=True))
    with console.progress("training") as show:
        show(100, 100)
        monkeypatch.setattr(console, "LINE_EVERY", 0.0)
        show(0, 100)
        show(10, 100)
    assert capsys.readouterr().err.splitlines()[-1] != "training: 10 of 100, about 0 s left"


@pytest.mark.slow
def test_no_color_is_respected():
    code = "import pty, sys; pty.spawn([sys.executable, '-m', 'analysis_cli.landscape', 'plot', '--help'])"
    for name, coloured in (("", True), ("1", False)):
        environment = os.environ | {"NO_COLOR": name, "TERM": "xterm"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
        assert (b"\x1b[" in done.stdout) is coloured
