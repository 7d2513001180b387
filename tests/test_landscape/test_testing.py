"""`landscape.register` and `check_format`: formats of other packages, and ours by the same check."""

import importlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import landscape
from landscape.testing import auditing, check_format
from smac.errors import UserError
from smac.policies import load_policy
from smac.policies.contents import OPENERS
from smac.policies.network import Affine, Network
from smac.policies.readers import ADDED

TASK = "Pendulum-v1"
ROWS = np.random.default_rng(0).uniform(-1, 1, (20, 3)).astype(np.float32) * np.array([1, 1, 8], np.float32)


@pytest.fixture
def clean():
    """The formats and the modules as they were, afterwards."""
    before, openers = dict(ADDED), dict(OPENERS)
    yield
    for now, then in ((ADDED, before), (OPENERS, openers)):
        now.clear()
        now.update(then)


@pytest.fixture
def textnet(clean, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples" / "awac"))
    sys.modules.pop("smac_awac.formats", None)
    return importlib.import_module("smac_awac.formats")


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1), nn.Tanh())


def torques(net: nn.Module) -> np.ndarray:
    return 2 * net(torch.from_numpy(ROWS)).detach().numpy()


def write_textnet(path: Path, net: nn.Sequential) -> Path:
    layers = [{n: t.tolist() for n, t in layer.state_dict().items()} for layer in net if layer.state_dict()]
    path.write_text(json.dumps({"textnet": 1, "layers": layers}))
    return path


def test_the_example_keeps_to_what_is_asked_of_a_format(textnet, tmp_path):
    path, net = write_textnet(tmp_path / "a.textnet", network()), network()
    with torch.no_grad():
        net[0].weight[0, 0] = float("nan")
    bad = write_textnet(tmp_path / "nan.textnet", net)
    check_format(path, ROWS, torques(network()), task=TASK, with_nan=bad)
    assert load_policy(path, TASK).spec.activation == "tanh"
    with pytest.raises(AssertionError, match="acts otherwise than it should"):
        check_format(path, ROWS, torques(network(1)), task=TASK, with_nan=bad)
    with pytest.raises(AssertionError, match="weights are not plain in the file; give with_nan"):
        check_format(path, ROWS, torques(network()), task=TASK)


def test_a_format_that_reads_what_it_should_not_fails_the_check(clean, tmp_path):
    @landscape.register(
        "careless", recognises=lambda c: c.kind == "careless", starts=b"CARELESS", unpack=Path.read_bytes
    )
    def read(contents, stated):
        numbers = np.frombuffer(contents.value[8:].ljust(16, b"\0")[:16], np.float32)
        mean = Affine(torch.tensor(numbers[:3].copy())[None], torch.tensor(numbers[3:].copy()))
        return Network("careless", (Affine(torch.eye(3), torch.zeros(3)),), mean, "tanh", True, "unit")

    path = tmp_path / "a.bin"
    path.write_bytes(b"CARELESS" + np.array([0.5, 0.2, 0.1, 0.3], np.float32).tobytes())
    expected = 2 * np.tanh(np.tanh(ROWS) @ [[0.5], [0.2], [0.1]] + 0.3)
    with pytest.raises(AssertionError, match=r"its first \d+% is read as another policy"):
        check_format(path, ROWS, expected, task=TASK)


def test_what_runs_code_while_it_is_read_is_seen(tmp_path):
    with auditing() as events:
        exec("1")
        pickle.loads(pickle.dumps(np.float32))
        (tmp_path / "a").write_text("")
    assert [event.split()[0] for event in events][-3:] == ["exec", "pickle.find_class", "open"]
    with auditing() as events:
        json.loads("1")
    assert not events


