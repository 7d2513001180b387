"""What a critic says of every point of a landscape: does it see the valley that the returns show?

Every field is a number of a policy pi on a fixed `Probe` of transitions (s, a, r, s'), so it costs matrix
products and no episode. With the members Q_i of a critic ensemble and their targets Q'_i, averaged over the
probe:

* `q`: min_i Q_i(s, pi(s)) at the mean action pi(s);
* `actor_loss`: alpha log pi(b|s) - min_i Q_i(s, b) at sampled actions b, as in SAC; minus `q` for a
  deterministic policy;
* `critic_loss`: (Q_i(s, a) - r - gamma mask min_j Q'_j(s', b'))^2, averaged over i too, b' an action of pi;
* `policy_shift`: (pi(s) - pi_0(s))^2, averaged over action dimensions too, and its root; pi_0 is the first
  checkpoint.

Sampled actions come from noise that all points share. alpha is the temperature of the critics' checkpoint, 0
if it has none; the target subtracts alpha log pi(b'|s') if that agent does (`backup_entropy`). The minimum is
over all members, whatever subset or mean an agent trains with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from landscape.evaluate import POINTS_PER_STACK, Evaluation, Point
from landscape.probe import EPISODES, Probe, probe_of_dataset, probe_of_policy
from smac.agents import agent_class, config_of
from smac.agents.base import ActorCritic, bellman_target
from smac.checkpoint import load_checkpoint
from smac.errors import UserError
from smac.nets import Actor, TanhGaussianActor
from smac.policies import ActorSpec, PolicyCheckpoint, stack_actor
from smac.rollout import episode_seeds
from smac.streams import derive_seed
from smac.tasks import Task

Field = Literal["q", "actor_loss", "critic_loss", "policy_shift"]
OF_CRITIC: tuple[Field, ...] = ("q", "actor_loss", "critic_loss")


@dataclass(frozen=True)
class FieldOptions:
    """What the critic says at every point, without episodes."""

    fields: tuple[Field, ...] = ()
    """Quantities to measure at every point in addition to the return, without episodes: the critic's Q value
    of the policy's actions (q), the actor's loss, the critic's loss, the change of the mean actions
    (policy_shift)."""
    critic: Literal["from", "to"] = "from"
    """Checkpoint whose critic is used."""
    probe_data: str | None = None
    """Dataset on whose transitions they are measured; default: a few episodes of the first checkpoint."""
    data_root: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""


NO_FIELDS = FieldOptions()


class Judge:
    """The critics of a checkpoint, with the temperature and the discount that go with them."""

    def __init__(self, policy: PolicyCheckpoint, name: str) -> None:
        self.agent = load_critics(policy, name)
        config = self.agent.config
        self.discount = config.discount
        learned = self.agent.numbers().get("log_alpha")
        self.alpha = 0.0 if learned is None else float(learned.detach().exp())
        self.entropy_in_target = bool(getattr(config, "backup_entropy", False))

    def value(self, observations: Tensor, actions: Tensor) -> Tensor:
        """min_i Q_i(s, a), [n]."""
        return self.agent.critic(observations[None], actions[None])[0].amin(0)

    def bellman_error(self, probe: Probe, next_actions: Tensor, log_probs: Tensor) -> Tensor:
        """(Q_i(s, a) - target)^2, [members, n]."""
        next_values = self.agent.target(probe.next_observations[None], next_actions[None])[0].amin(0)
        alpha = self.alpha if self.entropy_in_target else 0.0
        target = bellman_target(probe.rewards, probe.masks, next_values, log_probs, alpha, self.discount)
        return (self.agent.critic(probe.observations[None], probe.actions[None])[0] - target) ** 2


def load_critics(policy: PolicyCheckpoint, name: str) -> ActorCritic:
    """The agent of a checkpoint, for its critics. UserError where it has none."""
    lacks = UserError(f"{policy.path}: {name} has no critic, which --fields {' '.join(OF_CRITIC)} ask")
    try:
        checkpoint = load_checkpoint(policy.path)
    except UserError:
        raise lacks from None
    about = checkpoint.description
    kind = agent_class(about.algorithm)
    if not issubclass(kind, ActorCritic) or not any(n.startswith("critic.") for n in checkpoint.tensors):
        raise lacks
    agent = kind(config_of(about), about.observation_dim, about.action_dim, [about.seed])
    agent.load_tensors([checkpoint.tensors])
    return agent


Sampled = tuple[Tensor, Tensor]  # actions [n, action] and their log-densities [n]


@dataclass(frozen=True)
class _Acts:
    """What one policy does on the probe."""

    means: Tensor  # [n, action]
    now: Sampled
    then: Sampled  # in the next states


class Meter:
    """Measures fields of policies on a probe; the numbers of a point depend on no other point."""

    def __init__(
        self,
        fields: Sequence[Field],
        spec: ActorSpec,
        probe: Probe,
        *,
        judge: Judge | None,
        reference: Point,
        seed: int,
    ) -> None:
        """`judge` may be missing for fields that need no critic; `reference` has the parameters of pi_0."""
        self.fields, self.spec, self.probe, self.judge = tuple(fields), spec, probe, judge
        shape = (len(probe), spec.action_dim)
        self.noise, self.next_noise = (_noise(seed, when, shape) for when in ("now", "next"))
        with torch.no_grad():
            self.reference = next(self._acts([reference])).means

    def measure(self, points: Iterable[Point], count: int) -> dict[str, np.ndarray]:
        """Every field at `count` points, [count]; the points are drawn a stack at a time."""
        values: dict[str, np.ndarray] = {name: np.full(count, np.nan) for name in self.fields}
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums of more threads have other last bits
        try:
            with torch.no_grad():
                for k, acts in enumerate(self._of_all(points)):
                    for name, value in values.items():
                        value[k] = _FIELDS[name](self, acts).item()
        finally:
            torch.set_num_threads(threads)
        return values

    def _of_all(self, points: Iterable[Point]) -> Iterator[_Acts]:
        remaining = iter(points)
        while stack := list(islice(remaining, POINTS_PER_STACK)):
            yield from self._acts(stack)

    def _acts(self, points: Sequence[Point]) -> Iterator[_Acts]:
        """What up to POINTS_PER_STACK policies do.

        The stack always has that many, padded if need be, and critics see one policy at a time: so the shapes
        of all products, and with them the last bits, are the same however the points were cut.
        """
        actor = stack_actor(self.spec, [*points, *[points[-1]] * (POINTS_PER_STACK - len(points))])
        states, following = (
            x.expand(POINTS_PER_STACK, *x.shape)
            for x in (self.probe.observations, self.probe.next_observations)
        )
        means = actor.act(states)
        unasked = means, torch.zeros(means.shape[:-1])
        now = _sample(actor, states, self.noise) if "actor_loss" in self.fields else unasked
        then = _sample(actor, following, self.next_noise) if "critic_loss" in self.fields else unasked
        for k in range(len(points)):
            yield _Acts(means[k], (now[0][k], now[1][k]), (then[0][k], then[1][k]))

    # ---- the fields ---------------------------------------------------------------------------------------

    def q(self, acts: _Acts) -> Tensor:
        return self._critics.value(self.probe.observations, acts.means).double().mean()

    def actor_loss(self, acts: _Acts) -> Tensor:
        judge = self._critics
        actions, log_probs = acts.now
        values = judge.value(self.probe.observations, actions)
        return (judge.alpha * log_probs - values).double().mean()

    def critic_loss(self, acts: _Acts) -> Tensor:
        return self._critics.bellman_error(self.probe, *acts.then).double().mean()

    def policy_shift(self, acts: _Acts) -> Tensor:
        return (acts.means - self.reference).double().square().mean().sqrt()

    @property
    def _critics(self) -> Judge:
        assert self.judge is not None, "fields of a critic are measured with one"
        return self.judge


_FIELDS: Mapping[str, Callable[[Meter, _Acts], Tensor]] = {
    "q": Meter.q,
    "actor_loss": Meter.actor_loss,
    "critic_loss": Meter.critic_loss,
    "policy_shift": Meter.policy_shift,
}


def _noise(seed: int, when: str, shape: tuple[int, int]) -> Tensor:
    """Standard normal noise that is the same at every point."""
    rng = np.random.default_rng(derive_seed(seed, "fields", when))
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _sample(actor: Actor, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions [points, n, action] at the noise, log-densities [points, n]; mean actions if deterministic."""
    if isinstance(actor, TanhGaussianActor):
        return actor.sample(observations, noise)
    actions = actor.act(observations)
    return actions, torch.zeros(actions.shape[:-1])


