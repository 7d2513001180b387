"""What is saved of an object that trains, what is left out, and what is refused."""

import random
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from smac.errors import UserError
from smac.streams import Streams
from smac.training.state import restore, state_of
from smac.trees import read_tree, write_tree


@dataclass(frozen=True)
class Settings:
    rate: float = 0.1


class Learner:
    """One of everything; `step` changes all that can change."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.twister = np.random.Generator(np.random.MT19937(0))
        self.generator = torch.Generator().manual_seed(0)
        self.streams = {"noise": Streams([0, 1], "noise")}
        self.nets = {"a": nn.Linear(2, 2), "b": nn.Linear(2, 1)}
        self.optimisers = {n: torch.optim.Adam(x.parameters(), 0.1) for n, x in self.nets.items()}
        self.ring = [torch.zeros(2), torch.zeros(3)]
        self.recent: deque[float] = deque(maxlen=2)
        self.growing: list[torch.Tensor] = []
        self.pair = (torch.zeros(2), 1.0, "name")
        self.table = np.zeros(3)
        self.best: float | None = None
        self.seen: set[int] = set()
        self.words = ["begin"]
        self.text, self.path, self.settings = "configured", Path("x"), Settings()
        self.device, self.dtype, self.draw, self.kind = torch.device("cpu"), torch.float32, np.mean, Settings

    def step(self) -> float:
        number = float(self.rng.normal() + self.twister.normal() + torch.randn(1, generator=self.generator))
        number += float(self.streams["noise"].normal(1).sum())
        for name, net in self.nets.items():
            self.optimisers[name].zero_grad()
            net(torch.full((1, 2), number)).sum().backward()
            self.optimisers[name].step()
            number += float(net.weight.detach().sum())
        self.ring[0] += number
        self.ring[1] = self.ring[1] + 2 * number
        self.recent.append(number)
        self.growing.append(torch.full((len(self.growing) + 1,), number))
        self.pair = (self.pair[0] + number, number, "name")
        self.table += number
        self.best = number if self.best is None else max(self.best, number)
        self.seen.add(round(number))
        self.words.append(f"{number}")
        return number + float(self.ring[1].sum()) + float(self.table.sum()) + self.best + len(self.seen)


def test_everything_that_changes_goes_on_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    learner = Learner()
    for _ in range(3):
        learner.step()
    path = write_tree(tmp_path / "state.safetensors", state_of(learner))
    twin = Learner()
    restore(twin, read_tree(path))
    for _ in range(3):
        assert twin.step() == learner.step()
    assert twin.words == learner.words
    assert (twin.recent, twin.recent.maxlen, twin.seen) == (learner.recent, 2, learner.seen)
    assert [x.tolist() for x in twin.growing] == [x.tolist() for x in learner.growing]
    assert twin.pair[1:] == learner.pair[1:]
    assert isinstance(twin.pair, tuple)


def test_configuration_is_no_state():
    assert not state_of(Learner()).keys() & {"text", "path", "settings", "device", "dtype", "draw", "kind"}


class Unknown:
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Unknown(), r"Thing.value is of type .*Unknown, whose state cannot be saved"),
        (random.Random(0), r"Thing.value is of type random.Random"),
        ([0, {"a": Unknown()}], r"Thing.value\[1\]\['a'\] is of type .*Unknown"),
        ({(1, 2): 0.0}, r"Thing.value: the key \(1, 2\) cannot be saved"),
        (np.array([None]), r"Thing.value: an array of object cannot be saved"),
        (iter([1]), r"Thing.value is of type builtins.list_iterator"),
    ],
)
def test_what_cannot_be_saved_is_refused_by_name(value, message):
    thing = type("Thing", (), {})()
    thing.value = value
    with pytest.raises(UserError, match=message):
        state_of(thing)


def test_a_module_that_is_not_there_yet_is_refused_on_the_way_back():
    learner, twin = Learner(), Learner()
    del twin.nets["b"]
    with pytest.raises(UserError, match=r"Learner.nets\['b'\]: was saved, but is not there"):
        restore(twin, state_of(learner))
