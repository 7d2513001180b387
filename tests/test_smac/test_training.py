"""The phases write what they promise, and what they count is right."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from support import assert_same_tensors, random_batch, small_agent, toy_transitions

from smac.agents.sac import SAC, SACConfig
from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.data.replay import OfflineData, ReplayBuffer
from smac.errors import UserError
from smac.tasks import get_task
from smac.training.episodes import Evaluations, read_evaluations
from smac.training.experience import OnlineEnvs, UniformActions
from smac.training.metrics import RunningMeans, recovery_steps, regret, switch_dip
from smac.training.offline import OfflineOptions, pretrain
from smac.training.online import FinetuneOptions, OnlineOptions, batches, finetune, train
from smac.training.run import Run, read_metrics
from smac.training.summary import monotone_mean, summarise
from smac.training.switch import switch

TASK = get_task("pointmaze-umaze")
TINY = OfflineOptions(steps=6, log_every=3, eval_every=6, eval_episodes=1)
ONLINE = FinetuneOptions(steps=40, log_every=20, eval_every=20, eval_episodes=1, trajectory_every=20)


# ---- numbers of a learning curve -----------------------------------------------------------------------


def test_regret_is_the_trapezoid_in_environment_steps():
    steps, success = np.array([0, 100, 400]), np.array([1.0, 0.0, 0.5])
    assert regret(steps, success) == pytest.approx((0.5 * 100 + 0.75 * 300) / 400)
    assert regret(np.array([0, 50, 100]), np.ones(3)) == 0.0


def test_dip_and_recovery_on_a_synthetic_curve():
    steps, score = np.array([0, 500, 1000, 1500, 2000]), np.array([0.9, 0.6, 0.7, 0.9, 0.2])
    assert switch_dip(steps, score, within=1500) == pytest.approx(0.3)
    assert switch_dip(steps, score, within=2000) == pytest.approx(0.7)
    assert recovery_steps(steps, score, within=1500) == 1500
    assert switch_dip(steps, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), within=2000) == 0.0
    assert recovery_steps(steps, np.array([0.1, 0.2, 0.3, 0.4, 0.5]), within=2000) == 0.0
    assert np.isnan(recovery_steps(steps, np.array([0.9, 0.6, 0.7, 0.8, 0.8]), within=1500))


def test_running_means_start_again_after_a_line():
    means = RunningMeans()
    for value in (1.0, 2.0, 6.0):
        means.add({"x": torch.tensor([value, -value])})
    np.testing.assert_allclose(means.take()["x"], [3.0, -3.0])
    means.add({"x": torch.tensor([7.0, 7.0])})
    np.testing.assert_allclose(means.take()["x"], [7.0, 7.0])


# ---- replay and environments ---------------------------------------------------------------------------


def test_replay_keeps_the_newest_and_masks_terminations_only():
    buffer = ReplayBuffer([0, 1], capacity=3, observation_dim=1, action_dim=1)
    for t in range(5):
        x = torch.full((2, 1), float(t))
        buffer.add(x, x, x + 1, torch.full((2,), -1.0), torch.tensor([t == 4, False]))
    assert len(buffer) == 3
    assert sorted(buffer.observations[0, :, 0].tolist()) == [2, 3, 4]
    batch = buffer.sample(64)
    assert batch.observations.min() == 2
    torch.testing.assert_close(batch.masks[0], (batch.observations[0, :, 0] != 4).float())
    assert batch.masks[1].min() == 1


def test_seeds_draw_their_own_batches():
    data = OfflineData(toy_transitions(1000, 3, 2), [0, 1])
    alone = OfflineData(toy_transitions(1000, 3, 2), [1])
    both, one = data.sample(32), alone.sample(32)
    assert torch.equal(both.observations[1], one.observations[0])
    assert not torch.equal(both.observations[0], both.observations[1])


def test_final_observation_trap_the_last_step_keeps_its_own_next_observation():
    """Truncated at the horizon: next_observations is where the step led, not the next episode's start."""
    envs = OnlineEnvs(TASK, [0])
    still = np.zeros((1, 2), np.float32)
    for _ in range(TASK.horizon - 1):
        envs.step(still)
    before = envs.observations.copy()
    nexts, rewards, terminations = envs.step(still)
    assert not terminations[0]
    assert rewards[0] == -1
    np.testing.assert_allclose(nexts, before, atol=0.05)  # the ball lies still
    assert np.abs(envs.observations[0, 4:] - before[0, 4:]).max() > 0.05  # a new episode has a new goal
    assert envs.take_finished()["train/episode_return"][0] == -TASK.horizon
    envs.close()


# ---- the phases ----------------------------------------------------------------------------------------


