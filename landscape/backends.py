"""Machines other than this one: calls that the workers of a cluster make, Dask's or Ray's, as futures.

A call whose worker ends is made again by another one, so it must do no harm twice: episodes are sent back,
and only the process that asked for them writes. A worker has this package in the same version; what the
caller has on its path, and the modules that it named, are looked for there too.
"""

from __future__ import annotations

import logging
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cloudpickle

from smac.errors import UserError
from smac.tasks.environments import register_env_module, stated_modules

log = logging.getLogger(__name__)

Backend = Literal["dask", "ray"]
PACKAGES = {"dask": "distributed", "ray": "ray"}
ANSWER = 10  # seconds that a scheduler has to answer
POLL = 2.0  # seconds between two looks at how large the cluster is
AHEAD = 8  # calls at least that are under way, however few workers there are by now
ATTEMPTS = 4  # at a call at which a worker ends by itself


class WorkersEnded(UserError):
    """A call that ends every worker that makes it."""


class Cluster(ABC):
    """Workers that a scheduler knows of. There may be none yet, and more later."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address

    @abstractmethod
    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a function called by some worker; to cancel the future is to forget the call.

        Its exception is that of the function, or a UserError if the workers or the scheduler ended.
        """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many calls the workers make at a time, all together."""

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether the scheduler has not gone since."""

    def each(
        self,
        function: Callable[..., Any],
        calls: Iterable[Sequence[Any]],
        name: Callable[..., str] | None = None,
    ) -> Iterator[Any]:
        """What a function returns for every call, in the order in which they end.

        Calls are drawn a few ahead of the workers, so memory does not grow with their number. `name` of a
        call says which one it was that ended its workers.
        """
        more, going = iter(calls), dict[Future[Any], Sequence[Any]]()
        told = False
        try:
            while True:
                slots = self.slots
                if not slots and not told:
                    log.warning("%s at %s has no workers yet; waiting for some", self.name, self.address)
                told = not slots
                room = max(AHEAD, 2 * slots) - len(going)
                going |= {self.submit(function, *call): call for call in islice(more, max(0, room))}
                if not going:
                    return
                for future in wait(going, POLL, FIRST_COMPLETED).done:
                    call = going.pop(future)
                    try:
                        found = future.result()
                    except WorkersEnded as error:
                        raise UserError(f"{name(*call)}: {error}" if name else str(error)) from None
                    yield found
        finally:
            for future in going:
                future.cancel()

    def _ended(self) -> WorkersEnded:
        return WorkersEnded(
            f"--backend {self.name}: {ATTEMPTS} workers ended while they made the same call; what they said "
            "is in their logs. Without --backend an episode that ends its process is named; what was "
            "played is kept"
        )

    def _gone(self) -> UserError:
        return UserError(
            f"--backend {self.name}: the scheduler at {self.address} has gone; what was played is kept, so "
            "start one and give the command again"
        )


class Dask(Cluster):
    """The workers of a `dask scheduler`, however they were started."""

    def __init__(self, address: str) -> None:
        from distributed import Client

        super().__init__("dask", address)
        where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
        try:
            self.client = Client(**where, timeout=ANSWER, set_as_default=False)
        except (OSError, ValueError) as error:
            raise _unreachable("dask", address, error) from None

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        from distributed import KilledWorker

        ours = Future[Any]()
        theirs = self.client.submit(_call, *_packed(function, arguments), pure=False)

        def settle(_: Any) -> None:
            if not ours.set_running_or_notify_cancel():
                return
            try:
                ours.set_result(theirs.result())
            except KilledWorker:
                ours.set_exception(self._ended())
            except CancelledError:
                ours.set_exception(self._gone())
            except Exception as error:
                ours.set_exception(error)

        theirs.add_done_callback(settle)
        ours.add_done_callback(lambda future: theirs.cancel() if future.cancelled() else None)
        return ours

    @property
    def slots(self) -> int:
        with suppress(OSError):  # the scheduler has just gone, which the futures tell
            return sum(self.client.nthreads().values()) if self.connected else 0
        return 0

    @property
    def connected(self) -> bool:
        return self.client.status == "running"


