"""`landscape forecast`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from rich.table import Table

from analysis_cli.console import command_line, console, wrote
from analysis_cli.dry import TRIAL_STEPS, Planned, Watch
from analysis_cli.train import decided_by_checkpoint, option_of
from smac.agents import ONLINE, agent_class
from smac.agents.base import ActorCritic, AgentConfig
from smac.checkpoint import Checkpoint
from smac.errors import UserError
from smac.files import check_free, default_directory, new_directory, write_json
from smac.provenance import versions
from smac.tasks import Task, get_task
from smac.training.evaluate import Evaluator
from smac.training.forecast import Forecast, check_rising, experience, forecast
from smac.training.jobs import finetune_defaults, pick_device, set_threads, starting_points
from smac.training.online import FinetuneOptions, carry_over

TRIAL_UPDATES = 5


@dataclass(frozen=True)
class Forecasting:
    """Measure what the first online updates do to checkpoints: does the critic's action gradient persist?

    One episode's worth of transitions is collected with the checkpoint's policy, then come updates on these
    alone: minutes instead of a fine-tuning run.
    """

    examples: ClassVar = (
        "landscape forecast --from runs/smac",
        "landscape forecast --from runs/smac/seed-0/offline.safetensors --algorithm td3 --after 0 100 1000",
    )
    often: ClassVar = ("algorithm", "after", "out")
    start: Annotated[Path, tyro.conf.arg(name="from")]
    """Checkpoint file, or a run directory: then all its seed-*/offline.safetensors, as one stack."""
    agent: tyro.conf.OmitArgPrefixes[AgentConfig]
    """Options of the algorithm; the networks are the checkpoint's."""
    algorithm: str = "sac"
    """Algorithm: sac, td3, td3_bc or awr."""
    after: tuple[int, ...] = (0, 50, 100, 200)
    """Numbers of updates after which to measure."""
    transitions: int | None = None
    """Transitions per seed; default: as many as one full episode has."""
    online: tyro.conf.OmitArgPrefixes[FinetuneOptions] = field(default_factory=FinetuneOptions)
    """Options of the switch and of the evaluation."""
    out: Path | None = None
    """Directory for forecast.json; default: a new one in runs/."""

    @classmethod
    def decided(cls, words: Sequence[str]) -> tuple[str, ...]:
        return decided_by_checkpoint(words)

    @classmethod
    def prefilled(cls, arguments: Sequence[str]) -> Forecasting:
        """With the defaults of the checkpoint and the algorithm that the line names."""
        start, algorithm = option_of(arguments, "", "--from"), option_of(arguments, "sac", "--algorithm")
        agent = (
            finetune_defaults(Path(start), algorithm) if start else agent_class(algorithm, ONLINE).Config()
        )
        return cls(start=tyro.MISSING, agent=agent)

    def run(self) -> None:
        checkpoints, task, agent = self._begun()
        about, seeds = checkpoints[0].description, list(agent.seeds)
        found = forecast(task, agent, checkpoints, self.online, updates=self.after, steps=self.transitions)
        console.print(table_of(found, seeds))
        out = new_directory(self.out or default_directory("forecast", task.name, about.algorithm))
        numbers = {
            name: value.tolist() if hasattr(value, "tolist") else value for name, value in vars(found).items()
        }
        about_it = {"command": command_line("landscape"), "seeds": seeds, "pretrained_with": about.algorithm}
        wrote(write_json(out / "forecast.json", about_it | numbers | {"versions": versions()}))

    def planned(self) -> Planned:
        checkpoints, task, agent = self._begun()
        carry_over(agent, checkpoints, self.online)
        steps, updates, measurements = self.transitions or task.horizon, self.after[-1], len(self.after)
        with Watch() as collecting:
            buffer = experience(task, agent, TRIAL_STEPS)
        with Watch() as updating:
            for _ in range(TRIAL_UPDATES):
                agent.update(buffer.sample(agent.config.batch_size))
        evaluator = Evaluator(task, len(agent.seeds), 1, self.online.eval_seed, agent.device)
        with Watch() as playing:
            evaluator(agent.actor)
        evaluator.close()
        episodes = measurements * self.online.eval_episodes
        seconds = steps * collecting.seconds / TRIAL_STEPS + updates * updating.seconds / TRIAL_UPDATES
        amounts = {
            "environment steps": steps * len(agent.seeds),
            "updates": updates,
            "evaluation episodes": episodes * len(agent.seeds),
        }
        what = f"{task.name}, {len(agent.seeds)} {'seed' if len(agent.seeds) == 1 else 'seeds'}"
        return Planned(what, amounts, seconds + episodes * playing.seconds)

    def _begun(self) -> tuple[Sequence[Checkpoint], Task, ActorCritic]:
        """The checkpoints, their task, and the agent that is to be updated; UserError for wrong options."""
        if self.out is not None:
            check_free(self.out)
        check_rising(self.after)
        if self.transitions is not None and self.transitions < 1:
            raise UserError(f"--transitions must be at least 1, got {self.transitions}")
        checkpoints = starting_points(self.start)
        about = checkpoints[0].description
        task, kind = get_task(about.task), agent_class(self.algorithm, ONLINE)
        set_threads(1)
        seeds = [c.description.seed for c in checkpoints]
        agent = kind(self.agent, about.observation_dim, about.action_dim, seeds, pick_device("auto"))
        assert isinstance(agent, ActorCritic)
        return checkpoints, task, agent


def table_of(found: Forecast, seeds: Sequence[int]) -> Table:
    """One row per number of updates; numbers are those of the seeds, in their order."""
    columns = ("cosine of grad Q with that before", "|grad Q|", "policy moved", "score")
    table = Table("updates", *columns, title=f"seeds {', '.join(map(str, seeds))}")
    for i, count in enumerate(found.updates):
        rows = (found.gradient_cosine[i], found.gradient_norm[i], found.moved[i], found.score[i])
        table.add_row(str(count), *(" ".join(f"{x:.2f}" for x in row) for row in rows))
    return table