@dataclass(frozen=True)
class Measured:
    """Fields of the points of a study, and what they were measured with."""

    fields: dict[str, np.ndarray]
    """[points] by name."""
    probe: str | None = None
    critic: str | None = None
    """The name of its checkpoint."""

    def to_json(self, returns: np.ndarray) -> dict[str, Any]:
        """What is stored with the fields; `returns` are the mean returns of the points, [points]."""
        about = {"transitions": self.probe, "critic": self.critic}
        seen = agreement(self.fields["q"], returns) if "q" in self.fields else None
        return {"probe": about if self.fields else None, "correlation": seen}

    def sentence(self, returns: np.ndarray) -> str:
        """Whether the critic sees what the returns show; nothing where it was not asked."""
        if "q" not in self.fields:
            return ""
        found = agreement(self.fields["q"], returns)
        if found["q"] is None:
            return f" The value that the critic of {self.critic} gives cannot be compared with the returns."
        return (
            f" The value that the critic of {self.critic} gives has a rank correlation of "
            f"{found['q']:+.2f} with the return over {found['points']} points."
        )


NOTHING = Measured({})


def agreement(q: np.ndarray, returns: np.ndarray) -> dict[str, Any]:
    """Spearman's rank correlation over the points where both are finite; None where one does not vary."""
    from scipy.stats import spearmanr  # slow to load

    both = np.isfinite(q) & np.isfinite(returns)
    x, y = q[both], returns[both]
    varies = len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
    rho = float(spearmanr(x, y).statistic) if varies else None
    return {"q": rho, "with": "return", "points": len(x)}


