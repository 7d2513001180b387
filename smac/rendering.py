"""Pictures of episodes, drawn without a screen: MuJoCo over EGL or OSMesa, others by their own drawing.

Which of the two works is tried in a process of its own, since a library that fails to load can leave OpenGL
unusable for the other, and a broken driver may end the process.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from smac.envs import make_env
from smac.errors import UserError
from smac.files import write_atomically
from smac.poses import pose, simulator
from smac.tasks import Task

BACKENDS = ("egl", "osmesa")  # EGL first: it uses the graphics card where there is one
PROBE_SECONDS = 60
NEARER = 0.75  # Adroit's own cameras show more of the room than of the hand
MOST_SHADOWS = 2  # lights that cast shadows; Kitchen's four take seven times as long as all the rest
DELAY = 0.02  # shortest delay of a GIF's frame that programs keep to, in seconds

# Draws a sphere with the backend that argv names; status 0 if its pixels differ from the background
_PROBE = """
import sys, mujoco
from importlib import import_module
context = import_module(f"mujoco.{sys.argv[1]}").GLContext(16, 16)
context.make_current()
ball = "<mujoco><worldbody><light pos='0 0 3'/><geom size='.3'/></worldbody></mujoco>"
mujoco.MjrContext(mujoco.MjModel.from_xml_string(ball), mujoco.mjtFontScale.mjFONTSCALE_100)
"""


def backend() -> str:
    """The OpenGL library that draws here: the one MUJOCO_GL names, else the first of BACKENDS that works.

    UserError, with what to install, if none does.
    """
    return _working(os.environ.get("MUJOCO_GL", "").lower())


@cache
def _working(named: str) -> str:
    if named and named not in BACKENDS:
        raise UserError(
            f"MUJOCO_GL={named} cannot draw without a screen: unset it, or set it to egl or osmesa"
        )
    for name in (named,) if named else BACKENDS:
        if _works(name):
            return name
    if named:
        raise UserError(f"MUJOCO_GL={named} does not work on this machine: unset it, or {_INSTALL}")
    raise UserError(f"nothing here can draw without a screen, neither EGL nor OSMesa: {_INSTALL}")


_INSTALL = "install OSMesa (Debian, Ubuntu: apt-get install libosmesa6) or the graphics driver's EGL library"


def _works(name: str) -> bool:
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": name}
    command = [sys.executable, "-c", _PROBE, name]
    how: Any = {"env": environment, "capture_output": True, "timeout": PROBE_SECONDS, "check": False}
    try:
        return subprocess.run(command, **how).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Canvas:
    """Draws the state of one MuJoCo simulation, seen by a camera, as pictures of size x size pixels.

    Args:
        model: MjModel. Its offscreen buffer is made large enough.
        data: MjData, drawn as it is at each call of `draw`.
        size: pixels of a side.
        camera: values for the fields of mujoco.MjvCamera; `fixedcamid` chooses a camera of the model.
    """

    def __init__(self, model: Any, data: Any, size: int, camera: dict[str, Any]):
        import mujoco  # only what draws needs it

        self.mujoco, self.model, self.data, self.size = mujoco, model, data, size
        visual = model.vis.global_
        visual.offwidth, visual.offheight = max(size, visual.offwidth), max(size, visual.offheight)
        self.context = _open_gl(size)
        self.scene, self.options = mujoco.MjvScene(model, maxgeom=10_000), mujoco.MjvOption()
        shadows = model.light_castshadow.sum() <= MOST_SHADOWS
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self.camera, self.perturb = mujoco.MjvCamera(), mujoco.MjvPerturb()
        mujoco.mjv_defaultFreeCamera(model, self.camera)
        for name, value in camera.items():
            if isinstance(value, np.ndarray):
                getattr(self.camera, name)[:] = value
            else:
                setattr(self.camera, name, value)
        self.view = mujoco.MjrRect(0, 0, size, size)
        self.renderer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.renderer)

    def draw(self) -> np.ndarray:
        """The picture, uint8 [size, size, 3], first row at the top."""
        self.context.make_current()
        everything = self.mujoco.mjtCatBit.mjCAT_ALL.value
        self.mujoco.mjv_updateScene(
            self.model, self.data, self.options, self.perturb, self.camera, everything, self.scene
        )
        self.mujoco.mjr_render(self.view, self.scene, self.renderer)
        pixels = np.empty((self.size, self.size, 3), np.uint8)
        self.mujoco.mjr_readPixels(pixels, None, self.view, self.renderer)
        return pixels[::-1].copy()

    def close(self) -> None:
        """Frees what OpenGL holds; the canvas cannot be used afterwards."""
        self.context.make_current()
        self.renderer.free()
        self.context.free()


def _open_gl(size: int) -> Any:
    """A current OpenGL context of the backend that works."""
    name = backend()
    try:
        if name == "egl":
            from mujoco.egl import GLContext
        else:
            from mujoco.osmesa import GLContext
        context = GLContext(size, size)
        context.make_current()
    except (ImportError, RuntimeError, AttributeError) as error:
        raise UserError(f"{name} cannot draw in this process ({error}): {_INSTALL}") from None
    return context


def camera_of(env: gymnasium.Env) -> dict[str, Any]:
    """Where to look from: a maze from above, a runner by its own camera, the rest as its authors do."""
    unwrapped: Any = env.unwrapped
    if hasattr(unwrapped, "maze"):
        return _from_above(unwrapped.maze)
    import mujoco

    found = simulator(env)
    assert found is not None
    model, data = found
    track = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
    if track >= 0:
        return {"type": mujoco.mjtCamera.mjCAMERA_FIXED.value, "fixedcamid": track}
    drawn = getattr(unwrapped, "robot_env", unwrapped)
    chosen = getattr(getattr(drawn, "mujoco_renderer", None), "default_cam_config", None) or {}
    camera = {"lookat": np.median(data.geom_xpos, axis=0), **chosen}  # Gymnasium looks there too
    name = type(unwrapped).__name__
    if name.startswith("AdroitHand") and not name.startswith("AdroitHandDoor"):
        camera["distance"] *= NEARER  # but a door that opens would leave the picture
    return camera


def _from_above(maze: Any) -> dict[str, Any]:
    """North up, the whole maze in the picture: MuJoCo's free camera sees 45 degrees from top to bottom."""
    side = max(maze.map_width, maze.map_length) * maze.maze_size_scaling
    distance = 0.52 * side / np.tan(np.pi / 8) + maze.maze_height * maze.maze_size_scaling
    return {"lookat": np.zeros(3), "distance": distance, "azimuth": 90.0, "elevation": -90.0}


