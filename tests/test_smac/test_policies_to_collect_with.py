"""Policies read from files: the same actions as where they come from, and no code executed."""

import io
import json
import os
import zipfile
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from support import run, small_agent

import smac
from analysis_cli import landscape as forecasting
from analysis_cli import smac as command
from smac.checkpoint import save_checkpoint
from smac.collect.collecting import collect
from smac.collect.recipes import recipe
from smac.errors import UserError
from smac.policies.acting import check_fits, load_policy
from smac.rollout import episode_seeds
from smac.tasks import get_task

DATA = Path(os.environ.get("SMAC_SHARED_DATA", "missing"))
real_files = pytest.mark.skipif("SMAC_SHARED_DATA" not in os.environ, reason="SMAC_SHARED_DATA is not set")


def checkpoint(folder: Path, **options) -> tuple[Path, torch.nn.Module]:
    agent, description = small_agent(**options)
    return save_checkpoint(folder / "a.safetensors", agent.tensors(0), description), agent.actor


def write_dapg(path: Path, observations: int, actions: int, scale: float = 1.0) -> Path:
    """A network whose mean is constant: 0.25 in the first action, `scale` times 3 in the others."""
    mean = np.full(actions, 3.0 * scale, np.float32)
    mean[0] = 0.25
    arrays = {
        "W0": np.zeros((4, observations)), "b0": np.zeros(4), "W1": np.zeros((4, 4)), "b1": np.zeros(4),
        "W2": np.zeros((actions, 4)), "b2": mean / 2 - 1, "out_scale": np.full(actions, 2.0),
        "out_shift": np.full(actions, 2.0), "in_shift": np.zeros(observations),
        "in_scale": np.ones(observations), "log_std": np.full(actions, np.log(0.1)),
    }  # fmt: skip
    np.savez(path, **{name: np.asarray(value, np.float32) for name, value in arrays.items()})
    return path


def test_a_checkpoint_acts_as_its_actor(tmp_path):
    path, actor = checkpoint(tmp_path)
    policy, observation = load_policy(path), np.linspace(-1, 1, 6, dtype=np.float32)
    expected = actor.act(torch.from_numpy(observation)[None, None]).detach().numpy()[0, 0]
    np.testing.assert_allclose(policy.action(observation), expected, atol=1e-6)
    noise = np.random.default_rng(4).standard_normal(2, dtype=np.float32)
    expected = actor.act(torch.from_numpy(observation)[None, None], torch.from_numpy(noise)[None, None])
    np.testing.assert_allclose(
        policy.action(observation, np.random.default_rng(4)), expected.detach().numpy()[0, 0], atol=1e-6
    )


def test_a_policy_of_another_task_is_refused(tmp_path):
    path, _ = checkpoint(tmp_path)
    medium = get_task("pointmaze-medium")
    with pytest.raises(UserError, match="checkpoint is of task pointmaze-umaze, not of pointmaze-medium"):
        recipe(medium, policy=path)
    arrays = write_dapg(tmp_path / "policy_door.npz", 39, 28)
    with pytest.raises(
        UserError, match="39 observations and 28 actions, but task pointmaze-medium has 6 and"
    ):
        recipe(medium, policy=arrays)


def test_sizes_alone_do_not_tell_halfcheetah_from_walker(tmp_path):
    path = write_dapg(tmp_path / "sac-HalfCheetah-v3.npz", 17, 6)
    with pytest.raises(UserError, match="by its name a policy for HalfCheetah"):
        check_fits(load_policy(path), get_task("walker2d"), path)
    check_fits(load_policy(path), get_task("halfcheetah"), path)


def test_gaussian_arrays_of_dapg(tmp_path):
    policy = load_policy(write_dapg(tmp_path / "p.npz", 5, 3))
    np.testing.assert_allclose(policy.action(np.ones(5)), [0.25, 1.0, 1.0], rtol=1e-6)  # clipped, no tanh
    rng = np.random.default_rng(0)
    draws = np.array([policy.action(np.ones(5), rng)[0] for _ in range(500)])
    assert draws.mean() == pytest.approx(0.25, abs=0.015)
    assert draws.std() == pytest.approx(0.1, rel=0.15)


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    """Untrained agents of Stable-Baselines3 with their files."""
    folder, made = tmp_path_factory.mktemp("sb3"), {}
    for name, options in (("SAC", {}), ("TD3", {}), ("SAC-gsde", {"use_sde": True})):
        algorithm = getattr(stable_baselines3, name.partition("-")[0])
        kwargs = {"net_arch": [16, 16]}
        agent = algorithm("MlpPolicy", gymnasium.make("Pendulum-v1"), policy_kwargs=kwargs, seed=1, **options)
        agent.save(folder / f"{name}.zip")
        made[name] = (agent, folder / f"{name}.zip")
    return made


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_an_sb3_agent_acts_as_in_sb3(agents, name):
    agent, path = agents[name]
    policy, observation = load_policy(path, normaliser="none"), np.array([0.6, -0.8, 3.0], np.float32)
    theirs = agent.predict(observation, deterministic=True)[0] / 2.0  # Pendulum's torque goes up to 2
    np.testing.assert_allclose(policy.action(observation), theirs, atol=1e-6)
    assert policy.stochastic == (name == "SAC")
    episode = collect(get_task("Pendulum-v1"), policy=path, normaliser="none", episodes=1, seed=0, workers=1)[
        0
    ]
    assert len(episode) == 200
    np.testing.assert_allclose(episode.actions[0], policy.action(episode.observations[0]), atol=1e-7)