class Ray(Cluster):
    """The workers of a Ray cluster that this machine belongs to, or of one that a Ray client reaches."""

    def __init__(self, address: str) -> None:
        import ray

        super().__init__("ray", address)
        host, _, port = address.removeprefix("ray://").rpartition(":")
        try:  # Ray itself tries for minutes, and then ends the process
            socket.create_connection((host, int(port)), ANSWER).close()
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise _unreachable("ray", address, error) from None
        self.ray = ray
        self.call = ray.remote(_call).options(max_retries=ATTEMPTS - 1)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        ours = Future[Any]()
        asked = self.call.remote(*_packed(function, arguments))

        def settle(theirs: Future[Any]) -> None:
            if not ours.set_running_or_notify_cancel():
                return
            error = theirs.exception()
            if error is None:
                ours.set_result(theirs.result())
            elif isinstance(error, self.ray.exceptions.WorkerCrashedError):
                ours.set_exception(self._ended())
            elif isinstance(error, self.ray.exceptions.RayTaskError):
                ours.set_exception(error.cause)
            else:
                ours.set_exception(self._gone())

        asked.future().add_done_callback(settle)
        ours.add_done_callback(lambda future: self.ray.cancel(asked) if future.cancelled() else None)
        return ours

    @property
    def slots(self) -> int:
        return int(self.ray.cluster_resources().get("CPU", 0))

    @property
    def connected(self) -> bool:
        return bool(self.ray.is_initialized())


def check(backend: str | None, address: str | None) -> None:
    """UserError unless the options name a cluster, or none."""
    if backend is None and address is not None:
        raise UserError(f"--address {address}: of what? add --backend dask, or ray")
    if backend is not None and backend not in PACKAGES:
        raise UserError(
            f"--backend {backend}: there are dask and ray; without it this machine's processes play"
        )
    if backend is not None and not address:
        raise UserError(f"--backend {backend} needs --address HOST:PORT, that of its scheduler")


def connect(backend: str | None, address: str | None) -> Cluster:
    """The workers of the scheduler at an address. UserError if its package is missing, or nobody answers."""
    check(backend, address)
    assert backend is not None
    assert address is not None
    before = _clusters.get((backend, address))
    if before is not None and before.connected:
        return before
    if find_spec(PACKAGES[backend]) is None:
        raise UserError(
            f"--backend {backend}: the package {PACKAGES[backend]} is not installed; "
            f"pip install 'smac-landscape[{backend}]'"
        )
    cluster = _clusters[backend, address] = Dask(address) if backend == "dask" else Ray(address)
    return cluster


_clusters: dict[tuple[str, str], Cluster] = {}  # to which this process is connected


def forgotten() -> bool:
    """In a call that a worker makes: whether nobody waits for it any more. Ray itself ends such workers."""
    if "distributed.worker" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # no worker: the call is made here
        return False
    task = worker.state.tasks.get(worker.get_current_task())
    return task is None or task.state == "cancelled"


def _unreachable(name: str, address: str, error: Exception) -> UserError:
    return UserError(
        f"--backend {name}: no scheduler answers at {address} ({' '.join(str(error).split())}); "
        f"is it running, and is the address HOST:PORT?"
    )


# ---- what travels ------------------------------------------------------------------------------------------


def _packed(
    function: Callable[..., Any], arguments: Sequence[Any]
) -> tuple[list[str], tuple[str, ...], bytes]:
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return path, stated_modules(), cloudpickle.dumps((function, arguments))


def _call(path: Sequence[str], modules: Sequence[str], packed: bytes) -> Any:
    """Call a function on a worker, which imports what the caller could."""
    sys.path += [entry for entry in path if entry not in sys.path and Path(entry).exists()]
    register_env_module(*modules)
    function, arguments = cloudpickle.loads(packed)
    return function(*arguments)