class Measurement:
    """What a study is asked to measure in addition to the return. Prepared before an episode is played, so
    that what is missing is told at once."""

    def __init__(
        self,
        options: FieldOptions,
        ends: Sequence[tuple[PolicyCheckpoint, str]],
        task: Task,
        evaluation: Evaluation,
    ) -> None:
        """`ends` are the policies *from* and *to* with their names. UserError if the critic is missing."""
        self.critic: str | None = None
        self.meter: Meter | None = None
        if not options.fields:
            return
        judge = None
        if set(OF_CRITIC) & set(options.fields):
            policy, self.critic = ends[0 if options.critic == "from" else 1]
            judge = Judge(policy, self.critic)
        first, name = ends[0]
        if options.probe_data is None:
            probe = probe_of_policy(first, name, task, episode_seeds(evaluation.seed, EPISODES))
        else:
            probe = probe_of_dataset(options.probe_data, options.data_root, task, evaluation.seed)
        self.meter = Meter(
            options.fields, first.spec, probe, judge=judge, reference=first.params, seed=evaluation.seed
        )

    def of(self, points: Iterable[Point], count: int) -> Measured:
        """The fields of the points of a study."""
        if self.meter is None:
            return NOTHING
        return Measured(self.meter.measure(points, count), self.meter.probe.source, self.critic)
