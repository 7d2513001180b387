"""Which datasets fit which tasks, and the hub that others' come from."""

import json
import shutil
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer
from minari.storage import remotes
from minari.storage.remotes.cloud_storage import CloudStorage

from smac.data.belonging import check_belongs, task_of, task_walls, walls
from smac.data.hub import of_hub
from smac.data.minari_io import check_new_dataset, read_dataset
from smac.errors import UserError
from smac.tasks import get_task


def spec(env_id, **kwargs):
    """Metadata of a dataset made elsewhere."""
    return {"dataset_id": "others/data-v0", "env_spec": json.dumps({"id": env_id, "kwargs": kwargs})}


def fits(metadata, task):
    try:
        check_belongs(metadata, get_task(task), "D")
    except UserError:
        return False
    return True


FOUR = ["microwave", "kettle", "light switch", "slide cabinet"]
MIXED = ["kettle", "microwave", "bottom burner", "light switch"]
# as Minari's umaze-diverse has it for evaluation: upside down
MIRRORED = [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 1, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]


def test_the_three_kitchen_tasks_are_told_apart():
    for name in ("complete", "partial", "mixed"):
        metadata = spec("FrankaKitchen-v1") | {"dataset_id": f"D4RL/kitchen/{name}-v2"}
        assert task_of(metadata) == f"kitchen-{name}"
    assert task_of(spec("FrankaKitchen-v1", tasks_to_complete=MIXED)) == "kitchen-mixed"
    assert fits(spec("FrankaKitchen-v1", tasks_to_complete=MIXED), "kitchen-mixed")
    with pytest.raises(UserError, match="sub-tasks kettle, microwave, bottom burner"):
        check_belongs(spec("FrankaKitchen-v1", tasks_to_complete=MIXED), get_task("kitchen-partial"), "D")
    # the same world, sub-tasks and rewards: the data serve either
    assert fits(spec("FrankaKitchen-v1", tasks_to_complete=FOUR), "kitchen-complete")
    assert fits(spec("FrankaKitchen-v1", tasks_to_complete=FOUR), "kitchen-partial@reward=satisfied")


def test_antmaze_of_many_goals_is_the_same_maze():
    diverse = spec("AntMaze_Medium_Diverse_GR-v4")
    assert task_of(diverse) == "antmaze-medium"
    assert fits(diverse, "antmaze-medium")
    assert not fits(diverse, "antmaze-large")
    assert not fits(diverse, "antmaze-medium@torque=30")  # its actions are of the full torque


