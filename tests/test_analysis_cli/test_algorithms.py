"""Any pair of algorithms by command: defaults in --help, conversion at the switch, refusals."""

import json
from pathlib import Path

import pytest
from support import run

from analysis_cli import smac
from smac.checkpoint import load_checkpoint

TINY = "--hidden 8 8 --batch-size 8 --eval-episodes 1 --log-every 4 --eval-every 40 --device cpu"
FINETUNE = "finetune --steps 20 --batch-size 8 --eval-episodes 1 --eval-every 20 --trajectory-every 0"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("project")
    assert run(smac, "data collect --task pointmaze-umaze --episodes 4 --out", root / "data") == 0
    for algorithm in ("bc", "iql", "td3_bc"):
        line = f"pretrain --task pointmaze-umaze --algorithm {algorithm} --steps 4 {TINY} --data-root"
        assert run(smac, line, root / "data", "--out", root / algorithm) == 0
    return root


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pretrain --task pointmaze-umaze --algorithm iql", ["--expectile", "0.9", "--inverse-temperature"]),
        ("pretrain --task door-binary --algorithm cql", ["--cql-gap", "512 512 512", "0.0001"]),
        ("pretrain --algorithm td3_bc", ["--bc-alpha", "2.5", "256 256"]),
        ("pretrain --task pointmaze-umaze --algorithm bc", ["--loss", "likelihood"]),
        ("finetune --algorithm td3", ["--policy-noise", "--exploration-noise", "(default: first)"]),
        ("pretrain", ["--algorithm is one of: bc, cal_ql, cql, iql, smac, td3_bc."]),
        ("train", ["one of:", "td3_bc", "default: sac", "--env-import MODULE"]),
        ("finetune", ["--initialise-critic", "--backup-entropy", "--target-subset"]),
    ],
)
def test_help_shows_the_options_and_true_defaults_of_the_algorithm(line, expected, capsys):
    assert run(smac, f"{line} --help-all") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())  # without the panel's line breaks
    assert all(word in text for word in expected)
    if "--algorithm bc" in line:
        assert "--ensemble" not in text


@pytest.mark.parametrize(("offline", "online"), [("iql", "td3"), ("td3_bc", "sac"), ("td3_bc", "td3_bc")])
def test_pairs_of_algorithms(root, tmp_path, offline, online, capsys):
    start = root / offline / "seed-0" / "offline.safetensors"
    line = f"{FINETUNE} --algorithm {online} --from"
    assert run(smac, line, start, "--out", tmp_path / "run") == 0
    about = load_checkpoint(tmp_path / "run" / "seed-0" / "online.safetensors").description
    assert (about.algorithm, about.history[0]["algorithm"]) == (online, offline)
    capsys.readouterr()
    evaluate = "evaluate --episodes 1 --stochastic --out"
    code = run(smac, evaluate, tmp_path / "e", tmp_path / "run" / "seed-0" / "online.safetensors")
    if online == "sac":
        assert code == 0
    else:
        assert code == 2
        assert "is deterministic" in capsys.readouterr().err
        assert not (tmp_path / "e").exists()


def test_after_cloning_a_new_critic_must_be_asked_for(root, tmp_path, capsys):
    start = root / "bc" / "seed-0" / "offline.safetensors"
    assert run(smac, f"{FINETUNE} --from", start, "--out", tmp_path / "run") == 2
    assert "--initialise-critic" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert run(smac, f"{FINETUNE} --initialise-critic --from", start, "--out", tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["online"]["initialise_critic"] is True
    assert config["agent"]["hidden"] == [8, 8]
    assert (tmp_path / "run" / "seed-0" / "online.safetensors").exists()
