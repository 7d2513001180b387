"""What a worker of a cluster does: it plays a whole job, and sends back what was played.

With a time limit a thread plays, and the worker watches it by its `Mark`, as `landscape.workers` watches
processes: where a step hangs, its episode is TIMED_OUT, the thread is left to itself, and another one, with
environments of its own, plays what is left.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from math import isfinite
from queue import Empty, SimpleQueue

from landscape.jobs import Job, Place, Played, place_of, play
from landscape.store import Episode, scene_key
from smac.errors import UserError
from smac.rollout import Mark, Status

POLL = 0.25  # seconds between two looks at a step that may hang


def play_all(job: Job, scene: bytes) -> tuple[Played, str | None]:
    """Play a job to its end, on another machine: what was played, and what is wrong if that is not all of it.

    UserError, before anything is played, where episodes would be filed under another key than `scene`.
    """
    if scene_key(job.spec, job.task, job.stochastic, job.time_limit) != scene:
        raise UserError(
            f"{socket.gethostname()} plays {job.task.name} otherwise than this machine: the versions of this "
            "package, gymnasium and mujoco, and the files that define the environment, have to be the same"
        )
    played: Played = []
    try:
        if isfinite(job.time_limit):
            play_watched(job, played)
        else:
            play(job, played.extend)
    except UserError as error:
        return played, str(error)
    return played, None


class Abandoned(BaseException):
    """Nobody waits for this thread any more; no environment may take it for a mistake of its own."""


class Player:
    """A thread that plays jobs, one after the other, with environments of its own."""

    def __init__(self) -> None:
        self.asked = SimpleQueue[Job]()
        self.answers = SimpleQueue[BaseException | None]()
        self.lock, self.mark, self.abandoned = threading.Lock(), Mark(), False
        self.played: Played = []
        threading.Thread(target=self._serve, daemon=True).start()

    def play(self, job: Job, played: Played) -> Place | None:
        """Play a job; the place at which it hangs, after which there is no more to be had of this player."""
        self.played = played
        self.asked.put(job)
        while True:
            try:
                error = self.answers.get(timeout=POLL)
            except Empty:
                if place := self._hangs(job):
                    return place
            else:
                if error is not None:
                    raise error
                return None

    def _hangs(self, job: Job) -> Place | None:
        with self.lock:
            cell, _, _, step = self.mark.numbers
            if not self.mark.hangs(job.time_limit):
                return None
            self.abandoned = True
            place = place_of(job, int(cell))
            timed_out = Episode(None, int(step), False, None, Status.TIMED_OUT.name.lower())
            self.played.append((place, timed_out))
            return place

    def _serve(self) -> None:
        while not self.abandoned:
            job = self.asked.get()
            try:
                play(job, self._told, self.mark)
                self.answers.put(None)
            except BaseException as error:
                self.answers.put(error)

    def _told(self, played: Played) -> None:
        with self.lock:
            if self.abandoned:
                raise Abandoned
            self.played.extend(played)


_local = threading.local()  # a player for each thread of the worker


def play_watched(job: Job, played: Played) -> None:
    """Play a job with a time limit, adding to `played`. UserError names an episode that cannot be played."""
    left = job
    while left.places:
        player: Player = _local.__dict__.get("player") or Player()
        _local.player = None
        if player.play(left, played) is None:
            _local.player = player
            return
        done = {place for place, _ in played}
        left = replace(job, places=tuple(place for place in job.places if place not in done))