def test_the_walls_of_the_data_are_those_of_the_task():
    good = [[1, 1, 1, 1, 1], [1, "r", 0, "g", 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
    assert fits(spec("AntMaze_UMaze-v4", maze_map=good), "antmaze-umaze")  # starts and goals may differ
    with pytest.raises(UserError, match=r"maze_map are #####/#\.\.\.#/#\.###/.*, not #####/#\.\.\.#/###\.#/"):
        check_belongs(spec("AntMaze_UMaze-v4", maze_map=MIRRORED), get_task("antmaze-umaze"), "D")
    assert not fits(spec("PointMaze_UMaze-v3", maze_map=MIRRORED), "pointmaze-umaze")
    assert task_walls(get_task("pointmaze-umaze")) == walls(good) == task_walls(get_task("antmaze-umaze"))
    assert task_walls(get_task("hopper")) is None


def test_recorded_rewards_need_the_very_environment():
    assert fits(spec("Hopper-v5"), "hopper")
    assert not fits(spec("Hopper-v4"), "hopper")
    assert task_of(spec("Hopper-v4")) == "Hopper-v4"
    # successes do not depend on version and reward type
    assert fits(spec("AdroitHandDoor-v1"), "door-binary")
    assert not fits(spec("AdroitHandDoorSparse-v1"), "AdroitHandDoor-v1@reward=corrected")
    assert task_of({"dataset_id": "others/unknown-v0"}) is None


@pytest.mark.parametrize(
    ("made_for", "used_for", "differing"),
    [
        ("kitchen-partial", "kitchen-complete", None),
        ("kitchen-partial", "kitchen-mixed", "sub-tasks"),
        ("kitchen-partial", "kitchen-partial@reward=satisfied", "reward remaining, not satisfied"),
        ("kitchen-partial@flags=true", "kitchen-partial", "wrappers"),
        ("kitchen-partial@flags=true", "kitchen-partial@flags=true,horizon=100", None),
        ("antmaze-medium@cells=any", "antmaze-medium", None),
        ("antmaze-medium@version=v5", "antmaze-medium", "environment AntMaze_Medium-v5"),
        ("antmaze-medium@torque=30", "antmaze-medium", "action scale 0.2, not 1"),
        ("antmaze-umaze", "antmaze-medium", "environment"),
        ("pointmaze-umaze", "pointmaze-umaze@horizon=50,random=-50,expert=-10", None),
        ("pointmaze-umaze", "pointmaze-umaze@keys=observation", "observation entries"),
        ("pointmaze-umaze", "PointMaze_UMaze-v3@reward=success,keys=observation+desired_goal", None),
        ("hopper", "hopper@env.forward_reward_weight=2", "forward_reward_weight None, not 2"),
        ("hopper", "walker2d", "environment Hopper-v5, not Walker2d-v5"),
        ("door-binary", "relocate-binary", "environment"),
    ],
)
def test_a_dataset_belongs_to_its_name_and_fits_where_nothing_that_matters_differs(
    made_for, used_for, differing
):
    metadata = {"dataset_id": "my/data-v0", "task": made_for}
    if differing is None:
        check_belongs(metadata, get_task(used_for), "D")
        return
    with pytest.raises(UserError, match="belongs to task") as told:
        check_belongs(metadata, get_task(used_for), "D")
    assert differing in str(told.value)
    assert f"not {used_for}" in str(told.value)


@pytest.mark.parametrize("dataset_id", ["D4RL/door/human-v2", "mujoco/hopper/expert-v0", "d4rl/door-v0"])
def test_nothing_written_here_is_labelled_as_that_of_others(tmp_path, dataset_id):
    assert of_hub(dataset_id)
    with pytest.raises(UserError, match="would pass for one of others"):
        check_new_dataset(dataset_id, tmp_path)
    assert not of_hub("smac/door-human-v0")


class FolderHub(CloudStorage):
    """Minari's interface to a hub, with a folder in its place."""

    def __init__(self, name, token=None):
        self.root = Path("/" + name)

    def list_datasets(self, prefix=None):
        ids = [str(f.parent.parent.relative_to(self.root)) for f in self.root.rglob("data/metadata.json")]
        return [name for name in ids if name.startswith(prefix or "")]

    def get_dataset_metadata(self, dataset_id):
        return json.loads((self.root / dataset_id / "data" / "metadata.json").read_text())

    def download_dataset(self, dataset_id, path):
        shutil.copytree(self.root / dataset_id, Path(path) / dataset_id)

    def list_namespaces(self):
        return ["D4RL", "D4RL/pointmaze"]

    def download_namespace_metadata(self, namespace, path):
        (Path(path) / namespace / "namespace_metadata.json").write_text("{}")

    def upload_dataset(self, dataset_id):
        raise NotImplementedError

    upload_namespace = upload_dataset


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one PointMaze dataset."""
    monkeypatch.setitem(remotes._registry, "folder", lambda: FolderHub)
    monkeypatch.setenv("MINARI_REMOTE", "folder://" + str(tmp_path / "hub").lstrip("/"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "hub"))
    env = gymnasium.make("PointMaze_UMaze-v3")
    zeros = np.zeros((4, 2))
    buffer = EpisodeBuffer(
        observations={
            "observation": np.ones((4, 4)),
            "achieved_goal": np.ones((4, 2)),
            "desired_goal": zeros,
        },
        actions=np.zeros((3, 2), np.float32),
        rewards=np.zeros(3),
        terminations=np.zeros(3, dtype=bool),
        truncations=np.array([False, False, True]),
    )
    minari.create_dataset_from_buffers("D4RL/pointmaze/umaze-v2", [buffer], env=env)
    env.close()
    monkeypatch.delenv("MINARI_DATASETS_PATH")
    return tmp_path


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_dataset_of_the_hub_is_downloaded_once(hub):
    task, root = get_task("pointmaze-umaze"), hub / "mine"
    (episode,) = read_dataset("D4RL/pointmaze/umaze-v2", task, root)
    assert episode.rewards.tolist() == [-1, -1, -1]
    assert (root / "D4RL" / "pointmaze" / "umaze-v2" / "data" / "metadata.json").is_file()
    shutil.rmtree(hub / "hub")
    assert len(read_dataset("D4RL/pointmaze/umaze-v2", task, root)) == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_unknown_id_and_a_half_downloaded_one(hub):
    task, root = get_task("pointmaze-umaze"), hub / "mine"
    with pytest.raises(UserError, match=r"downloading it failed: .*pointmaze/umaze-v9.*minari list remote"):
        read_dataset("D4RL/pointmaze/umaze-v9", task, root)
    (root / "D4RL" / "pointmaze" / "umaze-v2").mkdir(parents=True)
    with pytest.raises(UserError, match="incomplete download; delete this folder"):
        read_dataset("D4RL/pointmaze/umaze-v2", task, root)


def test_a_hub_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_REMOTE", "nowhere://hub")
    with pytest.raises(UserError, match=r"hub may be out of reach.*make your own with `smac data`"):
        read_dataset("D4RL/door/human-v2", get_task("door-binary"), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
