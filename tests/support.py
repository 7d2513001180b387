"""Small real things that several tests build on."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

import torch

from smac.agents import AGENTS, agent_class
from smac.agents.base import Agent
from smac.checkpoint import Description
from smac.envs import env_spec
from smac.tasks import get_task
from smac.testing import ACTION as ACT
from smac.testing import OBSERVATION as OBS
from smac.testing import random_batch as random_batch
from smac.testing import random_transitions as toy_transitions  # noqa: F401
from smac.training.recorder import describe

SMALL = {"hidden": (16, 16), "batch_size": 8}
SMALLER = {"cql": {"cql_actions": 3}, "cal_ql": {"cql_actions": 3}, "smac": {"diffusion_hidden": (16,)}}


def toy_agent(algorithm: str, seeds: list[int], **options: object) -> Agent:
    """An agent with small networks for `random_batch`."""
    kind = AGENTS[algorithm]
    return kind(kind.Config(**SMALL | SMALLER.get(algorithm, {}) | options), OBS, ACT, seeds)


def small_agent(task: str = "pointmaze-umaze", algorithm: str = "sac", seed: int = 0, **config: object):
    """An untrained agent of a real task with small networks, and the description its checkpoint would
    carry."""
    dims, kind = env_spec(get_task(task)), agent_class(algorithm)
    options = {"hidden": (16, 16)} | config
    agent = kind(kind.Config(**options), dims.observation_dim, dims.action_dim, [seed])
    return agent, describe(agent, get_task(task), "offline", step=0, k=0)


def described(description: Description, **changes: object) -> Description:
    return Description(**{**vars(description), **changes})


def assert_same_tensors(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert torch.equal(a[name], b[name]), name


def run(program: ModuleType, line: str, *paths: object) -> int:
    """The exit status of a command line, in this process."""
    return run_words(program, [*line.split(), *map(str, paths)])


def run_words(program: ModuleType, words: Sequence[str]) -> int:
    """The exit status of a command, in this process."""
    sys.argv = [program.__name__.split(".")[-1], *words]
    try:
        program.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def forked(
    program: ModuleType, words: Sequence[str], *, before: Callable[[], object] | None = None
) -> BaseProcess:
    """A command in a process of its own, to be killed, which begins with what this one has imported.

    It leads a process group, so that what it starts can be killed with it. `before` is called in it first.
    """

    def work() -> None:
        os.setpgid(0, 0)
        if before is not None:
            before()
        sys.exit(run_words(program, words))

    process = get_context("fork").Process(target=work)
    process.start()
    return process


class Here:
    """Runs the commands of `analysis_cli.processes.Children` in this process, one after the other: for tests
    of what the commands do, as processes of their own take seconds each to start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def run(
        self, words: Sequence[str], directory: Path | None = None, watch: Callable[..., None] | None = None
    ) -> None:
        program, *rest = words
        with self._lock:
            assert run_words(import_module(f"analysis_cli.{program}"), rest) == 0, words

    def stop(self) -> None:
        """Nothing goes on in the background."""