def paint_maze(model: Any, target: int) -> None:
    """Plain colours of different lightness, evenly lit: patterns and walls of its own colour hide a body."""
    import mujoco

    model.light_active[:] = 0
    light = model.vis.headlight
    light.ambient[:], light.diffuse[:], light.specular[:] = 1.0, 0.0, 0.0

    floor = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE.value
    model.geom_matid[:] = -1
    model.geom_rgba[model.geom_bodyid == 0] = _WALL
    model.geom_rgba[model.geom_bodyid != 0] = _BODY
    model.geom_rgba[floor] = _FLOOR
    model.site_matid[:] = -1
    model.site_rgba[:] = _BODY  # the point mass is drawn as a site
    model.site_rgba[target] = _GOAL


_FLOOR, _WALL = (0.95, 0.95, 0.95, 1.0), (0.55, 0.55, 0.58, 1.0)
_BODY, _GOAL = (0.0, 0.2, 0.45, 1.0), (0.9, 0.35, 0.0, 1.0)


def drawing(env: gymnasium.Env, size: int) -> tuple[Callable[[], np.ndarray], Callable[[], None]]:
    """How to draw the present state of `env`, and how to free what that took.

    An environment of MuJoCo is drawn on a `Canvas`; any other must have been made with the render mode
    `rgb_array` and draws itself, in a size of its own.
    """
    found = simulator(env)
    if found is None:
        return lambda: _own_picture(env), lambda: None
    unwrapped: Any = env.unwrapped
    if hasattr(unwrapped, "maze"):
        paint_maze(found[0], unwrapped.target_site_id)
    canvas = Canvas(*found, size, camera_of(env))
    return canvas.draw, canvas.close


