"""The return along the way that training took: order, progress, geometry, and the verdict."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support import described, small_agent

from landscape.evaluate import Evaluation, evaluate
from landscape.geometry import distance
from landscape.statistics import analyse_path
from landscape.study import interpolate, trajectory
from landscape.study.runs import of_seed_folder
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.policies import load_policy
from smac.tasks import get_task

PENDULUM = "Pendulum-v1@horizon=12,random=-90,expert=-10"
FEW = Evaluation(episodes=4)
STEPS = (0, 10, 30, 40, 60)


def saved(path: Path, draw: int, **changes) -> Path:
    """A checkpoint of an untrained policy, number `draw`, with the description changed."""
    agent, about = small_agent(PENDULUM, seed=draw, hidden=(8, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_checkpoint(path, agent.tensors(0), described(about, **{"seed": 0} | changes))


def online(path: Path, step: int, draw: int, moment: str = "trajectory") -> Path:
    return saved(path, draw, moment=moment, step=step, algorithm="sac")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What a fine-tuning run leaves: the last step of its trajectory is its end."""
    folder = tmp_path_factory.mktemp("run") / "seed-0"
    saved(folder / "offline.safetensors", 0, step=4000)
    for k, step in enumerate(STEPS[1:]):
        online(folder / f"trajectory/step-{step:08d}.safetensors", step, k + 1)
    online(folder / "online.safetensors", 60, 4, moment="online")
    return folder


@pytest.fixture(scope="module")
def study(folder):
    return trajectory([folder], evaluation=FEW)


def test_a_seed_folder_is_read_in_the_order_of_training(folder, study):
    """The last trajectory checkpoint is the online one and is not counted twice."""
    found = of_seed_folder(folder)
    assert [p.path.name for p in found] == [
        "offline.safetensors", "step-00000010.safetensors", "step-00000030.safetensors",
        "step-00000040.safetensors", "online.safetensors",
    ]  # fmt: skip
    assert study.names == ("offline SAC", "SAC step 10", "SAC step 30", "SAC step 40", "online SAC")
    named = trajectory([policy.path for policy in found], evaluation=FEW)
    assert named.to_json() == study.to_json()


def test_alpha_is_the_share_of_environment_steps_with_exact_ends(study):
    """The 4000 gradient steps of the offline phase are none of them."""
    assert study.alphas.tolist() == [0.0, 10 / 60, 0.5, 40 / 60, 1.0]
    assert study.steps.tolist() == list(STEPS)


def test_alpha_along_the_distance_travelled(folder, study):
    found = trajectory([folder], along="distance", evaluation=FEW)
    policies = of_seed_folder(folder)
    legs = [distance(a.params, b.params) for a, b in pairwise(policies)]
    np.testing.assert_allclose(found.alphas, np.cumsum([0, *legs]) / sum(legs))
    assert (found.alphas[0], found.alphas[-1]) == (0.0, 1.0)
    np.testing.assert_array_equal(found.rollouts.returns, study.rollouts.returns)
    assert found.path.detour == pytest.approx(sum(legs) / distance(policies[0].params, policies[-1].params))


def test_every_row_is_its_checkpoint_alone(study):
    for k, policy in enumerate(study.policies):
        one = evaluate(policy.spec, get_task(PENDULUM), [policy.params], 1, FEW)
        np.testing.assert_array_equal(study.rollouts.returns[k], one.returns[0])
    again = analyse_path(study.rollouts.returns, study.alphas, margin=4.0)
    assert study.report == again


def test_the_file_has_all_that_interpolate_writes_and_the_way(study, folder, tmp_path):
    study.write(tmp_path, "landscape trajectory ...")
    result = json.loads((tmp_path / "result.json").read_text())
    ends = [folder / f"{moment}.safetensors" for moment in ("offline", "online")]
    straight = interpolate(*ends, points=3, evaluation=FEW).to_json()
    assert set(straight) - set(result) == {"probe", "correlation"}  # fields of a critic
    assert straight["monotone"] == straight["analysis"]["monotone"]
    assert straight["falls"] in (True, False)
    assert "linearly connected in the paper's sense" in straight["sentence"]
    assert "linearly connected" not in result["sentence"]  # that is of straight lines
    assert result["kind"] == "trajectory"
    assert result["distance"] == pytest.approx(straight["distance"])
    assert result["path"]["length"] == pytest.approx(sum(result["path"]["legs"]))
    assert [c["alpha"] for c in result["checkpoints"]] == study.alphas.tolist()
    assert [c["step"] for c in result["checkpoints"]] == list(STEPS)
    assert result["checkpoints"][-1]["distance"] == pytest.approx(result["path"]["length"])
    plane = result["path"]["plane"]
    assert sum(plane["explained"]) == pytest.approx(1)
    assert plane["null"]["explained"][0] > plane["null"]["explained"][1]
    arrays = np.load(tmp_path / "returns.npz")
    assert arrays["returns"].shape == (5, 4)
    assert arrays["steps"].tolist() == list(STEPS)


