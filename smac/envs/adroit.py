"""The wrapper for Adroit's dense rewards."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from smac.envs.wrappers import own_copy
from smac.tasks.adroit import reach


class CorrectedReward(gymnasium.Wrapper, RecordConstructorArgs):
    """The dense reward with the sign that D4RL and mj_envs have: the palm's distance costs 0.1 a unit.

    gymnasium-robotics 1.2.1 to 1.4.2 add 0.1 times that distance. For `smac.tasks.adroit.WRONG_SIGN`, with
    their own observations. Episodes never terminate; `info` is a copy with `success` as a bool.
    """

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        assert env.spec is not None
        self.env_id = env.spec.id

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, own_copy(info) | {"success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, reward, _, truncated, info = self.env.step(action)
        corrected = float(reward) - 0.2 * float(reach(self.env_id, np.asarray(observation)))
        info = own_copy(info) | {"success": bool(info["success"])}
        return observation, corrected, False, bool(truncated), info
