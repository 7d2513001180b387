"""From where the hand should head to the action that takes it there: inverse kinematics and servos.

World frame: x to the robot's right, y away from it into the kitchen, z up; metres, radians, seconds. The hand
is the site between the fingertips; at rest it points along y and its fingers open along x.
"""

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from smac.errors import UserError

JOINTS = 7  # of the arm; two fingers follow in every vector of the robot
OBSERVATION_DIM = 59  # robot positions 9, robot velocities 9, object positions 21, object velocities 20
OBJECTS = slice(18, 39)  # object positions in the observation
HAND = "end_effector"

OPEN, CLOSED = 0.5, -0.5  # finger actions: 0.25 already asks for the whole stroke of 4 cm in one step

HAND_GAIN = 8.0  # speed towards the target per metre of distance, 1/s
TURN_GAIN = 4.0  # turning rate towards the reference orientation per radian, 1/s
MAX_TURN = 1.0  # of the hand, rad/s; a hand turned far away must not give up its way for its orientation
POSTURE_GAIN = 1.0  # joint speed towards the reference posture per radian, 1/s
# What the servos reach at actions of about 0.9: 87 Nm against a damping of 100, 12 Nm against 10
MAX_JOINT_SPEED = np.array([0.8, 0.8, 0.8, 0.8, 1.1, 1.1, 1.1])
LIMIT_MARGIN = 0.015  # kept from the joint limits, rad
BRAKING_STEPS = 2  # a joint may use this many steps for the way that is left to its limit


def bounded_least_squares(
    matrix: np.ndarray,
    wanted: np.ndarray,
    preferred: np.ndarray,
    weight: float,
    lower: np.ndarray,
    upper: np.ndarray,
) -> np.ndarray:
    """argmin_x |matrix x - wanted|² + weight² |x - preferred|² subject to lower <= x <= upper, shape [n].

    Damped least squares (Wampler 1986) whose damping pulls to `preferred`, which therefore also settles what
    the m rows of `matrix` [m, n] leave open, and whose bounds are met by moving the other joints more rather
    than by cutting a finished solution. `lower` must be below `upper`.
    """
    from scipy.optimize import lsq_linear  # slow to load

    stacked = np.vstack([matrix, weight * np.eye(len(preferred))])
    rhs = np.concatenate([wanted, weight * preferred])
    return lsq_linear(stacked, rhs, bounds=(lower, upper), method="bvls", max_iter=50).x


def capped(vector: np.ndarray, length: float) -> np.ndarray:
    """`vector`, shortened to `length` if it is longer."""
    norm = float(np.linalg.norm(vector))
    return vector if norm <= length else vector * (length / norm)


