"""Every number of every configuration has its range."""

import math
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest

from smac.agents import AGENTS
from smac.errors import UserError
from smac.training.jobs import seed_range
from smac.training.offline import OfflineOptions
from smac.training.online import FinetuneOptions, OnlineOptions

CONFIGS = {name: kind.Config for name, kind in AGENTS.items()} | {
    kind.__name__: kind for kind in (OfflineOptions, OnlineOptions, FinetuneOptions)
}
MAY_BE_NEGATIVE = {"reward_bias", "target_entropy", "cql_gap"}


def numbers(config: type) -> list[tuple[str, type]]:
    """Fields that are numbers, also if they may be something else, and their kind."""
    hints = get_type_hints(config)
    kinds = {f.name: {hints[f.name], *get_args(hints[f.name])} for f in fields(config)}
    kinds = {name: kind for name, kind in kinds.items() if Ellipsis not in kind}
    return [(name, float if float in kind else int) for name, kind in kinds.items() if {float, int} & kind]


@pytest.mark.parametrize("name", CONFIGS)
def test_no_number_is_negative_or_none_at_all(name):
    config = CONFIGS[name]
    found = numbers(config)
    assert len(found) >= 5
    for field, kind in found:
        wrong = [] if field in MAY_BE_NEGATIVE else [kind(-1)]
        for value in [*wrong, *([math.nan, math.inf] if kind is float else [])]:
            with pytest.raises(UserError, match=f"--{field.replace('_', '-')}"):
                config(**{field: value})


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("smac", {"diffusion_steps": 0}),
        ("smac", {"diffusion_hidden": (16, 0)}),
        ("smac", {"diffusion_ema": 1.0}),
        ("smac", {"outcome_dropout": 1.5}),
        ("smac", {"outcome_quantile": 1.5}),
        ("td3", {"target_rate": 1.5}),
        ("sac", {"target_rate": 0.0}),
        ("iql", {"advantage_clip": 0.0}),
        ("bc", {"hidden": (), "optimiser": "muon"}),
        ("bc", {"hidden": (8,), "optimiser": "muon"}),
    ],
)
def test_what_makes_no_sense_is_refused(algorithm, options):
    with pytest.raises(UserError, match=f"--{next(iter(options)).replace('_', '-')}"):
        AGENTS[algorithm].Config(**options)


def test_seeds_are_counted_from_zero():
    assert list(seed_range(0, 2)) == [0, 1]
    with pytest.raises(UserError, match="--seed must be at least 0, got -1"):
        seed_range(-1, 2)
