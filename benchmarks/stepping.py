"""Steps of a simulator: Gymnasium's own, direct ones, and MuJoCo alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from mujoco import rollout

from benchmarks.landscape import EPISODES, POINTS, policies, raw_environment
from benchmarks.tables import Options, Table, times
from benchmarks.timing import Contestant, medians, spread, turns
from smac.envs import make_env
from smac.envs.direct import direct
from smac.policies import flat, stack_actor
from smac.rollout import LockStep, episode_seeds
from smac.tasks import Task, get_task

TASKS = ("hopper", "walker2d", "halfcheetah@horizon=200", "pointmaze-umaze@horizon=100")
STEPS, TOGETHER = 50, POINTS * EPISODES
ALONE = ("gymnasium", "direct", "mj_step", "mujoco.rollout")
THREADS = "mujoco.rollout, two threads"


def alone(task: Task) -> dict[str, tuple[Callable[[], Any], int]]:
    """One environment on random actions, its reset included; calls, and the steps of each."""
    ours, theirs = make_env(task), raw_environment(task)
    stepper = direct(ours)
    assert stepper is not None
    model, data, dim = stepper.model, mujoco.MjData(stepper.model), len(stepper.ctrl)
    actions = np.random.default_rng(0).uniform(-0.3, 0.3, (STEPS, dim)).astype(np.float32)
    ours.reset(seed=0)
    whole = mujoco.mjtState.mjSTATE_FULLPHYSICS
    start = np.empty(mujoco.mj_stateSize(model, whole))
    mujoco.mj_getState(model, stepper.data, start, whole)
    pools = {threads: rollout.Rollout(nthread=threads) for threads in (0, 2)}  # 0: this thread alone

    def through(reset: Callable[[], object], step: Callable[[np.ndarray], Any]) -> Callable[[], None]:
        def run() -> None:
            reset()
            for action in actions:
                step(action)

        return run

    def begin() -> None:
        ours.reset(seed=0)
        stepper.begin()

    def physics(action: np.ndarray) -> None:
        data.ctrl[:] = action
        mujoco.mj_step(model, data, nstep=stepper.skip)

    def together(threads: int = 0) -> None:
        pool, used = pools[threads], [mujoco.MjData(model) for _ in range(threads)] or data
        states, warm = np.repeat(start[None], TOGETHER, 0), np.zeros((TOGETHER, model.nv))
        for action in actions:
            control = np.broadcast_to(action, (TOGETHER, stepper.skip, dim)).astype(float)
            states = pool.rollout(model, used, states, control, initial_warmstart=warm)[0][:, -1].copy()

    return {
        "gymnasium": (through(lambda: theirs.reset(seed=0), theirs.step), STEPS),
        "direct": (through(begin, stepper.step), STEPS),
        "mj_step": (through(lambda: mujoco.mj_setState(model, data, start, whole), physics), STEPS),
        "mujoco.rollout": (together, STEPS * TOGETHER),
        THREADS: (lambda: together(2), STEPS * TOGETHER),
    }


def whole(task: Task) -> dict[str, Callable[[], Any]]:
    """All episodes of a stack of policies, with Gymnasium's steps and with direct ones."""
    spec, points = policies(task, 64)
    actor, seeds = flat(stack_actor(spec, points), spec), episode_seeds(0, EPISODES)
    ours, theirs = (LockStep(lambda: make_env(task), task.horizon) for _ in range(2))
    for one in (ours, theirs):
        one.build(TOGETHER)
    theirs.steppers.clear()
    return {
        name: lambda one=one: one.play(actor, POINTS, seeds)
        for name, one in (("direct", ours), ("gymnasium", theirs))
    }


def run(options: Options) -> Table:
    rows, gains, quick = [], [], []
    for name in TASKS:
        task = get_task(name)
        calls = alone(task)
        contestants = {who: Contestant(c) for who, (c, _) in calls.items()}
        threads = {"mujoco.rollout": contestants["mujoco.rollout"], THREADS: contestants.pop(THREADS)}
        found = turns(contestants, options.repeats, time.process_time, options.seconds)
        threaded = turns(threads, options.repeats, time.perf_counter, options.seconds)
        quicker = spread([turn["mujoco.rollout"] / turn[THREADS] for turn in threaded])
        step = {who: 1e6 * t / calls[who][1] for who, t in medians(found).items()}
        jobs = {who: Contestant(call) for who, call in whole(task).items()}
        played = turns(jobs, options.repeats, time.process_time, options.seconds)
        gain = spread([turn["gymnasium"] / turn["direct"] for turn in played])
        gains.append(gain["median"])
        quick.append(quicker["median"])
        rows.append(
            (
                name,
                times(gain),
                *(f"{step[who] / step['gymnasium']:.2f}" for who in ALONE[1:]),
                f"{step['gymnasium']:.1f}",
                times(quicker),
            )
        )
        print(rows[-1], flush=True)
    return Table(
        "Stepping a simulator: Gymnasium's own steps, direct ones, and MuJoCo alone",
        f"First the whole job, {POINTS} policies of width 64 with {EPISODES} episodes each, forward pass "
        "and resets and all: its processor time with Gymnasium's steps over that with `smac.envs.direct`, "
        f"medians of {options.repeats} turns (range). Then steps alone, over one of Gymnasium's without our "
        "wrappers: direct (with what our wrappers do), `mj_step` of a frame, and `mujoco.rollout` of "
        f"{TOGETHER} states by one frame, as a policy in the loop wants it. Last, by the wall clock, how "
        "many times as fast `mujoco.rollout` is with two threads: of the physics alone, where two processes "
        "share out all of the job ([workers](workers.md)).",
        (
            "task", "whole job: Gymnasium / direct", "direct", "`mj_step`", "`mujoco.rollout`",
            "Gymnasium, µs", "two threads of `mujoco.rollout`",
        ),
        rows,
        f"Direct steps make whole jobs {min(gains):.2f} to {max(gains):.2f} times as fast, with the same "
        "bytes; `mujoco.rollout` has nothing over `mj_step` on one thread, and two of its threads make the "
        f"physics {min(quick):.2f} to {max(quick):.2f} times as fast.",
    )  # fmt: skip