def test_an_sb3_agent_with_gsde_has_its_mean_action(agents):
    agent, path = agents["SAC-gsde"]
    policy, observation = (
        load_policy(path, get_task("Pendulum-v1"), normaliser="none"),
        np.array([0.6, -0.8, 3.0], np.float32),
    )
    theirs = agent.predict(observation, deterministic=True)[0] / 2.0
    np.testing.assert_allclose(policy.action(observation), theirs, atol=1e-6)
    assert not policy.stochastic


class Harm:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("member", ["policy.pth", "pytorch_variables.pth"])
def test_a_zip_executes_nothing(agents, tmp_path, member):
    harm, file = tmp_path / "harm", io.BytesIO()
    torch.save(Harm(harm), file)
    with zipfile.ZipFile(agents["SAC"][1]) as source, zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for name in source.namelist():
            target.writestr(name, file.getvalue() if name == member else source.read(name))
    if member == "policy.pth":
        with pytest.raises(UserError, match="holds code or objects"):
            load_policy(tmp_path / "a.zip", normaliser="none")
    else:
        load_policy(tmp_path / "a.zip", normaliser="none")
    assert not harm.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.npz", None, "no such policy file"),
        ("p.pickle", b"", "not a policy; use a checkpoint"),
        ("p.npz", b"junk", "not a policy; use a checkpoint"),
        ("p.zip", b"PK\x03\x04junk", "not a readable zip"),
        ("p.safetensors", b"junk", "not a policy; use a checkpoint"),
        ("q.safetensors", b'\x09\0\0\0\0\0\0\0{"a":[1]}', "not a readable safetensors file"),
    ],
)
def test_files_that_are_no_policy(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_policy(tmp_path / name)


def test_arrays_that_are_no_policy(tmp_path):
    np.savez(tmp_path / "demo.npz", observations=np.zeros(3))
    with pytest.raises(UserError, match=r"not the arrays or tensors of a policy; it holds observations"):
        load_policy(tmp_path / "demo.npz")
    np.savez(tmp_path / "half.npz", mu_weight=np.zeros((2, 3)))
    with pytest.raises(UserError, match=r"has no tensor latent_pi_0_weight; it holds mu_weight"):
        load_policy(tmp_path / "half.npz")
    np.savez(tmp_path / "objects.npz", mu_weight=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"not a readable \.npz file of plain arrays"):
        load_policy(tmp_path / "objects.npz")


def test_a_policy_whose_actions_are_not_finite(tmp_path):
    path = write_dapg(tmp_path / "p.npz", 6, 2, scale=float("nan"))
    with pytest.raises(UserError, match="values that are not finite"):
        collect(get_task("pointmaze-umaze"), policy=path, episodes=1, seed=0, workers=1)


def test_only_a_policy_with_a_distribution_can_be_sampled(tmp_path):
    path, _ = checkpoint(tmp_path, algorithm="td3")
    with pytest.raises(UserError, match="--stochastic needs a policy with a distribution"):
        recipe(get_task("pointmaze-umaze"), policy=path, stochastic=True)


# --- the real files: a few episodes reach what their READMEs state ---


@real_files
@pytest.mark.parametrize(
    ("name", "low", "high"), [("door", 50, 55), ("hammer", 36, 42), ("relocate", 40, 60)]
)
def test_dapg_experts(name, low, high):
    path, task = DATA / "hand_dapg" / f"policy_{name}.npz", get_task(f"{name}-binary")
    episodes = collect(task, policy=path, episodes=3, seed=0, workers=1)
    assert all(episode.success[-1] and episode.terminated for episode in episodes)
    assert low < np.mean([len(episode) for episode in episodes]) < high


@real_files
@pytest.mark.slow
def test_the_pen_expert_and_the_zoo():
    pens = collect(
        get_task("pen-binary"), policy=DATA / "hand_dapg/policy_pen.npz", episodes=20, seed=0, workers=1
    )
    assert np.mean([e.success.any() for e in pens]) == pytest.approx(0.77, abs=2 * np.sqrt(0.77 * 0.23 / 20))
    for task, file, mean, sd in (
        ("walker2d", "tqc-Walker2d-v3", 4472, 42),
        ("halfcheetah", "tqc-HalfCheetah-v3", 12151, 112),
    ):
        path = DATA / "rl_trained_agents" / f"{file}.npz"
        episode = collect(get_task(task), policy=path, episodes=1, seed=0, workers=1)[0]
        assert float(episode.rewards.sum()) == pytest.approx(mean, abs=4 * sd)


@real_files
@pytest.mark.slow
def test_the_ant_walks_to_its_goal_along_waypoints():
    path, task = DATA / "antmaze_gen/policy_ant_goal.npz", get_task("antmaze-umaze@torque=30")
    episodes = collect(task, policy=path, stochastic=True, episodes=5, seed=0, workers=1)
    assert np.mean([e.success.any() for e in episodes]) >= 0.6
    assert np.abs(np.concatenate([e.actions for e in episodes])).max() > 0.95
    weak = collect(get_task("antmaze-umaze"), policy=path, stochastic=True, episodes=1, seed=0, workers=1)[0]
    assert 0.15 < np.abs(weak.actions).max() <= 0.2 + 1e-6  # the torque it was trained with


@real_files
def test_the_ant_starts_in_any_cell():
    path, task = DATA / "antmaze_gen/policy_ant_goal.npz", get_task("antmaze-umaze@torque=30,horizon=2")
    starts, goals = [
        {
            tuple(np.round(e.observations[0, part] / 4).astype(int))
            for e in collect(task, policy=path, any_cells=True, episodes=12, seed=0, workers=1)
        }
        for part in (slice(0, 2), slice(-2, None))
    ]
    assert len(starts) > 3
    assert len(goals) > 3


def test_the_walking_ant_in_other_tasks(tmp_path):
    shapes = {"fc0": (8, 29), "fc1": (8, 8), "last_fc": (8, 8), "last_fc_log_std": (8, 8)}
    arrays = {f"{name}_weight": np.zeros(shape) for name, shape in shapes.items()}
    np.savez(tmp_path / "ant.npz", **arrays, **{f"{name}_bias": np.zeros(8) for name in shapes})
    with pytest.raises(UserError, match="walks AntMaze's ant, but the task is pointmaze-umaze"):
        recipe(get_task("pointmaze-umaze"), policy=tmp_path / "ant.npz")
    assert recipe(get_task("antmaze-umaze"), policy=tmp_path / "ant.npz").collector == "ant"
    with pytest.raises(UserError, match="controller for ways but none for legs"):
        recipe(get_task("antmaze-umaze"))


def test_every_command_that_needs_an_actor_alone_takes_every_format(agents, tmp_path, capsys):
    """Means of `smac evaluate` are those of the library's own episodes; what needs critics says so."""
    task, (agent, path) = "Pendulum-v1@horizon=30", agents["TD3"]
    with pytest.raises(UserError, match="does not say which task it was trained for; name it with --task"):
        smac.evaluate(path, episodes=2)
    options = ("--task", task, "--normaliser", "none")
    assert run(command, f"evaluate {path} --episodes 2 --seed 3", *options, "--out", tmp_path / "e") == 0
    found = json.loads((tmp_path / "e/evaluation.json").read_text())
    assert found["return"] == smac.evaluate(path, env=task, episodes=2, seed=3, normaliser="none")["return"]
    returns = []
    for seed in episode_seeds(3, 2):
        env, total = gymnasium.make("Pendulum-v1"), 0.0
        observation, _ = env.reset(seed=seed)
        for _ in range(30):
            observation, reward, *_ = env.step(agent.predict(observation, deterministic=True)[0])
            total += float(reward)
        returns.append(total)
    assert found["return"]["mean"] == pytest.approx(np.mean(returns), rel=1e-4)
    assert run(command, f"evaluate {path} --stochastic", *options) == 2
    assert "SB3 agent is deterministic" in capsys.readouterr().err
    assert run(command, f"finetune --from {path}") == 2
    assert run(forecasting, f"forecast --from {path}") == 2
    told = capsys.readouterr().err
    assert told.count("not a safetensors checkpoint of ours, which alone has critics") == 2


def test_a_function_is_evaluated(tmp_path, monkeypatch):
    (tmp_path / "own_rule.py").write_text("def zero(observations):\n    return 0 * observations[:, :1]\n")
    monkeypatch.chdir(tmp_path)
    found = smac.evaluate("own_rule:zero", env="Pendulum-v1@horizon=5", action_units="env", episodes=2)
    assert found["length"]["mean"] == 5
