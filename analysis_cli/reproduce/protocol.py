"""What every method of a preset is given, known before anything is run: `landscape reproduce protocol`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from analysis_cli.cells import finetuning, pretraining
from analysis_cli.reproduce.presets import Preset
from analysis_cli.train import Pretrain
from analysis_cli.transfer import columns_and_rows, markdown
from smac.agents import method_label, method_parts
from smac.training.protocol import Protocol, of_offline, of_online


def protocol_page(preset: Preset) -> str:
    """Tables in Markdown, one a task and phase, a row per setting."""
    parts = [f"# What every method is given, preset `{preset.name}`"]
    for benchmark in preset.benchmarks:
        given = [pair.split("-") for pair in preset.pairs]
        phases = planned(benchmark.task, given, benchmark.pretrain, benchmark.finetune, benchmark.only)
        for phase, methods in zip(("offline", "online"), phases, strict=True):
            parts.append(markdown(f"{benchmark.label}, {phase}", *columns_and_rows(methods)))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def planned(
    task: str, given: Iterable[Sequence[str]], pretrain: str, finetune: str, only: Mapping[str, str]
) -> tuple[dict[str, Protocol], dict[str, Protocol]]:
    """Method -> protocol offline, and pair -> protocol online, as the words of `smac transfer` make them."""
    offline: dict[str, Pretrain] = {}
    online: dict[str, Protocol] = {}
    for a, b in given:
        if a not in offline:
            algorithm, variant = method_parts(a)
            words = ["--task", task, "--algorithm", algorithm, *(["--variant", variant] if variant else [])]
            words += shlex.split(f"{pretrain} {only.get(algorithm, '')} {only.get(a, '') if variant else ''}")
            offline[a] = pretraining(words)
        words = ["--algorithm", b, *shlex.split(f"{finetune} {only.get(b, '') if b not in offline else ''}")]
        run = finetuning(words, b, task, offline[a].agent)
        online[f"{method_label(a)} → {method_label(b)}"] = of_online(asdict(run.agent), asdict(run.online))
    return (
        {method_label(a): of_offline(asdict(run.agent), asdict(run.offline)) for a, run in offline.items()},
        online,
    )
