"""Many trajectories in two dimensions: which actor is which point, what it returns, who shares one."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import described, small_agent

from landscape.evaluate import Evaluation, evaluate
from landscape.geometry import distance
from landscape.study import project
from landscape.study.runs import of_seed_folder
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.tasks import get_task

PENDULUM = "Pendulum-v1@horizon=12,random=-90,expert=-10"
FEW = Evaluation(episodes=2)


def saved(
    path: Path, draw: int, algorithm: str = "sac", hidden=(8, 8), task: str = PENDULUM, **changes
) -> None:
    """A checkpoint of an untrained policy, number `draw`."""
    agent, about = small_agent(task, algorithm, seed=draw, hidden=hidden)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, agent.tensors(0), described(about, **{"seed": 0} | changes))


def run_folder(folder: Path, draws: tuple[int, ...], online: str = "sac", **options) -> Path:
    """What a fine-tuning run leaves: `draws` are its actors, the first of them offline SMAC."""
    saved(folder / "offline.safetensors", draws[0], "smac", step=4000, **options)
    for k, draw in enumerate(draws[1:-1], 1):
        path = folder / f"trajectory/step-{10 * k:08d}.safetensors"
        saved(path, draw, online, moment="trajectory", step=10 * k, **options)
    saved(folder / "online.safetensors", draws[-1], online, moment="online", step=10 * len(draws), **options)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """SAC and TD3+BC from one offline checkpoint; the first step of SAC changed nothing."""
    root = tmp_path_factory.mktemp("runs")
    return [
        run_folder(root / "smac-sac/seed-0", (0, 0, 1, 2, 3)),
        run_folder(root / "smac-td3_bc/seed-0", (0, 4, 5, 6, 7), "td3_bc"),
    ]


@pytest.fixture(scope="module")
def study(folders):
    return project(folders, by="pca", evaluation=FEW)


def test_equal_actors_are_one_point(study):
    """The offline checkpoint is in both runs, although one goes on with a deterministic actor."""
    sac, td3_bc = study.tracks
    assert sac.points == (0, 0, 1, 2, 3)
    assert td3_bc.points == (0, 4, 5, 6, 7)
    assert sac.steps == (0, 10, 20, 30, 50)
    assert (sac.name, td3_bc.name) == ("SMAC → SAC", "SMAC → TD3+BC")
    assert len(study.policies) == len(study.embedding.positions) == 8
    assert {policy.spec.kind for policy in study.policies} == {"deterministic"}
    assert study.place(0) == "offline SMAC"
    assert study.place(3) == "SMAC → SAC at step 50"


def test_every_point_has_its_own_return_and_the_true_distances(study):
    for k, policy in enumerate(study.policies):
        one = evaluate(policy.spec, get_task(PENDULUM), [policy.params], 1, FEW)
        np.testing.assert_array_equal(study.rollouts.returns[k], one.returns[0])
    first, last = study.policies[0], study.policies[-1]
    assert study.distances[0, -1] == pytest.approx(distance(first.params, last.params), rel=1e-12)
    assert study.distances.shape == (8, 8)


def test_stochastic_actors_stay_so_where_all_are(folders):
    one = project(folders[:1], by="pca", evaluation=FEW)
    assert {policy.spec.kind for policy in one.policies} == {"tanh_gaussian"}


def test_the_file_says_what_is_lost(study, tmp_path):
    study.write(tmp_path, "landscape project ...")
    result, arrays = json.loads((tmp_path / "result.json").read_text()), np.load(tmp_path / "returns.npz")
    assert result["kind"] == "project"
    assert result["embedding"]["by"] == "pca"
    assert 0 < sum(result["embedding"]["explained"]) <= 1
    assert [run["points"] for run in result["runs"]] == [[0, 0, 1, 2, 3], [0, 4, 5, 6, 7]]
    np.testing.assert_array_equal([[p["x"], p["y"]] for p in result["points"]], arrays["positions"])
    np.testing.assert_allclose([p["measured"]["return"] for p in result["points"]], arrays["returns"].mean(1))
    assert arrays["returns"].shape == (8, 2)
    assert "a valley there needs the line or the plane" in result["warning"]
    assert f"stress-1 {study.embedding.stress:.2f}" in result["sentence"]


def test_tsne_says_that_distances_mean_nothing_and_repeats(folders):
    one, two = (project(folders, by="tsne", evaluation=FEW) for _ in range(2))
    np.testing.assert_array_equal(one.embedding.positions, two.embedding.positions)
    assert "A valley between clusters cannot be read off" in one.warning
    assert one.embedding.perplexity == 2.0


def test_only_every_nth_checkpoint_and_the_last(folders):
    found = project(folders, by="mds", every=3, evaluation=FEW)
    assert [track.steps for track in found.tracks] == [(0, 30, 50), (0, 30, 50)]


def test_runs_of_one_method_are_told_apart(tmp_path):
    """Seeds of one directory share a group; another directory is another one."""
    folders = [
        run_folder(tmp_path / "a/seed-0", (0, 1, 2)), run_folder(tmp_path / "a/seed-1", (3, 4, 5)),
        run_folder(tmp_path / "b/seed-0", (6, 7, 8)),
    ]  # fmt: skip
    for path in (tmp_path / "a/seed-1").rglob("online.safetensors"):
        saved(path, 5, moment="online", step=30, seed=1)
    found = project(folders, by="pca", evaluation=FEW)
    assert [t.group for t in found.tracks] == ["SMAC → SAC (a)", "SMAC → SAC (a)", "SMAC → SAC (b)"]
    names = ["SMAC → SAC (a), seed 0", "SMAC → SAC (a), seed 1", "SMAC → SAC (b)"]
    assert [t.name for t in found.tracks] == names


def test_what_cannot_be_projected_is_refused_before_an_episode(folders, tmp_path):
    other = run_folder(tmp_path / "task/seed-0", (0, 1, 2), task="Pendulum-v1@horizon=9")
    wide = run_folder(tmp_path / "wide/seed-0", (0, 1, 2), hidden=(9, 8))
    still = run_folder(tmp_path / "still/seed-0", (0, 0, 0))
    for wrong, options, message in (
        ([], {}, "name the seed-K folders"),
        ([folders[0], folders[0]], {}, "is named twice"),
        ([folders[0] / "online.safetensors"], {}, "is one checkpoint; name the seed-K folder of its run"),
        ([folders[0].parent], {}, "name one seed of the run"),
        ([folders[0], other], {}, "compare checkpoints of one task"),
        ([folders[0], wide], {}, "different architectures"),
        ([still], {}, "at least 3 different checkpoints, got 1"),
        (folders, {"by": "tsne", "perplexity": 5.0}, "at most 2.333 for 8 different checkpoints"),
        (folders, {"by": "umap"}, "--by must be one of tsne, pca, mds"),
        (folders, {"every": 0}, "--every must be at least 1"),
        (folders, {"embedding_seed": -1}, "--embedding-seed must be at least 0"),
    ):
        played = tmp_path / "store"
        with pytest.raises(UserError, match=message):
            project(wrong, evaluation=Evaluation(episodes=2, store=played), **{"by": "pca"} | options)
        assert not played.exists()


def test_a_run_is_read_as_other_verbs_read_it(folders, study):
    assert len(of_seed_folder(folders[0])) == len(study.tracks[0].points)
