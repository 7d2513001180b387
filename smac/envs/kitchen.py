"""The wrappers for Franka Kitchen: its four reward conventions, and completion flags to observe."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs

from smac.errors import UserError
from smac.tasks.kitchen import step_reward


class KitchenReward(gymnasium.Wrapper, RecordConstructorArgs):
    """One of the reward conventions of `smac.tasks.kitchen`, and the ending that goes with it.

    The policy sees the 59-D entry `observation` alone: `desired_goal` never changes, and `achieved_goal`
    repeats positions of `observation` without their noise, so they would add nothing but a way around it.
    What 59 numbers do not tell is which sub-tasks were solved and then undone, on which all rewards but
    `satisfied` depend; `CompletionFlags` adds that.

    `info` tells apart what others call success: `solved`, how many sub-tasks have been solved so far in this
    episode (over all, it is the score); `satisfied`, how many are at this moment; `success`, whether all have
    been solved. Its lists are copies in an order that does not depend on the process: the environment hands
    out the list it goes on changing and empties at reset, and orders sub-tasks by hash.

    Args:
        env: FrankaKitchen with neither removal of completed tasks nor termination.
        reward: name of the convention.
    """

    def __init__(self, env: gymnasium.Env, reward: str):
        RecordConstructorArgs.__init__(self, reward=reward)
        gymnasium.Wrapper.__init__(self, env)
        kitchen: Any = env.unwrapped
        if kitchen.remove_task_when_completed or kitchen.terminate_on_tasks_completed:
            raise UserError(
                "the option reward decides what completing a sub-task does: leave out "
                "env.remove_task_when_completed and env.terminate_on_tasks_completed"
            )
        self.reward = reward
        self.subtasks = tuple(kitchen.goal)
        self.completed: tuple[str, ...] = ()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, _ = self.env.reset(seed=seed, options=options)
        self.completed = ()
        return observation, self._info(())

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, _, _, truncated, info = self.env.step(action)
        satisfied = tuple(task for task in self.subtasks if task in info["step_task_completions"])
        before = len(self.completed)
        self.completed += tuple(task for task in satisfied if task not in self.completed)
        info = self._info(satisfied)
        reward = step_reward(
            self.reward,
            now=info["satisfied"],
            before=before,
            solved=info["solved"],
            total=len(self.subtasks),
        )
        terminated = info["success"] and self.reward != "satisfied"
        return observation, float(reward), terminated, bool(truncated) and not terminated, info

    def _info(self, satisfied: tuple[str, ...]) -> dict[str, Any]:
        return {
            "tasks_to_complete": [task for task in self.subtasks if task not in self.completed],
            "step_task_completions": list(satisfied),
            "episode_task_completions": list(self.completed),
            "satisfied": len(satisfied),
            "solved": len(self.completed),
            "success": len(self.completed) == len(self.subtasks),
        }


class CompletionFlags(gymnasium.Wrapper, RecordConstructorArgs):
    """Appends one number per sub-task to the observation: 1 once it has been solved in this episode, else 0.

    With them the rewards that count what was solved so far are functions of the observation. Goes around
    `KitchenReward`.
    """

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self.subtasks = tuple(env.unwrapped.goal)  # type: ignore[attr-defined]
        assert env.observation_space.shape is not None
        dim = env.observation_space.shape[0] + len(self.subtasks)
        self.observation_space = Box(-np.inf, np.inf, (dim,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._with_flags(observation, info), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._with_flags(observation, info), reward, terminated, truncated, info

    def _with_flags(self, observation: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        flags = [task in info["episode_task_completions"] for task in self.subtasks]
        return np.concatenate([observation, np.array(flags, dtype=np.float32)])
