"""The controller: an order of sub-tasks, each attempted until it is done."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from smac.collect.kitchen.arm import Arm, Move, Scene
from smac.collect.kitchen.skills import SKILLS
from smac.errors import UserError


class KitchenController:
    """Does sub-tasks of FrankaKitchen one after the other; one controller drives one episode.

    A sub-task that fails is tried again at once, up to `attempts` times; what is still not satisfied at the
    end of the order, because it failed or was undone, gets another round. Then the hand goes back to where it
    started; a collector may stop there (`done`). The controller reads observations alone and corrects at each
    step, so noise may be added to its actions from outside.

    Measured within 280 steps, from start states shifted by 0.03 (rad; m for the kettle), with Gaussian noise
    of 0, 0.05, 0.1, 0.2 and 0.3 on the actions: all four of kitchen-complete, in order, in 30/30, 20/20,
    30/30, 30/30 and 10/16 episodes after 138, 141, 147, 169 and 233 steps on average; in each of their 24
    orders, up to 0.2, in 24/24 after 158, 160, 165 and 198. All that an order of `partial` or `mixed`
    attempts, up to 0.2, in 140/140 after 156 to 187 steps. All seven in one episode in 10/10 after 310, the
    hinge cabinet brushed shut again unless it came last. At 0.3 the microwave's handle slips: it is opened in
    11/16.

    Args:
        env: the FrankaKitchen environment, unwrapped; only its model is used.
        order: sub-tasks, by the environment's names.
        rng: of the variation between episodes.
        pace: range of the factor on all speeds, drawn once an episode.
        scatter: standard deviation of the waypoints in front of the objects, in metres, drawn at each
            attempt.
        attempts: at each sub-task in one round.
        rounds: through the order.
    """

    def __init__(
        self,
        env: Any,
        order: Sequence[str],
        rng: np.random.Generator,
        *,
        pace: tuple[float, float] = (0.85, 1.0),
        scatter: float = 0.01,
        attempts: int = 3,
        rounds: int = 2,
    ):
        _check_options(order, pace, scatter, attempts, rounds)
        self.order = tuple(order)
        self.rng = rng
        self.scatter, self.attempts, self.rounds = scatter, attempts, rounds
        self.scene = Scene(env)
        self.arm = Arm(env, self.scene, pace=rng.uniform(*pace))
        self.subtask: str | None = None  # at work now; None before the first action and once done
        self.done = False  # the last action belonged to no sub-task: all rounds are over
        self._moves = self._script()

    def action(self, observation: np.ndarray) -> np.ndarray:
        """Action [9] in [-1, 1], float32, for the step after a flat `observation`.

        The observation begins with the environment's own 59 numbers; what follows is not read.
        """
        self.scene.see(observation)
        return self.arm.action(next(self._moves))

    def _script(self) -> Iterator[Move]:
        for _ in range(self.rounds):
            for subtask in self.order:
                yield from self._attempt(subtask)
        self.subtask, self.done = None, True
        while True:
            yield Move(self.scene.rest_hand)

    def _attempt(self, subtask: str) -> Iterator[Move]:
        for _ in range(self.attempts):
            if self.scene.satisfied(subtask):
                return
            self.subtask = subtask
            scatter = self.scatter * self.rng.standard_normal(3)
            yield from SKILLS[subtask](self.scene, scatter).moves()


def _check_options(
    order: Sequence[str], pace: tuple[float, float], scatter: float, attempts: int, rounds: int
) -> None:
    unknown = [subtask for subtask in order if subtask not in SKILLS]
    if unknown or not order:
        raise UserError(f"an order is made of the sub-tasks {', '.join(SKILLS)}; got {list(order)}")
    if not 0.0 < pace[0] <= pace[1]:
        raise UserError(f"pace is a range of positive factors, got {pace}")
    if not scatter >= 0.0:
        raise UserError(f"scatter must not be negative, got {scatter}")
    if attempts < 1 or rounds < 1:
        raise UserError(f"attempts and rounds must be at least 1, got {attempts} and {rounds}")
