"""The algorithms learn: small versions of the runs behind results/learning."""

import numpy as np
import pytest
import torch

from smac.agents import AGENTS
from smac.collect.collecting import collect
from smac.data.replay import OfflineData
from smac.data.transitions import Transitions
from smac.envs import env_spec
from smac.tasks import get_task
from smac.training.evaluate import Evaluator
from smac.training.offline import OfflineOptions, pretrain
from smac.training.online import OnlineOptions, train
from smac.training.run import Run, read_metrics

pytestmark = pytest.mark.slow

FAST = {"hidden": (64, 64), "batch_size": 128, "actor_lr": 1e-3, "critic_lr": 1e-3, "target_rate": 0.01}
TEMPERATURE = {"temperature_lr": 1e-3, "initial_temperature": 0.1}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def agent(algorithm: str, task, **options):
    dims, kind = env_spec(task), AGENTS[algorithm]
    return kind(kind.Config(**FAST | options), dims.observation_dim, dims.action_dim, [0])


@pytest.mark.parametrize(("algorithm", "steps"), [("sac", 5_000), ("td3", 7_000)])
def test_pendulum_is_solved(tmp_path, algorithm, steps):
    """An upright pendulum loses about 120 to 150 on the way up; a hanging one 1,200."""
    task = get_task("Pendulum-v1")
    options = OnlineOptions(
        steps=steps, warmup_steps=200, eval_every=1_000, eval_episodes=20, trajectory_every=0, save_every=0
    )
    soft = {"temperature_lr": 1e-3} if algorithm == "sac" else {}
    train(Run(tmp_path / "run", {}), task, agent(algorithm, task, **soft), options)
    returns = [float(row["eval/return"]) for row in read_metrics(tmp_path / "run") if row["eval/return"]]
    assert returns[0] < -900
    assert max(returns[-2:]) > -200


@pytest.fixture(scope="module")
def umaze():
    task = get_task("pointmaze-umaze")
    episodes = collect(task, episodes=500, noise=0.3, wander=0.01, seed=0, workers=1)
    success = np.mean([episode.success.any() for episode in episodes])
    return Transitions.from_episodes(episodes, discount=0.99, failure_reward=-1.0), success


@pytest.mark.parametrize(
    ("algorithm", "steps", "options"),
    [
        ("iql", 12_000, {"expectile": 0.9, "inverse_temperature": 10.0, "value_lr": 1e-3}),
        ("cal_ql", 6_000, {"cql_actions": 4, "cql_alpha": 0.3, **TEMPERATURE}),
        ("td3_bc", 8_000, {}),
    ],
)
def test_nine_of_ten_umazes_are_solved_offline(tmp_path, umaze, algorithm, steps, options):
    transitions, behaviour = umaze
    assert 0.93 < behaviour < 0.98
    task = get_task("pointmaze-umaze")
    learner = agent(algorithm, task, **options)
    quiet = OfflineOptions(steps=steps, eval_every=steps, eval_episodes=1, save_every=0)
    pretrain(Run(tmp_path / "run", {}), task, learner, OfflineData(transitions, [0]), quiet)
    evaluator = Evaluator(task, 1, episodes=60, seed=1)
    assert evaluator(learner.actor)["eval/success"][0] >= 0.9
    evaluator.close()
