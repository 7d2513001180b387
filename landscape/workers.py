"""Processes that play jobs: kept from one evaluation to the next, watched, and started again if they end.

A worker says which episodes have ended as they end; the process that started it keeps them. In memory that
both see it marks which episode its simulator is at (`smac.rollout.Mark`). So one that ends by itself, or
hangs, has an episode to be named, what it finished before is kept, and the others of its job are played again
by its successor, with the same results.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawArray
from typing import Any

import cloudpickle
import gymnasium

from landscape.jobs import Job, Place, Played, forget_environments, place_of, play
from landscape.store import Episode
from smac.errors import UserError
from smac.parent import end_with
from smac.rollout import Mark, Status

# A fork has all imports, and every environment and module that was registered or written by then; where forks
# are not safe, a new interpreter imports what it needs.
PROCESSES: Any = get_context("fork" if sys.platform == "linux" else "spawn")
POLL = 0.25  # seconds between two looks at what does not speak
PATIENCE = 2.0  # seconds that a worker has to end by itself
ATTEMPTS = 2  # at an episode at which a worker ends by itself

Take = Callable[[Played], None]


class Failed(Exception):
    """What a worker raised that is no mistake of the user's, with its traceback."""


class Worker:
    """A process that plays one job after the other."""

    def __init__(self) -> None:
        self.connection, theirs = PROCESSES.Pipe()
        self.mark = RawArray("d", 4)
        self.process = PROCESSES.Process(target=_main, args=(theirs, self.mark, os.getpid()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child has no use for
            self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.left: dict[Place, None] = {}  # of the job, in order

    def give(self, job: Job) -> None:
        self.job, self.left = job, dict.fromkeys(job.places)
        self.mark[0] = Mark.NOTHING
        with suppress(BrokenPipeError, ConnectionResetError):  # it is found to have ended when it is heard
            self.connection.send_bytes(pickle.dumps((sys.path, cloudpickle.dumps(job))))

    def hear(self, take: Take) -> bool:
        """Take what it has said; whether it still runs. What it raised is raised."""
        try:
            while self.connection.poll():
                what, said = pickle.loads(self.connection.recv_bytes())
                if what == "played":
                    for place, _ in said:
                        self.left.pop(place, None)
                    take(said)
                elif what == "done":
                    self.job = None
                else:
                    self.job = None
                    raise UserError(said) if what == "refused" else Failed(said)
        except (EOFError, ConnectionResetError):
            return False
        return self.process.is_alive() or self.connection.poll()

    @property
    def place(self) -> Place | None:
        """The episode that its simulator is at, or was when the process ended."""
        cell = int(self.mark[0])
        return None if self.job is None or cell < 0 else place_of(self.job, cell)

    @property
    def hangs(self) -> bool:
        """Whether a step, or a reset, has taken longer than the time limit and some grace."""
        return self.job is not None and Mark(self.mark).hangs(self.job.time_limit)

    def stop(self, force: bool = False) -> None:
        """End the process, by force if it has to be."""
        if not force:
            self.process.terminate()
            self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()
        self.connection.close()


class Workers:
    """Up to `count` workers. A pool that a job brought to an end by an error has none any more."""

    def __init__(self, count: int) -> None:
        self.count, self.owner = count, os.getpid()
        self.workers: list[Worker] = []
        self.crashes: Counter[tuple[int, int] | None] = Counter()

    def run(self, jobs: Iterable[Job], take: Take) -> None:
        """Play jobs, which are drawn as workers become free; `take` is given episodes as they end.

        An episode whose simulation hangs longer than the job's time limit is TIMED_OUT; one at which two
        workers have ended is CRASHED. When this raises, all workers have ended and what had been played has
        been taken.
        """
        waiting, more = deque[Job](), iter(jobs)
        self.crashes.clear()
        try:
            while True:
                self._assign(waiting, more)
                busy = {w.connection: w for w in self.workers if w.job is not None}
                if not busy:
                    return
                wait(list(busy), POLL)
                for worker in busy.values():
                    if not worker.hear(take):
                        self._ended(worker, waiting, take)
                    elif worker.hangs:
                        self._hangs(worker, waiting, take)
        except BaseException:
            self._salvage(take)
            self.close()
            raise

    def close(self) -> None:
        """End all workers; a process that was forked from this one leaves them alone."""
        if os.getpid() != self.owner:
            return
        for worker in self.workers:
            worker.process.terminate()
        end = time.monotonic() + PATIENCE
        while self.workers:
            worker = self.workers.pop()
            worker.process.join(max(0.0, end - time.monotonic()))
            worker.stop(force=True)

    def _assign(self, waiting: deque[Job], more: Iterator[Job]) -> None:
        """Give every idle worker a job, as long as there are any; start workers up to their number."""
        for worker in [w for w in self.workers if w.job is None and not w.process.is_alive()]:
            self._remove(worker)
        while True:
            idle = next((w for w in self.workers if w.job is None), None)
            if idle is None and len(self.workers) == self.count:
                return
            job = waiting.popleft() if waiting else next(more, None)
            if job is None:
                return
            if idle is None:
                idle = Worker()
                self.workers.append(idle)
            idle.give(job)

    def _ended(self, worker: Worker, waiting: deque[Job], take: Take) -> None:
        """A worker has ended by itself: its episode is tried again, or has failed."""
        worker.process.join(PATIENCE)
        self._remove(worker)
        if worker.job is None:
            return
        how, place = _how(worker.process.exitcode), worker.place
        self.crashes[place and (place.row, place.episode)] += 1
        tried = self.crashes[place and (place.row, place.episode)]
        if tried >= ATTEMPTS and place is None:
            what = "while its environment was made" if worker.mark[0] == Mark.MAKING else "between two steps"
            rows = sorted({p.row for p in worker.left})
            raise UserError(
                f"task {worker.job.task.name}: a process that plays points {rows[0]} to {rows[-1]} ended "
                f"{what}, {tried} times ({how}); what was played is kept"
            )
        if tried >= ATTEMPTS and place in worker.left:
            self._give_up(worker, place, Status.CRASHED, take)
        self._again(worker, waiting)

    def _hangs(self, worker: Worker, waiting: deque[Job], take: Take) -> None:
        worker.process.kill()
        worker.process.join()
        worker.hear(take)  # it may have come to an end after all
        place = worker.place
        self._remove(worker)
        if worker.job is not None:
            if place in worker.left:
                self._give_up(worker, place, Status.TIMED_OUT, take)
            self._again(worker, waiting)

    def _give_up(self, worker: Worker, place: Place, status: Status, take: Take) -> None:
        worker.left.pop(place)
        take([(place, Episode(None, int(worker.mark[3]), False, None, status.name.lower()))])

    def _again(self, worker: Worker, waiting: deque[Job]) -> None:
        if worker.job is not None and worker.left:
            waiting.appendleft(replace(worker.job, places=tuple(worker.left)))

    def _remove(self, worker: Worker) -> None:
        worker.stop()
        self.workers.remove(worker)

    def _salvage(self, take: Take) -> None:
        """Take what workers have said before they are ended; a second error is of no interest."""
        for worker in self.workers:
            with suppress(Exception):
                worker.hear(take)


_local = threading.local()  # every thread has workers of its own, as a process ends with its thread


def workers(count: int) -> Workers:
    """The workers of this thread, `count` at most; those that run already are used again.

    They are not where environments have been registered since: these they would not know.
    """
    pool: Workers | None = _local.__dict__.get("pool")
    known = [id(spec) for spec in gymnasium.registry.values()]
    if pool is None:
        pool = _local.pool = Workers(count)
        atexit.register(pool.close)
    elif known != _local.known:
        pool.close()
    _local.known, pool.count = known, count
    while len(pool.workers) > count:
        pool.workers.pop().stop()
    return pool


def _how(status: int | None) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-status).name}" if status and status < 0 else f"exit status {status}"


# ---- in the worker ---------------------------------------------------------------------------------------


def serve(connection: Connection, mark: Mark) -> None:
    """Play what is asked for until nobody asks any more."""
    while True:
        try:
            sys.path[:], packed = pickle.loads(connection.recv_bytes())
        except (EOFError, ConnectionResetError):
            return
        answer: tuple[str, str | None]
        try:
            job = pickle.loads(packed)
            play(job, lambda played: connection.send_bytes(pickle.dumps(("played", played))), mark)
            answer = "done", None
        except UserError as error:
            answer = "refused", str(error)
        except Exception:
            answer = "raised", traceback.format_exc()
        connection.send_bytes(pickle.dumps(answer))


def _main(connection: Connection, mark: ctypes.Array[ctypes.c_double], parent: int) -> None:
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to all; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    forget_environments()
    serve(connection, Mark(mark))
