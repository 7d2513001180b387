"""The user's own environment, in a package that this one knows nothing of."""

import json
import os
import subprocess
import sys

import gymnasium
import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from support import run, small_agent

import smac
from analysis_cli import landscape as landscape_command
from analysis_cli import smac as smac_command
from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.envs import env_spec, make_env, notice_of, repetition_of, reports_success
from smac.envs.units import action_box
from smac.errors import UserError
from smac.tasks import get_task
from smac.tasks.environments import ENV_IMPORT
from smac.training.evaluate import Evaluator
from smac.training.jobs import job_of

CODE = '''
import gymnasium
import numpy as np
from gymnasium.spaces import Box


class Slide(gymnasium.Env):
    """A point on a line; its box is skewed, and its reward an array of one number."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(np.array([-1.0, 0.0]), np.array([3.0, 0.5]), dtype=np.float64)

    def __init__(self, fault=""):
        self.fault = fault

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        rng = np.random.default_rng() if self.fault == "start" else self.np_random
        self.x = 0.0 if self.fault == "seeds" else rng.normal()
        self.t = 0
        return np.array([self.x, 0.0]), {}

    def step(self, action):
        assert self.action_space.contains(np.asarray(action, np.float64)), action
        noise = np.random.default_rng().normal() if self.fault == "steps" else 0.0
        self.x += 0.1 * (action[0] - action[1]) + noise
        self.t += 1
        info = {"success": self.x > -9} if self.fault == "late" and self.t == 20 else {}
        return np.array([self.x, action[0]]), np.array([-abs(self.x)]), False, False, info


gymnasium.register("Slide-v0", entry_point=Slide, max_episode_steps=20)
gymnasium.register("Slide-v3", entry_point="PACKAGE:Slide", max_episode_steps=12)
gymnasium.register("Endless-v0", entry_point=Slide)
gymnasium.register("mine/Slide", entry_point=Slide, max_episode_steps=20)
'''
SIZES = "--hidden 8 8 --batch-size 8 --eval-every 20 --eval-episodes 2 --steps 40"


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """The name of a package that registers environments, importable here and in child processes."""
    name = f"slide_{abs(hash(request.node.name)) % 10**8}"
    folder = tmp_path / "site"
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(CODE.replace("PACKAGE", name))
    monkeypatch.setenv(ENV_IMPORT, "")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    yield name
    get_reusable_executor().shutdown(wait=True)  # its workers look for packages where they are now
    for env_id in ("Slide-v0", "Slide-v3", "Endless-v0", "mine/Slide"):
        gymnasium.registry.pop(env_id, None)
    sys.modules.pop(name, None)
    env_spec.cache_clear()


def test_an_id_may_name_its_module(package):
    task = get_task(f"{package}:Slide-v0@horizon=7")
    assert (task.name, task.env_id, task.horizon) == (f"{package}:Slide-v0@horizon=7", "Slide-v0", 7)
    assert get_task(task.name) == task
    assert get_task(f"{package}:Slide").horizon == 12  # the latest version, as gymnasium takes it
    assert get_task(f"{package}:mine/Slide").horizon == 20


def test_what_has_been_registered_needs_no_more(package):
    with pytest.raises(UserError, match=r"unknown environment 'Slide-v0'.*--env-import MODULE"):
        get_task("Slide-v0")
    smac.register_env_module(package)
    assert get_task("Slide-v0").horizon == 20
    assert get_task("mine/Slide").horizon == 20  # without a version
    assert os.environ[ENV_IMPORT] == package


def test_no_module_no_environment_no_limit(package):
    with pytest.raises(UserError, match=r"module 'no_such_module'.*cannot be imported.*PYTHONPATH"):
        get_task("no_such_module:Slide-v0")
    with pytest.raises(UserError, match=f"unknown environment '{package}:Nope-v0'"):
        get_task(f"{package}:Nope-v0")
    with pytest.raises(
        UserError, match=f"no time limit of its own: state one, as in {package}:Endless-v0@hor"
    ):
        get_task(f"{package}:Endless-v0")
    assert get_task(f"{package}:Endless-v0@horizon=30").horizon == 30


def test_a_skewed_box_is_filled_from_end_to_end(package):
    task = get_task(f"{package}:Slide-v0")
    box = action_box(task)
    assert (box.low, box.high) == ((-1.0, 0.0), (3.0, 0.5))
    env = make_env(task)
    env.reset(seed=0)
    for action, first in ((-1.0, -1.0), (0.0, 1.0), (1.0, 3.0)):
        observation, reward, *_ = env.step(np.full(2, action, np.float32))
        assert observation[1] == first
        assert isinstance(reward, float)
    env.close()


def test_a_worker_needs_no_registration(package):
    """A task carries what builds its environment, so it does not matter who registered it, or when."""

    def started(task):  # in here, so that it travels by itself: a worker need not import this file
        env = make_env(task)
        try:
            return env.reset(seed=3)[0]
        finally:
            env.close()

    joblib.Parallel(2)(joblib.delayed(abs)(x) for x in (1, 2))  # workers that began without it
    smac.register_env_module(package)
    task = get_task("Slide-v3")
    found = joblib.Parallel(2)(joblib.delayed(started)(t) for t in (task, task))
    assert all(np.array_equal(x, started(task)) for x in found)