@pytest.mark.parametrize("form", ["state dict", "safetensors", "cleanrl", "corl", "arrays", "sb3"])
def test_our_formats_pass_the_check(tmp_path, form):
    net, path, told = network(), tmp_path / "a.pt", {}
    held = net.state_dict()
    expected = torques(net)
    if form in ("state dict", "safetensors"):
        path = path.with_suffix(".pt" if form == "state dict" else ".safetensors")
        torch.save(held, path) if form == "state dict" else save_file(held, path)
        about = {"activation": "tanh", "output": "tanh", "action_units": "unit"}
        path.with_suffix(".policy.json").write_text(json.dumps(about))
    elif form == "cleanrl":
        names = {"0": "fc1", "2": "fc2", "4": "fc_mean"}
        tensors = {f"{names[n[0]]}.{n[2:]}": t for n, t in held.items()}
        torch.save(tensors | {"action_scale": torch.tensor([2.0]), "action_bias": torch.tensor([0.0])}, path)
        relu = nn.Sequential(net[0], nn.ReLU(), net[2], nn.ReLU(), net[4], nn.Tanh())
        expected = torques(relu)
    elif form == "corl":
        torch.save({"actor": {f"net.{n}": t for n, t in held.items()}, "total_it": 1}, path)
        told = {"normaliser": "none"}
        expected = torques(nn.Sequential(net[0], nn.ReLU(), net[2], nn.ReLU(), net[4], nn.Tanh()))
    elif form == "arrays":
        path = tmp_path / "a.npz"
        stems = {"latent_pi_0": net[0], "latent_pi_2": net[2], "mu": net[4], "log_std": net[4]}
        np.savez(path, **{f"{s}_{n}": t.numpy() for s, m in stems.items() for n, t in m.state_dict().items()})
        expected = torques(nn.Sequential(net[0], nn.ReLU(), net[2], nn.ReLU(), net[4], nn.Tanh()))
    else:
        sb3 = pytest.importorskip("stable_baselines3")
        agent = sb3.TD3("MlpPolicy", gymnasium.make(TASK), policy_kwargs={"net_arch": [8]}, seed=1)
        path, told = tmp_path / "a.zip", {"normaliser": "none"}
        agent.save(path)
        expected = agent.predict(ROWS, deterministic=True)[0]
    check_format(path, ROWS, expected, task=TASK, **told)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("My Format", {}, "lower-case letters"),
        ("half", {"starts": b"H"}, "starts and unpack belong together"),
        ("textnet", {}, "is that of smac_awac.formats.read: take another name"),
        ("alike", {"starts": b'{"text', "unpack": Path.read_bytes}, "files of textnet begin alike"),
    ],
)
def test_registrations_that_cannot_be(textnet, name, options, message):
    with pytest.raises(UserError, match=message):
        landscape.register(name, recognises=lambda _: False, **options)(lambda contents, stated: None)


def test_the_page_of_formats_shows_a_reader_that_works(clean, tmp_path):
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    (block,) = re.findall(r"```python\n(import landscape\n.*?)```", page, re.DOTALL)
    exec(block, {})  # the page is ours
    first, last = nn.Linear(3, 4), nn.Linear(4, 1)
    held = {f"mylib.{s}.{n}": t for s, m in (("in", first), ("out", last)) for n, t in m.state_dict().items()}
    torch.save(held | {"mylib.critic.weight": torch.zeros(1, 4)}, tmp_path / "a.pt")
    expected = torch.tanh(last(torch.relu(first(torch.from_numpy(ROWS))))).detach().numpy()
    check_format(tmp_path / "a.pt", ROWS, expected, task=TASK)


@pytest.mark.slow
def test_a_package_adds_a_format(tmp_path):
    """Installed with pip, it is found by its entry point, without a change to our files."""
    source, site = Path(__file__).parents[2] / "examples" / "awac", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True)
    places = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    write_textnet(tmp_path / "a.textnet", network())
    line = "evaluate a.textnet --task Pendulum-v1@horizon=5 --episodes 1 --out evaluated"
    words = [sys.executable, "-m", "analysis_cli.smac", *line.split()]
    subprocess.run(words, check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": places})
    assert json.loads((tmp_path / "evaluated/evaluation.json").read_text())["length"]["mean"] == 5
