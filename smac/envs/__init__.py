"""The environments of tasks: `make_env` builds one, the wrappers say what a task changes about it."""

from smac.envs.adroit import CorrectedReward
from smac.envs.determinism import Repetition, notice_of, repetition_of
from smac.envs.kitchen import CompletionFlags, KitchenReward
from smac.envs.make import (
    EnvDims,
    EnvFacts,
    check_mujoco,
    describe_env,
    env_spec,
    make_env,
    reports_success,
    tells_success,
)
from smac.envs.wrappers import FlatObservation, OwnReward, ScaledAction, SuccessReward

__all__ = [
    "CompletionFlags",
    "CorrectedReward",
    "EnvDims",
    "EnvFacts",
    "FlatObservation",
    "KitchenReward",
    "OwnReward",
    "Repetition",
    "ScaledAction",
    "SuccessReward",
    "check_mujoco",
    "describe_env",
    "env_spec",
    "make_env",
    "notice_of",
    "repetition_of",
    "reports_success",
    "tells_success",
]
