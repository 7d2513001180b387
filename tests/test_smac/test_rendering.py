import os

import numpy as np
import pytest
from PIL import Image

from smac import rendering
from smac.envs import make_env
from smac.errors import UserError
from smac.poses import simulator
from smac.rendering import _GOAL, backend, draw_observations, film, kept, write_gif
from smac.tasks import get_task

SIZE = 64
TASK = get_task("pointmaze-umaze")


@pytest.fixture(scope="module")
def gl():
    try:
        return backend()
    except UserError as error:
        pytest.skip(str(error))


def centre(picture, color):
    """Row and column of the middle of the pixels that have about this colour."""
    near = np.abs(picture.astype(float) - 255 * np.array(color[:3])).max(axis=-1) < 30
    assert near.any()
    return np.argwhere(near).mean(axis=0)


def test_a_film_holds_the_start_every_tenth_step_and_the_last(gl):
    env = film(get_task("pointmaze-umaze@horizon=25"), size=SIZE, every=10)
    env.reset(seed=0)
    truncated, places = False, []
    while not truncated:
        observation, _, terminated, truncated, _ = env.step(np.array([1.0, 0.0], np.float32))
        assert not terminated
        places.append(observation[0])
    assert len(env.frames) == 4  # after 0, 10, 20 and 25 steps
    assert all(frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8 for frame in env.frames)
    columns = [centre(frame, rendering._BODY)[1] for frame in env.frames[1:]]
    assert np.sign(np.diff(columns)).tolist() == np.sign(np.diff([places[i] for i in (9, 19, 24)])).tolist()
    assert (env.frames[0] != env.frames[1]).any()
    env.reset(seed=1)
    assert len(env.frames) == 1
    env.close()


def test_ball_and_goal_are_drawn_where_the_observation_says(gl):
    """North up and east to the right; a picture shows 1.04 times the maze's five cells of 1 m."""
    places = np.array([[-1.0, 1.0, 0, 0, 1, -1], [1.0, 0.0, 0, 0, 1, 1]], np.float32)
    pictures, seconds = draw_observations(TASK, places, size=128, every=1)
    assert seconds == 0.02
    for picture, place in zip(pictures, places, strict=True):
        for color, (x, y) in ((rendering._BODY, place[:2]), (_GOAL, place[4:])):
            row, column = centre(picture, color)
            metre = 128 / (1.04 * 5)
            assert (column - 63.5) / metre == pytest.approx(x, abs=0.12)
            assert (63.5 - row) / metre == pytest.approx(y, abs=0.12)


def test_drawing_leaves_the_episode_as_it_is(gl):
    plain, filmed = make_env(TASK), film(TASK, size=SIZE, every=1)
    action = np.array([0.5, -1.0], np.float32)
    assert (plain.reset(seed=5)[0] == filmed.reset(seed=5)[0]).all()
    for _ in range(5):
        assert (plain.step(action)[0] == filmed.step(action)[0]).all()
    plain.close()
    filmed.close()


def test_data_and_simulation_give_the_same_picture(gl):
    env = film(TASK, size=SIZE, every=1)
    observation, _ = env.reset(seed=2)
    drawn = draw_observations(TASK, observation[None], size=SIZE, every=1)[0][0]
    assert np.abs(drawn.astype(int) - env.frames[0]).mean() < 0.5
    env.close()


@pytest.mark.parametrize(
    ("count", "every", "expected"), [(7, 3, [0, 3, 6]), (8, 3, [0, 3, 6, 7]), (1, 5, [0])]
)
def test_every_kth_state_and_the_last_are_kept(count, every, expected):
    assert kept(count, every) == expected


def test_a_gif_holds_the_pictures_and_their_pace(tmp_path):
    frames = [np.full((8, 8, 3), 60 * i, np.uint8) for i in range(4)]
    path = write_gif(tmp_path / "a.gif", frames, 0.05)
    with Image.open(path) as gif:
        assert gif.n_frames == 4
        for i, frame in enumerate(frames):
            gif.seek(i)
            assert gif.info["duration"] == (50 if i < 3 else 1000)
            np.testing.assert_allclose(np.asarray(gif.convert("RGB")), frame, atol=2)
    with pytest.raises(UserError, match="already exists"):
        write_gif(path, frames, 0.05)
    with pytest.raises(UserError, match=r"\.gif"):
        write_gif(tmp_path / "a.mp4", frames, 0.05)


def test_without_opengl_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rendering, "BACKENDS", ("nowhere", "neither"))  # the probe fails in its process
    rendering._working.cache_clear()
    try:
        with pytest.raises(UserError, match="libosmesa6") as error:
            backend()
        assert "\n" not in str(error.value)
    finally:
        rendering._working.cache_clear()


def test_a_backend_that_needs_a_screen_is_refused(monkeypatch):
    monkeypatch.setitem(os.environ, "MUJOCO_GL", "glfw")
    with pytest.raises(UserError, match="MUJOCO_GL=glfw"):
        backend()


@pytest.mark.parametrize(
    ("options", "named"), [({"size": 8, "every": 1}, "--size"), ({"size": 64, "every": 0}, "--every")]
)
def test_wrong_sizes_are_refused(options, named):
    with pytest.raises(UserError, match=named):
        film(TASK, **options)


def test_an_environment_without_mujoco_draws_itself_or_says_what_is_missing():
    env = film(get_task("Pendulum-v1"), size=SIZE, every=1)
    assert simulator(env) is None
    try:
        import pygame  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="pygame"):
            env.reset(seed=0)
    else:
        env.reset(seed=0)
        assert env.frames[0].shape == (500, 500, 3)
    env.close()
