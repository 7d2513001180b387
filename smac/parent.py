"""For a process that another one started: to end when that one has ended, however it did."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

POLL = 0.5  # seconds between two looks
PR_SET_PDEATHSIG = 1  # of prctl(2)


def end_with(parent: int, *, of_thread: bool = True) -> None:
    """Let this process end once its parent has, however that ended; what it wrote is as after a kill.

    Linux does it at once, before the same command can be given again, but also when the thread that started
    this process ends; elsewhere, and without `of_thread`, it takes half a second.
    """
    if of_thread and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
