"""Adaptive interpolation: what is played is what a fixed evaluation plays there, with a store or without."""

from dataclasses import replace

import numpy as np
import pytest
from support import described, small_agent

from landscape.evaluate import Evaluation
from landscape.statistics import Adaptive, AdaptiveReport
from landscape.study import interpolate
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.rollout import Status

TASK = "Pendulum-v1@horizon=30"
STAGES = Adaptive(first=4, most=16, growth=2)


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("ends"), []
    for seed, moment in ((0, "offline"), (3, "online")):
        agent, description = small_agent(TASK, seed=seed)
        path = folder / f"{moment}.safetensors"
        paths.append(save_checkpoint(path, agent.tensors(0), described(description, moment=moment)))
    return paths


def study(ends, evaluation: Evaluation | None = None, **options):
    options = {"points": 7, "margin": 2.0, "adaptive": STAGES} | options
    return interpolate(*ends, evaluation=evaluation or Evaluation(), **options)


@pytest.fixture(scope="module")
def adaptive(ends):
    return study(ends)


def test_played_episodes_are_those_of_a_fixed_evaluation(ends, adaptive):
    fixed = study(ends, Evaluation(episodes=16), adaptive=None).rollouts
    played = adaptive.rollouts.statuses != Status.NOT_PLAYED
    assert played[:, :4].all()
    assert played[[0, -1]].all(axis=1).tolist() == [adaptive.report.stages[-1].episodes == 16] * 2
    np.testing.assert_array_equal(adaptive.rollouts.returns[played], fixed.returns[played])
    assert np.isnan(adaptive.rollouts.returns[~played]).all()
    assert played.sum(axis=1).tolist() == list(adaptive.report.episodes)


def test_a_store_makes_no_difference_and_what_it_holds_is_free(ends, adaptive, tmp_path):
    stored = study(ends, Evaluation(store=tmp_path))
    assert stored.report == adaptive.report
    before = sum(path.stat().st_size for path in tmp_path.iterdir())
    again = study(ends, Evaluation(store=tmp_path))
    assert again.report == adaptive.report
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == before


def test_the_result_says_what_was_played(adaptive, tmp_path):
    result = adaptive.to_json()
    assert isinstance(adaptive.report, AdaptiveReport)
    assert result["failures"] == {}
    assert result["episodes"] == 16
    assert result["analysis"]["episodes"] == list(adaptive.report.episodes)
    adaptive.write(tmp_path, "landscape interpolate --adaptive")
    with np.load(tmp_path / "returns.npz") as arrays:
        assert arrays["returns"].shape == (7, 16) == (7, len(arrays["episode_seeds"]))
        assert ((arrays["statuses"] == Status.NOT_PLAYED) == np.isnan(arrays["returns"])).all()


def test_progress_counts_on_from_stage_to_stage(ends):
    seen = []
    found = study(ends, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (found.report.episodes_total,) * 2
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_share_of_an_adaptive_study_is_refused(ends, tmp_path):
    with pytest.raises(UserError, match="--shard"):
        study(ends, replace(Evaluation(), shard=(1, 2), store=tmp_path))
