"""Direct steps are Gymnasium's: the same bytes, and never where anything else is around."""

import gymnasium
import numpy as np
import pytest
from support import small_agent

from smac.envs import make_env
from smac.envs.direct import agrees, direct
from smac.rollout import LockStep
from smac.tasks import get_task

TASKS = [
    "hopper@horizon=60",
    "hopper@env.terminate_when_unhealthy=false,horizon=60",
    "walker2d@horizon=60",
    "halfcheetah@horizon=60",
    "pointmaze-umaze@horizon=60",
]


def follow(name: str, seeds: int, steps: int) -> int:
    """Step an environment and its direct steps side by side; how many steps there were."""
    task = get_task(name)
    theirs, ours = make_env(task), make_env(task)
    stepper, taken = direct(ours), 0
    assert stepper is not None
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        bias = rng.uniform(-1, 1, theirs.action_space.shape)
        theirs.reset(seed=seed)
        ours.reset(seed=seed)
        stepper.begin()
        for _ in range(steps):
            action = np.clip(bias + rng.normal(size=bias.shape), -1.2, 1.2).astype(np.float32)
            observation, reward, terminated, truncated, info = theirs.step(action)
            found = stepper.step(action)
            assert found[0].dtype == observation.dtype
            np.testing.assert_array_equal(found[0], observation)
            assert abs(found[1] - reward) == 0, (seed, taken)
            assert found[2:4] == (terminated, truncated)
            assert bool(found[4].get("success")) == bool(info.get("success"))
            taken += 1
            if terminated or truncated:
                break
    theirs.close()
    ours.close()
    return taken


@pytest.mark.parametrize("name", TASKS)
def test_steps_are_those_of_gymnasium(name):
    assert follow(name, 3, 70) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", [name.partition("@")[0] for name in TASKS])
def test_whole_episodes_are_those_of_gymnasium(name):
    assert follow(name, 20, 1001) > 300


@pytest.mark.parametrize(
    "name",
    [
        "hopper@env.exclude_current_positions_from_observation=false",
        "pointmaze-umaze@env.continuing_task=true",
        "Pendulum-v1",
    ],
)
def test_what_is_not_known_steps_by_itself(name):
    env = make_env(get_task(name))
    assert direct(env) is None
    env.close()


def test_another_layer_or_method_is_seen():
    env = make_env(get_task("hopper"))
    assert direct(gymnasium.Wrapper(env)) is None
    env.unwrapped.step = env.unwrapped.step
    assert direct(env) is None
    env.close()


def test_another_formula_is_noticed_before_it_is_played():
    env = make_env(get_task("hopper"))
    stepper = direct(env)
    assert agrees(env, stepper)
    stepper.control *= 1.01
    assert not agrees(env, stepper)
    env.close()


@pytest.mark.parametrize("name", ["hopper@horizon=40", "pointmaze-umaze@horizon=40"])
def test_episodes_in_lock_step_are_the_same_either_way(name, monkeypatch):
    task = get_task(name)
    actor, found = small_agent(name)[0].actor, []
    for step in (direct, lambda env: None):
        monkeypatch.setattr("smac.rollout.direct", step)
        lock_step = LockStep(lambda: make_env(task), task.horizon)
        found.append(lock_step.play(actor, 1, [3, 4, 5], stochastic=True))
        assert bool(lock_step.steppers) == (step is direct)
        lock_step.close()
    for what in ("returns", "lengths", "successes", "statuses"):
        np.testing.assert_array_equal(getattr(found[0], what), getattr(found[1], what))
