"""One class per sub-task of FrankaKitchen: a skill is a stream of moves, one for each control step.

Every skill approaches, works until the sub-task is done with half the environment's tolerance to spare, and
leaves. What it heads for is worked out anew at each step from what the scene shows, so noise on the actions
is corrected on the way. Offsets are (x, y, z) in metres from a site on the object, in the frame of
`smac.collect.kitchen.arm`; the fingertips reach 5 cm beyond the hand.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from typing import ClassVar

import numpy as np

from smac.collect.kitchen.arm import CLOSED, OPEN, Move, Scene

FINISHED = 0.5  # share of the environment's tolerance that is left to go when a skill stops working
NEAR, AT = 0.04, 0.02  # tolerances of passing a waypoint in free space, and of arriving at an object, m
AIMED = 0.4  # tolerance of the hand's orientation before it goes where that matters, rad
STEPS_TO_WAIT, PROGRESS = 8, 0.005  # stuck is what so many steps bring no nearer by so much, m or rad
HIGH, WIDE = 0.15, 0.15  # above the place at rest, and the tolerance of passing it on the way down, m
UNFOLDED = 0.3  # tolerance of the posture at rest, rad
POSTURE_ALONE = 10.0  # posture weight that leaves all else aside
FIRM = 0.2  # turn weight where the direction of the fingers matters

Offset = tuple[float, float, float]
Reach = Generator[Move, None, bool]  # moves, and in the end whether they arrived


class Patience:
    """Watches a distance that ought to shrink."""

    def __init__(self) -> None:
        self.least, self.waited = np.inf, 0

    def lasts(self, distance: float) -> bool:
        """Whether there has been progress in the last few steps."""
        self.waited = 0 if distance < self.least - PROGRESS else self.waited + 1
        self.least = min(self.least, distance)
        return self.waited <= STEPS_TO_WAIT


class Skill(ABC):
    """A sub-task that the arm knows to do.

    Args:
        scene: what the observation shows; it must be up to date whenever a move is asked for.
        scatter: added to the waypoint in front of the object [3], to vary the way there.
    """

    subtask: ClassVar[str]

    def __init__(self, scene: Scene, scatter: np.ndarray):
        self.scene = scene
        self.scatter = scatter

    def moves(self) -> Iterator[Move]:
        """One attempt."""
        arrived = yield from self.approach()
        if arrived:
            yield from self.work()
        yield from self.leave()
        if not arrived:
            yield from self.unfold()

    @abstractmethod
    def approach(self) -> Reach:
        """To where the work begins."""

    @abstractmethod
    def work(self) -> Iterator[Move]:
        """Until the sub-task is finished, or something has gone wrong."""

    @abstractmethod
    def leave(self) -> Iterator[Move]:
        """Out of the way of what comes next."""

    @property
    def finished(self) -> bool:
        """Whether the sub-task is done, with a margin."""
        return self.scene.distance(self.subtask) < FINISHED * self.scene.threshold

    def reach(
        self,
        target: Callable[[], np.ndarray],
        *,
        tolerance: float,
        turn_tolerance: float = np.inf,
        fingers: float = CLOSED,
        speed: float = 0.8,
        turn_weight: float = 0.12,
    ) -> Reach:
        """Moves towards `target`; whether it came within the tolerances (m, rad) before it got stuck."""
        patience = Patience()
        while True:
            position = target()
            distance = float(np.linalg.norm(position - self.scene.hand))
            turn = float(np.linalg.norm(self.scene.turn_error()))
            if distance < tolerance and turn < turn_tolerance:
                return True
            if not patience.lasts(distance + turn_weight * turn):
                return False
            yield Move(position, fingers, speed, turn_weight)

    def descend(self, fingers: float = CLOSED) -> Iterator[Move]:
        """From high up by way of the place at rest, before a low approach.

        Straight down, the arm would sweep the kettle along, or fold back on itself.
        """
        if self.scene.hand[2] > self.scene.rest_hand[2] + HIGH:
            yield from self.reach(lambda: self.scene.rest_hand, tolerance=WIDE, fingers=fingers)

    def unfold(self) -> Iterator[Move]:
        """Back to the posture at rest, joint by joint: an arm that is stuck is often folded wrongly."""
        patience = Patience()
        while True:
            away = float(np.abs(self.scene.rest_joints - self.scene.joints).max())
            if away < UNFOLDED or not patience.lasts(away):
                return
            yield Move(self.scene.rest_hand, posture_weight=POSTURE_ALONE)

    def back_off(self, offset: Offset, fingers: float = CLOSED) -> Iterator[Move]:
        """Leaves by `offset` from where the hand is now."""
        goal = self.scene.hand + offset
        yield from self.reach(lambda: goal, tolerance=NEAR, fingers=fingers)


class Push(Skill):
    """Pushes something sideways with closed fingers: a switch, a door's handle, the bar of a knob."""

    site: ClassVar[str]
    beside: ClassVar[Offset]  # where the hand starts to push, from the site
    direction: ClassVar[float]  # 1 pushes to the right, -1 to the left
    speed: ClassVar[float]
    lead: ClassVar[float]  # how far ahead of the hand the target runs; sets the force, m
    sink: ClassVar[float] = 0.0  # how far the hand is lowered while it pushes, m
    in_front: ClassVar[float] = 0.12  # of where the push starts lies the waypoint, m
    overshoot: ClassVar[float] = 0.08  # the hand has missed once it is so far beyond the site, m
    steps: ClassVar[int] = 25  # for the push at most
    steps_to_sink: ClassVar[int] = 5

    def approach(self) -> Reach:
        aside = self.scatter - [self.direction * AT, self.in_front, 0.0]
        there = yield from self.reach(lambda: self._start() + aside, tolerance=NEAR)
        return there and (yield from self.reach(self._start, tolerance=AT, turn_weight=FIRM))

    def work(self) -> Iterator[Move]:
        for step in range(self.steps):
            if self.finished or self._missed():
                return
            _, y, z = self._start()
            x = self.scene.hand[0] + self.direction * self.lead
            sunk = self.sink * min(1.0, step / self.steps_to_sink)
            yield Move(np.array([x, y, z - sunk]), CLOSED, self.speed, FIRM)

    def leave(self) -> Iterator[Move]:
        yield from self.back_off((-0.05 * self.direction, -0.12, 0.0))

    def _start(self) -> np.ndarray:
        return self.scene.site(self.site) + self.beside

    def _missed(self) -> bool:
        return self.direction * (self.scene.hand[0] - self.scene.site(self.site)[0]) > self.overshoot


