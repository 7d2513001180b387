"""Environments to which something happens in one episode; imported by the processes that play them."""

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np


class Disturbed(gymnasium.Env):
    """A random walk whose reward is the action; at the second step of episode `at`, `what` happens."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, what: str = "nothing", at: int = -1, once: str | None = None) -> None:
        self.what, self.at = what, at
        self.once = None if once is None else Path(once)  # a file that is there when it has happened

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed, self.steps = seed, 0
        if self.due("reset"):
            raise ValueError("no beginning")
        return self.observation(), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 2:
            self.happen()
        wide = self.steps == 2 and self.due("shape")
        observation = np.zeros(3, np.float32) if wide else self.observation()
        return observation, float(action[0]) + self.np_random.random(), False, False, {}

    def observation(self):
        return self.np_random.normal(size=2).astype(np.float32)

    def due(self, what: str) -> bool:
        if self.what != what or self.seed != self.at or (self.once and self.once.exists()):
            return False
        if self.once:
            self.once.touch()
        return True

    def happen(self) -> None:
        if self.due("abort"):
            faulthandler.disable()  # pytest's, which would tell at length
            os.abort()
        if self.due("exit"):
            os._exit(3)
        if self.due("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.due("sys.exit"):
            sys.exit("enough")
        if self.due("hang"):
            while True:
                time.sleep(0.1)
        if self.due("raise"):
            raise ValueError("the simulator gave up")


gymnasium.register("Disturbed-v0", Disturbed)
