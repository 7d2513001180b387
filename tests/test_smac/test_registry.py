"""An algorithm of one's own: registered, trained, loaded, found in an installed package, or refused."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from support import toy_transitions

from smac.agents import AGENTS, OFFLINE, ONLINE, agent_class, method_label
from smac.agents.registry import register
from smac.agents.sac import SAC, SACConfig
from smac.data.replay import OfflineData
from smac.errors import UserError
from smac.tasks import get_task
from smac.testing import check_algorithm
from smac.training.offline import OfflineOptions, pretrain
from smac.training.run import Run

SMALL = {
    "smac": {"diffusion_hidden": (8,)},
    "cql": {"cql_actions": 2},
    "cal_ql": {"cql_actions": 2},
}


@pytest.mark.parametrize("name", AGENTS)
def test_our_own_algorithms_keep_to_what_is_asked(name):
    kind = AGENTS[name]
    check_algorithm(kind, kind.Config(hidden=(8, 8), batch_size=8, **SMALL.get(name, {})), updates=2)


@pytest.fixture
def clean():
    before = [dict(phase) for phase in (OFFLINE, ONLINE, AGENTS)]
    yield
    for phase, old in zip((OFFLINE, ONLINE, AGENTS), before, strict=True):
        phase.clear()
        phase.update(old)


def test_a_registered_class_is_an_algorithm(clean):
    @dataclass(frozen=True)
    class Mine(SACConfig):
        """As SAC's."""

    @register("mine", offline=True)
    class MySAC(SAC):
        label = "My SAC"
        Config = Mine

    assert agent_class("mine", OFFLINE) is MySAC
    assert method_label("mine") == "My SAC"
    assert "mine" not in ONLINE
    check_algorithm(MySAC)


def test_what_is_wrong_with_an_algorithm_is_said(clean):
    @register("forgetful", offline=True)
    class Forgetful(SAC):
        label = "Forgetful"

        def explore(self, observations):
            return super().explore(observations)

        def learn(self, batch):
            return super().learn(batch) | {"train/everything": batch.rewards}

    with pytest.raises(AssertionError, match=r"metric 'train/everything' has shape \(2, 8\), not \[seeds\]"):
        check_algorithm(Forgetful)


def test_an_unregistered_class_is_refused_before_it_trains(tmp_path):
    class Unknown(SAC):
        label = "Unknown"

    agent = Unknown(SACConfig(hidden=(8, 8), batch_size=8), 6, 2, [0])
    before = agent.tensors(0)
    data = OfflineData(toy_transitions(100, 6, 2), [0])
    options = OfflineOptions(steps=2, log_every=2, eval_every=2, eval_episodes=1)
    with pytest.raises(UserError, match=r"Unknown is not registered.*@smac.register"):
        pretrain(Run(tmp_path / "run", {}), get_task("pointmaze-umaze"), agent, data, options)
    assert all(torch.equal(before[name], x) for name, x in agent.tensors(0).items())


@pytest.mark.parametrize(
    ("name", "phases", "message"),
    [
        ("sac", {"online": True}, "'sac' is that of smac.agents.sac.SAC"),
        ("My-SAC", {"online": True}, "lower-case letters, digits and _"),
        ("mine", {}, "offline=True, online=True, or both"),
    ],
)
def test_names_that_cannot_be(name, phases, message, clean):
    with pytest.raises(UserError, match=message):

        @register(name, **phases)
        class Other(SAC):
            label = "Other"


@pytest.mark.slow
def test_a_package_adds_an_algorithm_and_a_task(tmp_path):
    """Installed with pip; trained, continued and checked by name without a change to our files."""
    source = Path(__file__).parents[2] / "examples" / "awac"
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True)
    places = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    env = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}

    def call(line: str, *paths: Path) -> str:
        words = [sys.executable, "-m", "analysis_cli.smac", *line.split(), *map(str, paths)]
        done = subprocess.run(words, check=True, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        return " ".join(done.stdout.replace("│", " ").split())

    call("data collect --task pointmaze-umaze --episodes 4 --out", tmp_path / "data")
    call(
        "pretrain --task pointmaze-umaze --algorithm awac --value-samples 2 --hidden 8 8 --batch-size 8 "
        "--steps 10 --eval-every 10 --eval-episodes 1 --data-root data --out",
        tmp_path / "awac",
    )
    assert json.loads((tmp_path / "awac" / "config.json").read_text())["agent"]["value_samples"] == 2
    call(
        "finetune --algorithm td3 --steps 20 --batch-size 8 --eval-every 20 --eval-episodes 1 --from",
        tmp_path / "awac", Path("--out"), tmp_path / "td3",
    )  # fmt: skip
    ends = [tmp_path / "td3" / "seed-0" / f"{moment}.safetensors" for moment in ("offline", "online")]
    assert ends[1].exists()
    verb = [sys.executable, "-m", "analysis_cli.landscape", "distance", "--from", ends[0], "--to", ends[1]]
    said = subprocess.run(verb, check=True, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout
    assert float(said.removeprefix("distance ")) > 0
    check = (
        "from smac.testing import check_algorithm; from smac.agents import agent_class, method_label;"
        "assert method_label('awac') == 'AWAC'; check_algorithm(agent_class('awac'))"
    )
    subprocess.run([sys.executable, "-c", check], check=True, env=env)

    assert "two-poles" in call("tasks list")
    assert "one of: awac, bc, cal_ql," in call("pretrain --help")
    assert "inverse_temperature 3.0" in call("tasks show two-poles")
    call("train --task two-poles --steps 120 --batch-size 8 --eval-every 60 --eval-episodes 2 --out poles")
    program = (
        "import smac, landscape\n"
        "run = smac.load('poles').seed(0)\n"
        "assert smac.load('poles').config['agent']['hidden'] == [64, 64]\n"
        "short = {'steps': 120, 'batch_size': 8, 'eval_episodes': 2}\n"
        "other = smac.train('two-poles', 'sac', seed=1, out='other', **short)\n"
        "line = landscape.interpolate(run.online, other.seed(1).online, points=3, episodes=3, workers=2)\n"
        "assert line.result['task'] == 'two-poles' and abs(line.margin - 47.7) < 0.1, line.margin\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=env, cwd=tmp_path)