def test_the_sentence_is_about_the_trajectory(study):
    text = study.sentence
    assert "along the fine-tuning trajectory from offline SAC to online SAC" in text
    assert "straight line from" not in text
    assert f"largest fall to a later checkpoint is {study.report.DD.estimate:.1f}" in text
    assert f"{study.path.detour:.2f} times as long as the straight line" in text


def test_a_valley_names_the_lowest_checkpoint(folder):
    """Where there is one: the margin is far below what these policies differ by."""
    found = trajectory([folder], margin=0.01, evaluation=Evaluation(episodes=12))
    means = found.rollouts.returns.mean(axis=1)
    depth = min(means[0], means[-1]) - means.min()
    assert found.report.V.estimate == pytest.approx(depth)
    if found.report.verdict == "valley":
        assert f"The lowest checkpoint is {found.names[int(means.argmin())]}." in found.sentence
    assert {"valley": depth > 0.01, "connected": depth <= 0.01, "undecided": True}[found.report.verdict]


def test_thinning_keeps_the_ends(folder):
    found = trajectory([folder], every=3, evaluation=FEW)
    assert found.names == ("offline SAC", "SAC step 40", "online SAC")
    assert found.alphas.tolist() == [0.0, 40 / 60, 1.0]


def test_three_checkpoints_on_a_line_have_no_plane(tmp_path):
    """Half-way between two others: a second component would be rounding error."""
    agents = [small_agent(PENDULUM, seed=seed, hidden=(8, 8)) for seed in (0, 1)]
    a, b = (agent.tensors(0) for agent, _ in agents)
    way = [a, {name: (a[name] + b[name]) / 2 for name in a}, b]
    paths = [
        save_checkpoint(
            tmp_path / f"{k}.safetensors", tensors, described(agents[0][1], moment="trajectory", step=k)
        )
        for k, tensors in enumerate(way)
    ]
    found = trajectory(paths, evaluation=FEW)
    assert found.path.plane is None
    assert found.path.detour == pytest.approx(1.0)
    assert found.path.legs == pytest.approx([found.path.straight / 2] * 2)


def test_what_is_no_trajectory_is_refused_by_name(folder, tmp_path):
    offline, last = folder / "offline.safetensors", folder / "online.safetensors"
    first, second = (folder / f"trajectory/step-{step:08d}.safetensors" for step in STEPS[1:3])
    copy = saved(tmp_path / "copy.safetensors", 4, moment="online", step=70)
    other = saved(tmp_path / "other.safetensors", 5, step=10)
    alone = tmp_path / "run" / "seed-7"
    saved(alone / "offline.safetensors", 0)
    saved(alone / "online.safetensors", 1, moment="online", step=5)
    for checkpoints, message in (
        (
            [offline, second, first, last],
            "'SAC step 10' .step 10. does not come after 'SAC step 30' .step 30.",
        ),
        ([offline, other, last], r"'offline SAC, step 10' \(step 0\) does not come after"),
        ([offline, last], "at least 3 checkpoints .* got 2"),
        ([offline, first, last, copy], "'online SAC, step 60' and 'online SAC, step 70' are equal"),
        ([alone], "seed-7: has no trajectory .* fine-tune with --trajectory-every"),
        ([alone.parent], f"name one seed of the run, such as {alone}"),
        ([tmp_path / "nothing"], "nothing: no such folder"),
        ([offline], "offline.safetensors: is one checkpoint; name the seed-K folder"),
    ):
        with pytest.raises(UserError, match=message):
            trajectory(checkpoints, evaluation=FEW)
    with pytest.raises(UserError, match="--every must be at least 1, got 0"):
        trajectory([folder], every=0, evaluation=FEW)
    assert load_policy(offline).description.step == 4000