class LightSwitch(Push):
    subtask = "light switch"
    site = "light_site"
    beside = (0.06, -0.02, 0.01)
    direction = -1.0
    speed = 0.5
    lead = 0.12


class SlideCabinet(Push):
    subtask = "slide cabinet"
    site = "slide_site"
    beside = (-0.10, -0.02, 0.0)
    direction = 1.0
    speed = 0.6
    lead = 0.15


class BottomBurner(Push):
    """Turns a knob by its bar, which stands upright: the hand pushes the upper end to the right."""

    subtask = "bottom burner"
    site = "knob2_site"
    beside = (-0.05, -0.03, 0.045)
    direction = 1.0
    speed = 0.8  # the knob is stiff
    lead = 0.12
    sink = 0.03


class TopBurner(BottomBurner):
    subtask = "top burner"
    site = "knob4_site"


class Door(Skill):
    """Grips an upright handle and leads it round the door's hinge."""

    handle: ClassVar[str]  # site
    hinge: ClassVar[str]  # body whose origin lies on the hinge's axis
    direction: ClassVar[float]  # in which the door opens, seen from above: 1 is counter-clockwise
    turn_weight: ClassVar[float]  # low, as the hand has to turn with the handle
    aside: ClassVar[Offset]  # the way out of the open door's reach
    in_front: ClassVar[Offset] = (0.0, -0.12, 0.0)  # waypoint, from the handle
    lead: ClassVar[float] = 0.25  # how far ahead of the handle the target runs, rad
    slipped: ClassVar[float] = 0.08  # the handle has been lost if it is so far from the hand, m
    steps: ClassVar[int] = 60  # for the opening at most
    steps_to_grip: ClassVar[int] = 3
    steps_to_release: ClassVar[int] = 2

    def approach(self) -> Reach:
        in_front = self.scatter + self.in_front
        there = yield from self.reach(lambda: self._handle() + in_front, tolerance=NEAR, fingers=OPEN)
        return there and (
            yield from self.reach(self._handle, tolerance=AT, fingers=OPEN, speed=0.5, turn_weight=FIRM)
        )

    def work(self) -> Iterator[Move]:
        for _ in range(self.steps_to_grip):
            yield Move(self._handle(), CLOSED)
        hinge = self.scene.body(self.hinge)
        for _ in range(self.steps):
            handle = self._handle()
            if self.finished or np.linalg.norm(handle - self.scene.hand) > self.slipped:
                return
            ahead = turned(handle, hinge, self.direction * self.lead)
            yield Move(ahead, CLOSED, speed=0.6, turn_weight=self.turn_weight)

    def leave(self) -> Iterator[Move]:
        for _ in range(self.steps_to_release):
            yield Move(self.scene.hand, OPEN)
        yield from self.back_off(self.aside, OPEN)

    def _handle(self) -> np.ndarray:
        return self.scene.site(self.handle)