def _own_picture(env: gymnasium.Env) -> np.ndarray:
    try:
        picture = env.render()
    except gymnasium.error.DependencyNotInstalled as error:
        raise UserError(f"this environment draws with a package that is missing: {error}") from None
    if not isinstance(picture, np.ndarray):
        raise UserError(f"the environment {env.spec.id if env.spec else env} does not draw pictures")
    return picture


class Filmed(gymnasium.Wrapper):
    """Draws the state after the reset, after every `every`-th step and after the last one of an episode.

    `frames` begins anew with each reset.
    """

    def __init__(self, env: gymnasium.Env, size: int, every: int):
        super().__init__(env)
        self.size, self.every, self.steps = size, every, 0
        self.frames: list[np.ndarray] = []
        self.draw: Callable[[], np.ndarray] | None = None
        self.free: Callable[[], None] = lambda: None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode and a film; see `gymnasium.Env.reset`."""
        start = self.env.reset(seed=seed, options=options)
        if self.draw is None:
            self.draw, self.free = drawing(self.env, self.size)
        self.frames, self.steps = [self.draw()], 0
        return start

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.steps += 1
        if self.draw is not None and (self.steps % self.every == 0 or terminated or truncated):
            self.frames.append(self.draw())
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Frees the canvas and closes the environment."""
        self.free()
        self.env.close()


def film(task: Task, *, size: int, every: int) -> Filmed:
    """The environment of `task`, filmed. UserError for sizes that are none, or where nothing can be drawn."""
    check(size, every)
    env = make_env(task)
    if simulator(env) is not None:
        backend()
    else:
        env.close()
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        env = make_env(replace(task, env_kwargs={**task.env_kwargs, "render_mode": "rgb_array"}))
    return Filmed(env, size, every)


def check(size: int, every: int) -> None:
    """UserError if pictures of this size, or of every so many steps, cannot be drawn."""
    if not 16 <= size <= 2048:
        raise UserError(f"--size must be from 16 to 2048 pixels, got {size}")
    if every < 1:
        raise UserError(f"--every must be at least 1, got {every}")


def draw_observations(
    task: Task, observations: np.ndarray, *, size: int, every: int
) -> tuple[list[np.ndarray], float]:
    """Pictures of an episode's flat observations [T + 1, obs], of every `every`-th and the last, and seconds
    per step.

    UserError if the observations do not tell the simulator's state, see `smac.poses`.
    """
    check(size, every)
    env = make_env(task)
    try:
        env.reset(seed=0)
        pose(task, env, observations[0])
        draw, free = drawing(env, size)
        frames = []
        for t in kept(len(observations), every):
            pose(task, env, observations[t])
            frames.append(draw())
        free()
        return frames, seconds_per_step(env)
    finally:
        env.close()


def kept(count: int, every: int) -> list[int]:
    """Indices of the pictures kept of `count` states: every `every`-th and the last."""
    return sorted({*range(0, count, every), count - 1})


def seconds_per_step(env: gymnasium.Env) -> float:
    """Simulated seconds of a step; 1/30 where the environment does not tell."""
    rate = env.metadata.get("render_fps")
    return 1.0 / rate if rate else 1.0 / 30.0


def write_gif(path: Path, frames: Sequence[np.ndarray], seconds: float) -> Path:
    """Writes pictures [h, w, 3] as a GIF that loops, `seconds` apart (at least 0.02); the last one stays 1 s.

    UserError if the path is taken, or does not end in .gif.
    """
    check_gif(path)
    pictures = [Image.fromarray(frame).quantize(dither=Image.Dither.NONE) for frame in frames]
    milliseconds = 10 * round(100 * max(seconds, DELAY))
    delays = [milliseconds] * (len(pictures) - 1) + [1000]
    more: Any = {"save_all": True, "append_images": pictures[1:], "duration": delays, "loop": 0}
    try:
        return write_atomically(path, lambda file: pictures[0].save(file, format="GIF", **more))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error})") from None


def check_gif(path: Path) -> None:
    """UserError if a GIF cannot be written to `path`."""
    if path.suffix.lower() != ".gif":
        raise UserError(f"{path}: pictures are written as a GIF; give a name that ends in .gif")
    if path.exists():
        raise UserError(f"{path}: already exists; choose another --out")