def run_pretrain(directory, algorithm="smac", **config):
    agent, _ = small_agent("pointmaze-umaze", algorithm, **config)
    data = OfflineData(toy_transitions(200, 6, 2), [0])
    pretrain(Run(directory, {"algorithm": algorithm}), TASK, agent, data, TINY)
    return agent


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "pretrain"
    run_pretrain(directory, batch_size=8, diffusion_hidden=(8,), diffusion_steps=6)
    return directory


def test_pretrain_writes_its_run_directory(offline):
    assert {p.name for p in offline.iterdir()} == {
        "config.json", "metrics.csv", "evaluations.npz", "progress.json", "seed-0"
    }  # fmt: skip
    rows = [row for row in read_metrics(offline) if row["eval/return"]]
    kept = read_evaluations(offline)
    assert [int(row["step"]) for row in rows] == kept.steps.tolist()
    means = [float(row["eval/return"]) for row in rows]
    np.testing.assert_allclose(kept.returns[:, 0].mean(axis=1), means, rtol=1e-8)
    np.testing.assert_allclose(TASK.score(kept.returns), kept.scores)
    rows = read_metrics(offline)
    assert [(r["phase"], r["step"]) for r in rows] == [
        ("diffusion", "3"), ("diffusion", "6"), ("offline", "3"), ("offline", "6"),
    ]  # fmt: skip
    assert rows[2]["eval/return"] == ""
    last = rows[3]
    assert float(last["eval/return"]) <= 0
    logged = {"train/tau", "train/cosine_data", "train/cosine_policy", "train/bellman_loss",
              "train/gradient_norm_data", "train/score_norm_data", "train/score_matching_loss"}  # fmt: skip
    assert all(last[name] != "" for name in logged)
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    about = checkpoint.description
    assert (about.task, about.algorithm, about.moment, about.step, about.seed) == (
        "pointmaze-umaze", "smac", "offline", 6, 0,
    )  # fmt: skip
    assert about.metrics["eval/return"] == pytest.approx(float(last["eval/return"]))


