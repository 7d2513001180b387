"""The commands of a matrix's cells, understood before any of them is run."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TypeVar

from analysis_cli.everywhere import split_shared
from analysis_cli.reading import read
from analysis_cli.train import Finetune, Pretrain
from smac.agents import ONLINE, default_config
from smac.agents.base import AgentConfig
from smac.errors import UserError
from smac.tasks import get_task
from smac.training.jobs import continued

T = TypeVar("T")


def split(option: str, text: str) -> list[str]:
    """The words of an option that holds options."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{option} {text!r} cannot be split into words: {str(error).lower()}") from None


def pretraining(words: Sequence[str]) -> Pretrain:
    """What the words after `smac pretrain` say; UserError if they say nothing."""
    return _parse("pretrain", Pretrain, words, Pretrain.prefilled(words))


def finetuning(words: Sequence[str], algorithm: str, task: str, offline: AgentConfig) -> Finetune:
    """What the words after `smac finetune` say, for a checkpoint that is yet to be trained with `offline`."""
    agent = continued(offline, default_config(algorithm, get_task(task), ONLINE))
    return _parse("finetune", Finetune, words, Finetune(start=Path(), agent=agent))


def _parse(verb: str, kind: type[T], words: Sequence[str], default: T) -> T:
    told = io.StringIO()
    try:
        with redirect_stdout(told), redirect_stderr(told):
            return read(kind, split_shared(words, json=False, dry_run=False)[1], f"smac {verb}", default)
    except SystemExit:
        raise UserError(f"--{verb}, or --only: {_heart(told.getvalue())}") from None


def _heart(told: str) -> str:
    """What a box of tyro's says below its title, in one line."""
    parts = re.split(r"[-─]{5,}", told)
    return " ".join(parts[min(1, len(parts) - 1)].split()).strip("│╭╮╰╯ ")