def rotation_error(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rotation vector [3] that turns `current` [3, 3] to `reference` [3, 3]: axis times sin(angle)."""
    return 0.5 * np.cross(current, reference, axis=0).sum(axis=1)


def joint_speed_bounds(
    positions: np.ndarray, low: np.ndarray, high: np.ndarray, max_speed: np.ndarray, time: float
) -> tuple[np.ndarray, np.ndarray]:
    """Joint speeds [n] that neither exceed `max_speed` nor pass the limits within `time`.

    A joint that is at a limit, or past it, may only leave it.
    """
    hair = 1e-6  # the bounds of a joint must differ
    lower = np.clip((low - positions) / time, -max_speed, 0.0) - hair
    upper = np.clip((high - positions) / time, 0.0, max_speed) + hair
    return lower, upper


@dataclass(frozen=True)
class Servos:
    """The joints' position servos: gain (setpoint - q) = damping dq/dt + load.

    The environment holds the setpoint at q + action * speed_at_one * period for one control period. A servo
    covers only part of that way (half of it, for the large joints) and is dragged from it by gravity; both
    follow from the line above, in which inertia is small enough to be left out (0.01 s against the 0.115 s of
    damping / gain).
    """

    gain: np.ndarray  # Nm/rad, [n]
    damping: np.ndarray  # Nm s/rad, [n]
    period: float  # of control, s
    speed_at_one: float  # rad/s that an action of 1 asks for

    def actions(self, speeds: np.ndarray, load: np.ndarray) -> np.ndarray:
        """Actions [n] after which the joints will have moved by speeds * period, against a torque `load`."""
        covered = 1.0 - np.exp(-self.gain * self.period / self.damping)
        setpoint = speeds * self.period / covered + load / self.gain
        return setpoint / (self.speed_at_one * self.period)


@dataclass(frozen=True)
class Move:
    """Where the hand should be heading during one step."""

    target: np.ndarray  # position [3]
    fingers: float = CLOSED
    speed: float = 0.8  # m/s at most
    turn_weight: float = 0.12  # of holding the orientation at rest: how many m/s weigh as much as 1 rad/s
    posture_weight: float = 0.045  # of going to the posture at rest, the same; also damps singular poses


class Scene:
    """The kitchen as one observation shows it: forward kinematics in a private copy of the simulation.

    Nothing is read from the environment after construction, so what the controller knows is what a policy
    knows, sensor noise included. "At rest" is the environment's start state.
    """

    def __init__(self, env: Any):
        """`env` is an unwrapped FrankaKitchen environment; UserError if it is another."""
        if not hasattr(env, "robot_env"):
            raise UserError(f"the kitchen controller needs FrankaKitchen, unwrapped; this is {env!r}")
        from gymnasium_robotics.envs.franka_kitchen import kitchen_env  # slow to import

        self.model = env.model
        self.data = mujoco.MjData(self.model)
        self.places, self.goals = kitchen_env.OBS_ELEMENT_INDICES, kitchen_env.OBS_ELEMENT_GOALS
        self.threshold = kitchen_env.BONUS_THRESH
        self._hand = self.model.site(HAND).id
        self._show(env.robot_env.init_qpos)
        self.rest_joints, self.rest_hand, self.rest_rotation = self.joints, self.hand, self.hand_rotation

    def see(self, observation: np.ndarray) -> None:
        """Takes over the positions of a flat observation that begins with the environment's 59 numbers."""
        if observation.ndim != 1 or len(observation) < OBSERVATION_DIM:
            raise UserError(
                f"the kitchen controller needs flat observations of at least {OBSERVATION_DIM} numbers, "
                f"got shape {observation.shape}"
            )
        self._show(np.concatenate([observation[: JOINTS + 2], observation[OBJECTS]]))

    def _show(self, positions: np.ndarray) -> None:
        self.data.qpos[:] = positions
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    @property
    def joints(self) -> np.ndarray:
        """Joint angles of the arm [7]."""
        return self.data.qpos[:JOINTS].copy()

    @property
    def hand(self) -> np.ndarray:
        """Position of the hand [3]."""
        return self.data.site_xpos[self._hand].copy()

    @property
    def hand_rotation(self) -> np.ndarray:
        """Orientation of the hand [3, 3]; its columns are the hand's axes."""
        return self.data.site_xmat[self._hand].reshape(3, 3).copy()

    def turn_error(self) -> np.ndarray:
        """Rotation vector [3] back to the orientation at rest, see `rotation_error`."""
        return rotation_error(self.hand_rotation, self.rest_rotation)

    def hand_jacobian(self) -> tuple[np.ndarray, np.ndarray]:
        """Velocity and turning rate of the hand per joint speed, [3, 7] each."""
        linear, angular = np.zeros((3, self.model.nv)), np.zeros((3, self.model.nv))
        mujoco.mj_jacSite(self.model, self.data, linear, angular, self._hand)
        return linear[:, :JOINTS], angular[:, :JOINTS]

    def gravity_load(self) -> np.ndarray:
        """Torques that hold the arm still [7]."""
        torques = np.zeros(self.model.nv)
        mujoco.mj_rne(self.model, self.data, 0, torques)
        return torques[:JOINTS]

    def site(self, name: str) -> np.ndarray:
        """Position of a site [3]."""
        return self.data.site(name).xpos.copy()

    def body(self, name: str) -> np.ndarray:
        """Position of a body [3]."""
        return self.data.body(name).xpos.copy()

    def distance(self, subtask: str) -> float:
        """Distance of a sub-task's joints from their goal, as the environment measures it."""
        return float(np.linalg.norm(self.data.qpos[self.places[subtask]] - self.goals[subtask]))

    def satisfied(self, subtask: str) -> bool:
        """Whether the environment counts the sub-task as done now."""
        return self.distance(subtask) < self.threshold


class Arm:
    """Turns moves of the hand into actions; without memory, so a disturbed step is corrected by the next.

    The reference posture and orientation are those at rest. `pace` is a factor on all speeds.
    """

    def __init__(self, env: Any, scene: Scene, pace: float = 1.0):
        self.scene = scene
        self.pace = pace
        model, robot = env.model, env.robot_env
        self.servos = Servos(
            gain=model.actuator_gainprm[:JOINTS, 0].copy(),
            damping=model.dof_damping[:JOINTS].copy(),
            period=robot.dt,
            speed_at_one=float(robot.act_rng[0]),
        )
        self._low = np.maximum(model.jnt_range[:JOINTS, 0], robot.robot_pos_bound[:JOINTS, 0]) + LIMIT_MARGIN
        self._high = np.minimum(model.jnt_range[:JOINTS, 1], robot.robot_pos_bound[:JOINTS, 1]) - LIMIT_MARGIN

    def action(self, move: Move) -> np.ndarray:
        """Action of the environment, float32 [9]."""
        arm = self.servos.actions(self.joint_speeds(move), self.scene.gravity_load())
        return np.clip(np.append(arm, [move.fingers, move.fingers]), -1.0, 1.0).astype(np.float32)

    def joint_speeds(self, move: Move) -> np.ndarray:
        """Joint speeds [7] that best give the hand the velocity and turning rate that `move` asks for."""
        scene, weight = self.scene, move.turn_weight
        velocity = capped(HAND_GAIN * (move.target - scene.hand), self.pace * move.speed)
        turning = capped(TURN_GAIN * scene.turn_error(), MAX_TURN)
        linear, angular = scene.hand_jacobian()
        joints = scene.joints
        lower, upper = joint_speed_bounds(
            joints, self._low, self._high, self.pace * MAX_JOINT_SPEED, BRAKING_STEPS * self.servos.period
        )
        return bounded_least_squares(
            np.vstack([linear, weight * angular]),
            np.concatenate([velocity, weight * turning]),
            POSTURE_GAIN * (scene.rest_joints - joints),
            move.posture_weight,
            lower,
            upper,
        )
