"""`landscape compare` and `landscape.compare`: methods by patterns, policies paired by their names."""

import json
from pathlib import Path

import pytest
import torch
from support import described, run, small_agent
from torch import nn

import landscape as functions
from analysis_cli import landscape
from landscape.study.patterns import Said, find_lines, read_mapping, read_toml, read_words
from smac.checkpoint import save_checkpoint
from smac.errors import UserError

TASK = "Pendulum-v1@horizon=15,random=-150,expert=-20"


def policy(path: Path, seed: int) -> None:
    """A state dict and its description, as somebody else's code may write them."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), path)
    about = {"activation": "tanh", "output": "tanh", "action_units": "unit"}
    path.with_suffix(".policy.json").write_text(json.dumps(about))


def said_beside(path: Path, **keys: object) -> None:
    beside = path.with_suffix(".policy.json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | keys))


@pytest.fixture
def theirs(tmp_path) -> Path:
    for seed in (3, 10):
        for k, moment in enumerate(("bc", "sac")):
            policy(tmp_path / f"theirs/s{seed}/{moment}_v2.pt", 2 * seed + k)
    return tmp_path / "theirs"


@pytest.fixture
def mine(tmp_path) -> Path:
    """Two runs of `smac finetune`, of one seed each."""
    for seed in (0, 1):
        folder = tmp_path / f"mine/run-{seed}"
        for moment, algorithm in (("offline", "cal_ql"), ("online", "sac")):
            agent, about = small_agent(TASK, algorithm, seed=seed + 10 * (moment == "online"))
            about = described(about, moment=moment, seed=seed, algorithm=algorithm)
            save_checkpoint(folder / f"seed-{seed}/{moment}.safetensors", agent.tensors(0), about)
        (folder / "config.json").write_text(json.dumps({"command": "finetune"}))
    (tmp_path / "mine/notes.txt").write_text("no run")
    return tmp_path / "mine"


@pytest.mark.usefixtures("pages_alone")
def test_runs_and_policies_of_two_seeds_are_one_report(mine, theirs, tmp_path, capsys):
    out = tmp_path / "out"
    line = f"compare --task {TASK} --points 3 --episodes 3"
    methods = f"MINE={mine}/*", f"THEIRS={theirs}/s*/{{bc,sac}}_v2.pt", "THEIRS:step=0,500"
    assert run(landscape, line, *methods, "THEIRS:algorithm=bc,sac", "--out", out) == 0
    found = json.loads((out / "report.json").read_text())
    assert [(one["name"], one["seeds"]) for one in found["methods"]] == [
        ("MINE", [0, 1]),
        ("THEIRS", [3, 10]),
    ]
    third = found["pairs"][2]
    assert third["from"] | {"path": None} == {
        "path": None, "algorithm": "bc", "moment": "policy", "step": 0, "seed": 3,
        "actor": "deterministic", "converted": None,
    }  # fmt: skip
    assert (third["to"]["algorithm"], third["to"]["step"]) == ("sac", 500)
    assert (out / "report.html").is_file()
    names = {"run-0-seed-0", "run-1-seed-1", "THEIRS-seed-3", "THEIRS-seed-10"}
    assert {path.name for path in (out / "pairs").iterdir()} == names
    assert "THEIRS" in capsys.readouterr().out
    # the same from Python, with a table of a TOML file and with a mapping
    table = tmp_path / "methods.toml"
    table.write_text(
        f'task = "{TASK}"\n[MINE]\nruns = "mine/*"\n'
        '[THEIRS]\nruns = "theirs/s*/{bc,sac}_v2.pt"\nalgorithm = ["bc", "sac"]\nstep = [0, 500]\n'
    )
    with pytest.raises(UserError, match="MINE: task is said of policies"):
        functions.compare(table, points=3, episodes=3)
    table.write_text(table.read_text().replace(f'task = "{TASK}"\n', ""))
    again = functions.compare(table, env=TASK, points=3, episodes=3, store=out / "episodes")
    ignored = {"directory", "command"}
    for one, other in zip(again.result["pairs"], found["pairs"], strict=True):
        assert {k: v for k, v in one.items() if k not in ignored | {"from", "to"}} == {
            k: v for k, v in other.items() if k not in ignored | {"from", "to"}
        }
    # a killed command plays nothing twice, and goes on
    (out / "report.json").unlink()
    assert run(landscape, line, *methods, "THEIRS:algorithm=bc,sac", "--out", out) == 0


def seeds_of(pattern: str, **said: object) -> list[int]:
    (method,) = read_mapping({"m": {"runs": pattern, "task": TASK} | said})
    return [line.seed for line in find_lines(method).policies]


def test_the_seed_is_what_the_description_says_or_the_name_tells(theirs, tmp_path):
    pattern = f"{theirs}/s*/{{bc,sac}}_v2.pt"
    assert seeds_of(pattern) == [3, 10]
    said_beside(theirs / "s3/sac_v2.pt", seed=7)
    assert seeds_of(pattern) == [7, 10]
    with pytest.raises(UserError, match=r"says seed 7, not 1 as m:seed"):
        seeds_of(pattern, seeds=[1, 2])
    said_beside(theirs / "s3/sac_v2.pt", seed=10)
    with pytest.raises(UserError, match="are both of seed 10; say the seeds with m:seeds=0,1"):
        seeds_of(pattern)
    for name in ("a_s1_x5", "b_s2_x5", "c_s3_x5"):  # the last number is that of the step
        policy(tmp_path / f"flat/{name}-bc.pt", 0)
        policy(tmp_path / f"flat/{name}-sac.pt", 1)
    assert seeds_of(f"{tmp_path}/flat/*-{{bc,sac}}.pt") == [1, 2, 3]
    policy(tmp_path / "flat/d-bc.pt", 0)
    policy(tmp_path / "flat/d-sac.pt", 1)
    assert seeds_of(f"{tmp_path}/flat/*-{{bc,sac}}.pt") == [0, 1, 2, 3]


def test_checkpoints_of_ours_say_their_own_seeds(mine):
    pattern = f"{mine}/run-*/seed-*/{{offline,online}}.safetensors"
    assert seeds_of(pattern) == [0, 1]
    with pytest.raises(UserError, match=r"online\.safetensors: is of seed 0, not 5"):
        seeds_of(pattern, seeds=[5, 6])


def test_one_start_for_all_and_a_policy_without_its_other_end(theirs, tmp_path):
    policy(tmp_path / "start.pt", 5)
    words = [f"T:from={tmp_path}/start.pt", f"T:to={theirs}/s*/sac_v2.pt", f"T:task={TASK}"]
    (said,) = read_words(words)
    lines = find_lines(said).policies
    assert [line.start.path for line in lines] == [tmp_path / "start.pt"] * 2
    assert [line.start.description.algorithm for line in lines] == ["T", "T"]
    (theirs / "s10/bc_v2.pt").unlink()
    (said,) = read_mapping({"T": {"runs": f"{theirs}/s*/{{bc,sac}}_v2.pt", "task": TASK}})
    with pytest.raises(UserError, match=r"T: .*s10/sac_v2\.pt has no other end"):
        find_lines(said)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["MINE"], "'MINE': a method is said as NAME=PATTERN"),
        (["M=a/*", "M:label=b"], "M:label: there is no such key; known are from, to, runs, task"),
        (["M:from=a"], "M: name its runs by one pattern, or its policies by both from and to"),
        (["M:from=a", "M:to=b", "M:step=x,1"], "M:step: takes whole numbers"),
        (["M:from=a", "M:to=b", "M:action_units=volts"], "M:action_units: is env or unit, got 'volts'"),
        (["M:from=a", "M:from=b"], "M:from is said twice"),
        (["M=nowhere/*"], "M: nothing is called nowhere/*"),
        (["M=theirs/s*/sac_v2.pt"], "is a file, and a line is between two policies: name both with braces"),
        (["M:from=theirs/s*/no.pt", "M:to=theirs/s*/sac_v2.pt"], "M: no file is called theirs/s*/no.pt"),
        (["M:from=theirs/s3/*c_v2.pt", "M:to=theirs/s*/sac_v2.pt"], "are a pair, which they are where"),
        (["M:from=theirs/s*/bc_v2.pt", "M:to=theirs/s3/sac_v2.pt"], "has no star, so that its lines"),
        (["M=theirs/s*/{bc,sac}_v2.pt"], "does not say which task it was trained for; name it with --task"),
        (["M=theirs/s*/{bc,sac}_v2.pt", "M:step=5"], "step are said of the start and the end"),
        (["M=theirs/s*", "M:algorithm=a"], "M: algorithm is said of policies by from and to"),
    ],
)
def test_what_is_not_understood_is_refused_before_anything_is_written(
    theirs, tmp_path, monkeypatch, capsys, words, told
):
    monkeypatch.chdir(tmp_path)
    assert run(landscape, "compare --out out", *words, "N=theirs/s*/{bc,sac}_v2.pt") == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_comparison_needs_two_methods(theirs, tmp_path):
    with pytest.raises(UserError, match="a comparison is of two methods or more"):
        functions.compare({"m": "nowhere"})
    with pytest.raises(UserError, match=r"none\.toml: no such file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ")
    with pytest.raises(UserError, match=r"bad\.toml: not a readable TOML file"):
        read_toml(tmp_path / "bad.toml")
    assert read_mapping({"m": ["a", "b"]}) == [Said("m", runs=("a", "b"))]


def test_a_table_that_is_not_there_is_told_as_that(tmp_path, capsys):
    assert run(landscape, "compare", tmp_path / "missing.toml") == 2
    assert f"{tmp_path}/missing.toml: no such file" in capsys.readouterr().err