def test_the_same_pretraining_twice_gives_the_same_files(offline, tmp_path):
    run_pretrain(tmp_path / "again", batch_size=8, diffusion_hidden=(8,), diffusion_steps=6)
    for name in ("metrics.csv", "seed-0/offline.safetensors"):
        assert (offline / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def online_agent(seeds=(0,)):
    return SAC(SACConfig(hidden=(16, 16), batch_size=8), 6, 2, list(seeds))


def test_the_switch_carries_actor_critics_targets_and_temperature(offline):
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    agent = online_agent()
    switch(agent, [checkpoint], optimiser_state="reset")
    own = agent.tensors(0)
    assert_same_tensors(own, {name: checkpoint.tensors[name] for name in own})
    assert not any(agent.actor_optimiser.state.values())  # optimisers start afresh


def test_finetune_writes_its_run_directory(offline, tmp_path):
    start = offline / "seed-0" / "offline.safetensors"
    checkpoint = load_checkpoint(start)
    directory = tmp_path / "finetune"
    finetune(Run(directory, {}), TASK, online_agent(), [checkpoint], ONLINE)
    seed = directory / "seed-0"
    assert sorted(p.relative_to(seed).as_posix() for p in seed.rglob("*.safetensors")) == [
        "offline.safetensors",
        "online.safetensors",
        "trajectory/step-00000020.safetensors",
        "trajectory/step-00000040.safetensors",
    ]
    assert (seed / "offline.safetensors").read_bytes() == start.read_bytes()
    with (directory / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["0", "20", "40"]
    at_switch = checkpoint.description.metrics["eval/return"]
    assert float(rows[0]["eval/return"]) == pytest.approx(at_switch)  # step 0 is the checkpoint as it came
    about = load_checkpoint(seed / "online.safetensors").description
    assert (about.algorithm, about.moment, about.step) == ("sac", "online", 40)
    assert [h["algorithm"] for h in about.history] == ["smac"]


def test_warm_up_plays_the_frozen_policy(offline, tmp_path):
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    agent = online_agent()
    options = FinetuneOptions(steps=30, warmup_steps=30, eval_every=30, log_every=30, eval_episodes=1)
    finetune(Run(tmp_path / "warm", {}), TASK, agent, [checkpoint], options)
    own = agent.tensors(0)
    assert_same_tensors(own, {name: checkpoint.tensors[name] for name in own})


def test_the_switch_continues_the_optimisers_unless_they_are_reset(offline):
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    kept, fresh = online_agent(), online_agent()
    switch(kept, [checkpoint])
    switch(fresh, [checkpoint], optimiser_state="reset")
    weight = kept.critic.net.hidden[1].weight
    state = kept.critic_optimiser.state[weight]
    assert state["step"] == 6
    name = "critic.net.hidden.1.weight"
    for kind in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(state[kind][0], checkpoint.tensors[f"moments/{kind}/{name}"])
    assert kept.temperature_optimiser.state[kept.log_alpha]["step"] == 6
    batch = random_batch([0], size=8, observation_dim=6)
    for agent in (kept, fresh):
        agent.update(batch)
    moved = [(a.tensors(0)[name] - checkpoint.tensors[name]).abs().mean().item() for a in (kept, fresh)]
    assert moved[1] == pytest.approx(3e-4, rel=0.05)  # Adam without moments moves every weight by its rate
    assert moved[0] < 0.8 * moved[1]


def test_a_checkpoint_of_the_trajectory_has_no_optimiser_state_to_keep(offline, tmp_path):
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    finetune(Run(tmp_path / "run", {}), TASK, online_agent(), [checkpoint], ONLINE)
    middle = load_checkpoint(tmp_path / "run" / "seed-0" / "trajectory" / "step-00000020.safetensors")
    switch(online_agent(), [middle], optimiser_state="reset")
    with pytest.raises(UserError, match="holds no state of its optimisers"):
        switch(online_agent(), [middle])


def test_offline_ratio_is_the_share_of_the_dataset_in_every_batch():
    data = OfflineData(toy_transitions(100, 3, 2), [0, 1])
    buffer = ReplayBuffer([0, 1], 50, 3, 2)
    for t in range(30):
        x = torch.full((2, 3), float(1000 + t))
        buffer.add(x, x[:, :2] * 0, x, torch.zeros(2), torch.tensor([True, False]))
    batch = batches(16, 0.25, buffer, data)()
    own = batch.observations[..., 0] >= 1000
    assert own.sum(-1).tolist() == [12, 12]
    assert own[:, :12].all()
    assert batch.rewards[:, :12].eq(0).all()
    assert batch.rewards[:, 12:].eq(-1).all()
    assert batch.masks[0, :12].eq(0).all()
    assert batch.masks[0, 12:].eq(1).all()
    assert batches(16, 0.0, buffer, None)().rewards.shape == (2, 16)
    with pytest.raises(UserError, match="needs an offline dataset"):
        batches(16, 0.5, buffer, None)
    with pytest.raises(UserError, match="leaves no row"):
        batches(16, 0.99, buffer, data)


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_training_from_nothing_begins_with_uniform_actions(tmp_path, ratio):
    agent, data = online_agent((0, 1)), OfflineData(toy_transitions(100, 6, 2), [0, 1])
    before = agent.tensors(0)
    options = OnlineOptions(
        steps=25, warmup_steps=24, offline_ratio=ratio, log_every=25, eval_every=25, eval_episodes=1,
        trajectory_every=0,
    )  # fmt: skip
    train(Run(tmp_path / "run", {}), TASK, agent, options, data)
    rows = read_metrics(tmp_path / "run")
    assert {row["step"] for row in rows} == {"0", "25"}
    about = load_checkpoint(tmp_path / "run" / "seed-1" / "online.safetensors").description
    assert (about.algorithm, about.moment, about.history) == ("sac", "online", [])
    moved = (agent.tensors(0)["critic.net.head.bias"] - before["critic.net.head.bias"]).abs()
    assert moved.max() == pytest.approx(3e-4, rel=0.05)  # exactly one update


def test_uniform_actions_fill_the_box_and_each_seed_has_its_own():
    both, one = UniformActions([0, 1], 2), UniformActions([1], 2)
    draws = torch.stack([both(torch.empty(0)) for _ in range(2000)])
    alone = torch.stack([one(torch.empty(0)) for _ in range(2000)])
    assert torch.equal(draws[:, 1], alone[:, 0])
    assert draws.abs().max() <= 1.0
    assert draws.mean().abs() < 0.02
    assert draws.var() == pytest.approx(1 / 3, rel=0.05)


def test_a_task_without_success_and_references_logs_neither(tmp_path):
    task = get_task("Pendulum-v1@horizon=20")
    agent = SAC(SACConfig(hidden=(8,), batch_size=8), 3, 1, [0])
    options = OnlineOptions(steps=40, log_every=20, eval_every=20, eval_episodes=1, trajectory_every=0)
    train(Run(tmp_path / "run", {}), task, agent, options)
    last = read_metrics(tmp_path / "run")[-1]
    assert float(last["train/episode_return"]) < -10
    assert float(last["eval/return"]) < -10
    assert not any(last[name] for name in ("eval/score", "eval/success", "train/episode_success"))


def test_seeds_fine_tune_as_a_stack(offline, tmp_path):
    """Seed 1 of a stack of two is seed 1 alone: environments, noise and updates."""
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    finetune(Run(tmp_path / "two", {}), TASK, online_agent((0, 1)), [checkpoint] * 2, ONLINE)
    finetune(Run(tmp_path / "one", {}), TASK, online_agent((1,)), [checkpoint], ONLINE)
    two, one = (
        load_checkpoint(tmp_path / d / "seed-1" / "online.safetensors").tensors for d in ("two", "one")
    )
    for name in two:
        torch.testing.assert_close(two[name], one[name], atol=1e-4, rtol=1e-4)


def test_a_run_directory_is_never_overwritten(offline):
    with pytest.raises(UserError, match="already exists and is not empty"):
        Run(offline, {})


def test_a_checkpoint_of_other_widths_is_refused(tmp_path):
    agent, description = small_agent(hidden=(8, 8))
    path = save_checkpoint(tmp_path / "c.safetensors", agent.tensors(0), description)
    with pytest.raises(UserError, match=r"'actor\.net\.hidden\.0\.weight' has shape \(8, 6\)"):
        switch(online_agent(), [load_checkpoint(path)])


def test_summary_of_a_hand_made_run():
    """Regret by the trapezoid rule; the dip within 200 steps; back at 0.9 after 300."""
    cells = [("0", "0.9", "1.0", ""), ("100", "0.5", "0.5", "0.5"), ("300", "0.9", "1.0", "1.0")]
    rows = [
        {"phase": "online", "step": step, "seed": "0", "eval/score": score, "eval/success": success,
         "train/episode_success": train}
        for step, score, success, train in cells
    ]  # fmt: skip
    rows.append({"phase": "offline", "step": "100", "seed": "0", "eval/score": "0.1"})
    numbers = summarise(rows, dip_within=200)["0"]
    assert numbers == pytest.approx(
        {
            "regret/eval": (0.3 * 100 + 0.3 * 200) / 300,
            "regret/eval_success": (0.25 * 100 + 0.25 * 200) / 300,
            "regret/train": 0.25,
            "switch/dip_raw": 0.4,  # without episodes there is no other
            "switch/evaluated_every": 200.0,  # the longest time without an evaluation
            "switch/gain": 0.0,
            "switch/recovery_steps": 300.0,
        }
    )


def test_summary_of_a_run_without_a_score():
    """Everything in units of return, and said so; a verdict needs a margin, and then has one."""
    returns = [("0", -10.0), ("100", -30.0), ("300", -10.0)]
    rows = [{"phase": "online", "step": s, "seed": "0", "eval/return": str(r), "eval/length": "5"}
            for s, r in returns]  # fmt: skip
    luck = np.array([1.0, -1.0, 0.0, 2.0, -2.0])
    played = np.array([r for _, r in returns])[:, None, None] + luck
    evaluations = Evaluations(
        steps=np.array([0, 100, 300]), seeds=np.array([0]), episode_seeds=np.arange(5),
        returns=played, scores=np.full_like(played, np.nan), successes=np.full_like(played, np.nan),
    )  # fmt: skip
    about = {"dip_within": 300, "evaluations": evaluations}
    numbers = summarise(rows, **about)["0"]
    assert numbers["switch/unit"] == "return"
    assert (numbers["switch/dip"], numbers["switch/dip_raw"]) == pytest.approx((20.0, 20.0))
    assert (numbers["switch/gain"], numbers["switch/recovery_steps"]) == (0.0, 300.0)
    assert numbers["switch/drawdown"] == pytest.approx(20.0)
    assert numbers["regret/return"] == pytest.approx((20 * 100 + 20 * 200) / 300)
    assert "switch/monotone" not in numbers
    assert monotone_mean(evaluations, 300) is None
    assert summarise(rows, **about, margin=5.0)["0"]["switch/monotone"] == "not monotone"
    assert summarise(rows, **about, margin=50.0)["0"]["switch/monotone"] != "not monotone"


def test_tensorboard_gets_what_metrics_csv_holds(offline, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    checkpoint = load_checkpoint(offline / "seed-0" / "offline.safetensors")
    options = dataclasses.replace(ONLINE, log_to=("tensorboard",))
    finetune(Run(tmp_path / "run", {}), TASK, online_agent(), [checkpoint], options)
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard" / "online" / "seed-0"))
    events.Reload()
    logged = {event.step: event.value for event in events.Scalars("eval/return")}
    rows = {int(r["step"]): float(r["eval/return"]) for r in read_metrics(tmp_path / "run")}
    assert logged == pytest.approx(rows)
