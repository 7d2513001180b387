"""The simulator's state that an observation tells: datasets hold observations, pictures need states.

Every family's observations determine what a picture shows, though not all that a simulation would need:

| family | from the observation | not determined, and what is drawn |
|---|---|---|
| PointMaze, AntMaze | all positions and the goal | nothing |
| Kitchen | all positions | exact ones: those drawn carry the sensor noise of the observation |
| door | 27 joints, hinge, latch | height of the arm and place of the door: solved from palm and handle |
| relocate | 30 joints | the ball's rotation: none |
| hammer | 26 joints, nail, hammer | nothing: the board's place is solved from the nail's |
| pen | 24 joints, place and direction of the pen | its rotation about its own axis: the smallest |
| hopper, walker2d, halfcheetah | all but the distance run | drawn at 0 |
"""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from scipy.spatial.transform import Rotation

from smac.errors import UserError
from smac.tasks import Task

_PARTS = ("point_env", "ant_env", "robot_env")  # where goal environments keep the simulated body


def simulator(env: gymnasium.Env) -> tuple[Any, Any] | None:
    """MjModel and MjData of an environment; None if it is not one of MuJoCo's."""
    unwrapped: Any = env.unwrapped
    for holder in (*(getattr(unwrapped, part, None) for part in _PARTS), unwrapped):
        if hasattr(holder, "model") and hasattr(holder, "data"):
            return holder.model, holder.data
    return None


def pose(task: Task, env: gymnasium.Env, observation: np.ndarray) -> None:
    """Puts `env` (of `task`) where it gave this flat observation, as far as the observation tells.

    Velocities are left at zero: a picture does not show them. UserError for an environment whose observation
    does not determine its state.
    """
    rule = _RULES.get(task.env_id.split("_")[0].split("-")[0].removesuffix("Sparse"))
    if rule is None:
        raise UserError(
            f"episodes of {task.name} cannot be drawn from data: its observations do not tell the "
            "simulator's state; draw an episode of a checkpoint with `smac render`"
        )
    import mujoco  # slow to load

    found = simulator(env)
    assert found is not None
    model, data = found
    data.qvel[:] = 0.0
    rule(env.unwrapped, model, data, np.asarray(observation, dtype=np.float64))
    mujoco.mj_forward(model, data)


def _maze(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    data.qpos[:] = observation[: model.nq]
    env.goal = observation[-2:].copy()
    env.update_target_site_pos()


def _kitchen(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    data.qpos[:9], data.qpos[9:] = observation[:9], observation[18 : 18 + model.nq - 9]


def _runner(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    data.qpos[0], data.qpos[1:] = 0.0, observation[: model.nq - 1]


def _door(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    import mujoco

    joints, latch, hinge, palm, handle = np.split(observation[:35], (27, 28, 29, 32))
    data.qpos[:] = np.concatenate([[0.0], joints, hinge, latch])
    mujoco.mj_forward(model, data)
    # the first joint slides the whole arm along its axis, and the door stands on the world
    slide = data.xaxis[0]
    data.qpos[0] = slide @ (palm - data.site_xpos[env.grasp_site_id])
    model.body_pos[env.door_body_id] += handle - data.site_xpos[env.handle_site_id]


def _relocate(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    import mujoco

    data.qpos[:30] = observation[:30]
    mujoco.mj_forward(model, data)
    palm = data.site_xpos[env.S_grasp_site_id]
    _place(model, data, env.obj_body_id, palm - observation[30:33], Rotation.identity())
    model.site_pos[env.target_obj_site_id] = palm - observation[33:36]


def _hammer(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    import mujoco

    joints, _, _, position, angles, nail = np.split(observation[:45], (27, 33, 36, 39, 42))
    data.qpos[:27] = joints
    _place(model, data, env.obj_body_id, position, _from_angles(angles))
    mujoco.mj_forward(model, data)
    model.body_pos[env.target_body_id] += nail - data.site_xpos[env.target_obj_site_id]


def _pen(env: Any, model: Any, data: Any, observation: np.ndarray) -> None:
    joints, position, _, direction, wanted = np.split(observation[:39], (24, 27, 33, 36))
    data.qpos[:24] = joints
    axis = model.site_pos[env.obj_t_site_id] - model.site_pos[env.obj_b_site_id]
    _place(model, data, env.obj_body_id, position, _turning(axis, direction))
    axis = model.site_pos[env.tar_t_site_id] - model.site_pos[env.tar_b_site_id]
    model.body_quat[env.target_obj_body_id] = _turning(axis, wanted).as_quat(scalar_first=True)


def _place(model: Any, data: Any, body: int, position: np.ndarray, rotation: Rotation) -> None:
    """Sets the last six joints, three slides then three hinges about x, y and z, of a body of the world."""
    frame = Rotation.from_quat(model.body_quat[body], scalar_first=True)
    data.qpos[-6:-3] = frame.inv().apply(position - model.body_pos[body])
    data.qpos[-3:] = (frame.inv() * rotation).as_euler("XYZ")


def _from_angles(angles: np.ndarray) -> Rotation:
    from gymnasium_robotics.utils.rotations import euler2mat

    return Rotation.from_matrix(euler2mat(angles))


def _turning(a: np.ndarray, b: np.ndarray) -> Rotation:
    """The smallest rotation that takes the direction of `a` to that of `b`."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    normal = np.cross(a, b)
    sine, cosine = np.linalg.norm(normal), float(a @ b)
    if sine < 1e-9:
        # the same or opposite directions: no turn, or half of one about anything across
        across = np.cross(a, np.eye(3)[np.argmin(np.abs(a))])
        return (
            Rotation.identity()
            if cosine > 0
            else Rotation.from_rotvec(np.pi * across / np.linalg.norm(across))
        )
    return Rotation.from_rotvec(normal / sine * np.arctan2(sine, cosine))


# By the beginning of the environment's id
_RULES: Mapping[str, Callable[[Any, Any, Any, np.ndarray], None]] = {
    "PointMaze": _maze,
    "AntMaze": _maze,
    "FrankaKitchen": _kitchen,
    "AdroitHandDoor": _door,
    "AdroitHandRelocate": _relocate,
    "AdroitHandHammer": _hammer,
    "AdroitHandPen": _pen,
    "Hopper": _runner,
    "Walker2d": _runner,
    "HalfCheetah": _runner,
}