def turned(point: np.ndarray, axis: np.ndarray, angle: float) -> np.ndarray:
    """`point` [3] turned by `angle` about the vertical through `axis` [3], counter-clockwise from above."""
    (x, y), cos, sin = (point - axis)[:2], np.cos(angle), np.sin(angle)
    return np.array([axis[0] + cos * x - sin * y, axis[1] + sin * x + cos * y, point[2]])


class Microwave(Door):
    subtask = "microwave"
    handle = "microhandle_site"
    hinge = "microdoorroot"
    direction = -1.0
    turn_weight = 0.05
    aside = (0.12, -0.05, 0.08)

    def approach(self) -> Reach:
        yield from self.descend(OPEN)
        return (yield from super().approach())


class HingeCabinet(Door):
    """Opens the right door of the hinge cabinet."""

    subtask = "hinge cabinet"
    handle = "hinge_site2"
    hinge = "hingerightdoor"
    direction = 1.0
    turn_weight = 0.03
    aside = (-0.1, -0.1, -0.05)


class Kettle(Skill):
    """Lifts the kettle by its handle and carries it to the burner behind.

    The fingers lie under the handle, and the palm pushes against the posts that bear it, which keeps the
    kettle straight. A kettle that is pushed but not lifted tips over, as the handle is so high.
    """

    subtask = "kettle"
    site: ClassVar[str] = "kettle_site"  # middle of the handle
    in_front: ClassVar[Offset] = (0.0, -0.18, -0.09)  # waypoint, from the site
    under: ClassVar[Offset] = (0.0, 0.02, -0.09)  # the hand's place while it carries, before it lifts
    clear: ClassVar[float] = 0.01  # rise of the kettle that lets it be carried, m
    lead: ClassVar[float] = 0.1  # how far ahead of the hand the target runs, m
    gentle_lead: ClassVar[float] = 0.03  # the same before the kettle is clear
    goal_x: ClassVar[float] = -0.23
    far_enough: ClassVar[float] = 0.66  # y of the kettle where it is put down; its goal is at 0.75
    steps: ClassVar[int] = 40  # for lifting and carrying at most
    steps_down: ClassVar[int] = 4

    def approach(self) -> Reach:
        in_front, under = self.scatter + self.in_front, np.array(self.under)
        yield from self.descend()
        there = yield from self.reach(lambda: self._handle() + in_front, tolerance=NEAR, turn_tolerance=AIMED)
        return there and (yield from self.reach(lambda: self._handle() + under, tolerance=NEAR, speed=0.5))

    def work(self) -> Iterator[Move]:
        height = self._handle()[2]  # that the hand rises to, which lifts the handle by 5 cm
        for _ in range(self.steps):
            if self.scene.body("kettle")[1] > self.far_enough:
                break
            lead = self.lead if self._handle()[2] > height + self.clear else self.gentle_lead
            yield Move(np.array([self.goal_x, self.scene.hand[1] + lead, height]), speed=0.4)
        down = np.array([self.goal_x, *(self.scene.hand[1:] - [0.0, 0.04])])
        for _ in range(self.steps_down):
            yield Move(down, speed=0.4, turn_weight=0.08)

    def leave(self) -> Iterator[Move]:
        yield from self.back_off((0.0, -0.15, -0.02))

    def _handle(self) -> np.ndarray:
        return self.scene.site(self.site)


SKILLS: dict[str, type[Skill]] = {
    skill.subtask: skill
    for skill in (Microwave, Kettle, LightSwitch, SlideCabinet, BottomBurner, TopBurner, HingeCabinet)
}