def test_no_file_has_a_module_imported(package, tmp_path):
    agent, about = small_agent("Pendulum-v1")
    path = save_checkpoint(
        tmp_path / "a.safetensors",
        agent.tensors(0),
        type(about)(**vars(about) | {"task": f"{package}:Slide-v0"}),
    )
    with pytest.raises(UserError, match=f"because a file says so: add --env-import {package}"):
        load_checkpoint(path)
    with pytest.raises(UserError, match=f"Slide-v0 needs the module {package}.*add --env-import {package}"):
        job_of({"task": "Slide-v0", "env_import": [package]}, tmp_path)
    assert package not in sys.modules
    smac.register_env_module(package)
    assert load_checkpoint(path).description.task == f"{package}:Slide-v0"


@pytest.mark.parametrize(
    ("fault", "found", "words"),
    [
        ("", (True, True, True), None),
        ("start", (False, False, True), "does not give the same start twice"),
        ("steps", (True, False, True), "do not give the same episode twice"),
        ("seeds", (True, True, False), "every seed gives the same episode"),
    ],
)
def test_whether_an_environment_repeats_itself(package, fault, found, words):
    task = get_task(f"{package}:Slide-v0@env.fault={fault or 'none'}")
    measured = repetition_of(task)
    assert (measured.start, measured.steps, measured.seeds_differ) == found
    notice = notice_of(task)
    assert notice is None if words is None else words in str(notice)


def test_success_that_is_told_at_the_end_alone_counts(package):
    assert not reports_success(get_task(f"{package}:Slide-v0"))
    task = get_task(f"{package}:Slide-v0@env.fault=late")
    assert reports_success(task)
    assert not reports_success(get_task(f"{package}:Slide-v0@env.fault=late,horizon=19"))
    evaluator = Evaluator(task, 1, episodes=2, seed=0)
    assert evaluator(small_agent(task.name)[0].actor)["eval/success"] == 1.0
    evaluator.close()


def test_own_tasks_are_not_measured():
    assert notice_of(get_task("pointmaze-umaze@horizon=5")) is None


@pytest.mark.usefixtures("pages_alone")
def test_every_command_in_this_process(package, tmp_path, capsys, caplog):
    out = tmp_path / "run"
    line = f"train --task Slide-v0@env.fault=seeds --env-import {package} {SIZES} --trajectory-every 0 --out"
    assert run(smac_command, line, out) == 0, capsys.readouterr().err
    assert "every seed gives the same episode" in caplog.text
    assert json.loads((out / "config.json").read_text())["env_import"] == [package]
    a, b = out / "seed-0/online.safetensors", tmp_path / "evaluated"
    assert run(smac_command, "evaluate --episodes 2", a, "--out", b) == 0
    assert run(smac_command, f"tasks show {package}:Slide-v0") == 0
    line = "interpolate --points 3 --episodes 2 --margin 1 --from"
    assert run(landscape_command, line, a, "--to", a, "--out", tmp_path / "line") == 2  # the same policy
    other = tmp_path / "other"
    assert run(smac_command, f"train --env Slide-v0@env.fault=seeds {SIZES} --seed 1 --out", other) == 0
    ends = a, "--to", other / "seed-1/online.safetensors"
    assert run(landscape_command, line, *ends, "--out", tmp_path / "l") == 0
    assert any(record.name.startswith("landscape") for record in caplog.records)
    assert "same episode" in json.loads((tmp_path / "l/result.json").read_text())["repetition"]
    capsys.readouterr()
    assert run(landscape_command, line, *ends, "--task", "Hopper-v5", "--out", tmp_path / "m") == 2
    assert "but --task is Hopper-v5; leave --task out" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_a_matrix_from_the_shell(package, tmp_path):
    """Pre-trained and fine-tuned in children, evaluated, interpolated: each by its command."""
    task = f"{package}:Slide-v0"
    rng = np.random.default_rng(0)
    episodes = 6
    np.savez(
        tmp_path / "data.npz",
        observations=rng.normal(size=(20 * episodes, 2)),
        next_observations=rng.normal(size=(20 * episodes, 2)),
        actions=rng.uniform([-1, 0], [3, 0.5], (20 * episodes, 2)),
        rewards=-rng.uniform(size=20 * episodes),
        terminals=np.zeros(20 * episodes, bool),
        timeouts=np.arange(20 * episodes) % 20 == 19,
        action_units="env",
    )

    def call(program: str, *words: object, status: int = 0) -> str:
        command = [sys.executable, "-m", f"analysis_cli.{program}", *map(str, words)]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    small = "--hidden 8 8 --batch-size 8 --eval-every 20 --eval-episodes 2 --steps 40"
    matrix = [
        "transfer", "--task", task, "--offline", "iql,td3_bc", "--online", "sac", "--seeds", 2, "--dataset",
        "data.npz", f"--pretrain={small}",
        f"--finetune={small.replace('--hidden 8 8 ', '')} --learning-starts 10", "--workers", 2, "--out", "m",
    ]  # fmt: skip
    assert "in units of return" in call("smac", *matrix)
    numbers = json.loads((tmp_path / "m/transfer.json").read_text())["online"]["iql-sac"]["over_seeds"]
    assert {"switch/dip", "switch/gain", "regret/return"} <= numbers.keys()
    assert "regret/eval" not in numbers
    cell = "m/finetune/iql-sac"
    refused = call("smac", "evaluate", cell, "--episodes", 2, status=2)
    assert f"add --env-import {package}" in refused
    call("smac", "evaluate", cell, "--episodes", 2, "--env-import", package)
    ends = ["--from", f"{cell}/seed-0/offline.safetensors", "--to", f"{cell}/seed-0/online.safetensors"]
    playing = ["--points", 3, "--episodes", 3, "--margin", 1, "--workers", 2, "--env-import", package]
    assert "valley" in call("landscape", "interpolate", *ends, *playing, "--out", "line")
