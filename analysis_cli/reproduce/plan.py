"""What the paper's figures need: commands in order, each with the file that says it has ended."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analysis_cli.reproduce.benchmarks import Benchmark
from analysis_cli.reproduce.presets import Preset
from figures.paper import ablation, fig1, fig2, retain, switch, tsne
from smac.agents import OFFLINE

TUNED = ("sac", "td3_bc")  # u and v of figure 1


@dataclass(frozen=True)
class Step:
    """One command. Paths in it that begin with `./` are relative to the directory of the reproduction."""

    words: tuple[str, ...]
    done: str
    """The file that is there when the command has ended; the same command again goes on where it was."""


def step(command: str, done: str) -> Step:
    return Step(tuple(shlex.split(command)), done)


def transfer_steps(preset: Preset) -> list[Step]:
    """Data, and a matrix of all pairs on every task."""
    found = []
    for benchmark in preset.benchmarks:
        out = f"transfer/{benchmark.label}"
        words = matrix_words(
            benchmark, preset, offline=preset.offline, also=preset.also,
            dataset=dataset_of(benchmark), out=f"./{out}",
        )  # fmt: skip
        found += [data_step(benchmark), Step(words, f"{out}/transfer.json")]
    return found


def connectivity_steps(preset: Preset) -> list[Step]:
    """The returns along the way that every fine-tuning took, and a report of them and of the lines."""
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        cells = [f"./transfer/{benchmark.label}/finetune/{a}-sac" for a in preset.offline]
        paths = []
        for cell, a in zip(cells, preset.offline, strict=True):
            for seed in preset.training_seeds(benchmark):
                out = f"trajectories/{benchmark.label}/{a}-{seed}"
                words = f"landscape trajectory --run {cell}/seed-{seed} {benchmark.trajectory} --out ./{out}"
                found.append(step(words, f"{out}/result.json"))
                paths.append(f"./{out}")
        out = f"connectivity/{benchmark.label}"
        report = ["landscape", "report", *cells, *paths, *shlex.split(benchmark.line), "--out", f"./{out}"]
        found.append(Step(tuple(report), f"{out}/report.html"))
    return found


def fig1_steps(preset: Preset) -> list[Step]:
    """The plane through offline, SAC-tuned and TD3+BC-tuned checkpoint of every offline method."""
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        for a in preset.offline:
            runs = [f"./transfer/{benchmark.label}/finetune/{a}-{b}/seed-{benchmark.seed}" for b in TUNED]
            ends = " ".join(f"{run}/online.safetensors" for run in runs)
            through = f"--through {runs[0]}/offline.safetensors {ends} --axes uv"
            out = fig1.folder_of(benchmark, a)
            found.append(
                step(f"landscape plane {through} {preset.plane} --out ./{out}", f"{out}/result.json")
            )
    return found


def tsne_steps(preset: Preset) -> list[Step]:
    """Every fine-tuning run with SAC of a task on one map, every checkpoint with its return."""
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        folders = [
            f"./transfer/{benchmark.label}/finetune/{a}-sac/seed-{seed}"
            for a in preset.offline
            for seed in preset.training_seeds(benchmark)
        ]
        out = tsne.folder_of(benchmark)
        words = ("landscape", "project", *folders, *shlex.split(benchmark.projection), "--out", f"./{out}")
        found.append(Step(words, f"{out}/result.json"))
    return found


def fig2_steps(preset: Preset) -> list[Step]:
    """Data of a weaker policy, nested shares of them, and SMAC and a baseline from each."""
    found = []
    for benchmark in (one for one in preset.benchmarks if one.sizes):
        whole = fig2.dataset_of(benchmark.label, 1.0)
        collect = f"smac data collect --task {benchmark.task} --dataset {whole} {benchmark.weak} --out ./data"
        found.append(step(collect, metadata(whole)))
        for size in benchmark.sizes:
            dataset = fig2.dataset_of(benchmark.label, size)
            if size != 1.0:
                subset = f"smac data subset ./data/{whole} --fraction {size} --dataset {dataset} --out ./data"
                found.append(step(subset, metadata(dataset)))
            out = fig2.folder_of(benchmark, size)
            offline = ("smac", benchmark.baseline)
            words = matrix_words(benchmark.brief(), preset, offline=offline, dataset=dataset, out=f"./{out}")
            found.append(Step(words, f"{out}/transfer.json"))
    return found


def ablation_steps(preset: Preset) -> list[Step]:
    """SMAC to SAC with every variant of its options."""
    found = []
    for benchmark in (one for one in preset.benchmarks if one.variants):
        found.append(data_step(benchmark))
        for name, variant in benchmark.variants.items():
            out = ablation.folder_of(benchmark, name)
            words = matrix_words(
                benchmark.brief(), preset, offline=["smac"], only={"smac": variant.options},
                dataset=dataset_of(benchmark), out=f"./{out}",
            )  # fmt: skip
            found.append(Step(words, f"{out}/transfer.json"))
    return found


def retain_steps(preset: Preset) -> list[Step]:
    """Every pair of `transfer` again with a share of every online batch from the offline data."""
    found = transfer_steps(preset)
    for benchmark in preset.benchmarks:
        for pair in preset.pairs:
            a, b = pair.split("-")
            out = retain.cell_of(benchmark, pair)
            words = (
                f"smac finetune --from ./transfer/{benchmark.label}/pretrain/{a} --algorithm {b} "
                f"--dataset {dataset_of(benchmark)} --data-root ./data --offline-ratio {retain.SHARE} "
                f"{benchmark.finetune} {benchmark.only.get(b, '')} --out ./{out}"
            )
            found.append(step(words, f"{out}/summary.json"))
    return found


def switch_steps(preset: Preset) -> list[Step]:
    """Every offline method fine-tuned with SAC at every rate of the actor."""
    found = transfer_steps(preset)
    for benchmark in (one for one in preset.benchmarks if one.rates):
        for method in preset.offline:
            for rate in benchmark.rates:
                out = switch.cell_of(benchmark, method, rate)
                words = (
                    f"smac finetune --from ./transfer/{benchmark.label}/pretrain/{method} --algorithm sac "
                    f"{benchmark.brief().finetune} --actor-lr {rate} --out ./{out}"
                )
                found.append(step(words, f"{out}/summary.json"))
    return found


STEPS: Mapping[str, Callable[[Preset], list[Step]]] = {
    "transfer": transfer_steps,
    "connectivity": connectivity_steps,
    "fig1": fig1_steps,
    "tsne": tsne_steps,
    "fig2": fig2_steps,
    "ablation": ablation_steps,
    "retain": retain_steps,
    "switch": switch_steps,
}
"""By the name of the figure."""


# ---- what these are made of --------------------------------------------------------------------------------


def dataset_of(benchmark: Benchmark) -> str:
    return f"reproduce/{benchmark.label}-v0"


def metadata(dataset: str) -> str:
    return f"data/{dataset}/data/metadata.json"


def data_step(benchmark: Benchmark) -> Step:
    """Collecting the data that every method learns from."""
    dataset = dataset_of(benchmark)
    return step(
        f"smac data collect --task {benchmark.task} --dataset {dataset} {benchmark.collect} --out ./data",
        metadata(dataset),
    )


def matrix_words(
    benchmark: Benchmark, preset: Preset, *, offline: Sequence[str], dataset: str, out: str,
    also: Sequence[str] = (), only: Mapping[str, str] | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """`smac transfer` of some methods to SAC, and of further pairs; `only` adds to the methods' options."""
    own = {
        a: f"{benchmark.only.get(a, '')} {(only or {}).get(a, '')}".strip()
        for a in (*offline, *(a for a in benchmark.only if a not in OFFLINE))
    }
    items = [f"{a}={options}" for a, options in own.items() if options]
    return (
        "smac", "transfer", "--task", benchmark.task, "--dataset", dataset, "--data-root", "./data",
        "--offline", ",".join(offline), "--online", "sac", *(["--also", *also] if also else []),
        "--seed", str(benchmark.seed), "--seeds", str(preset.seeds), f"--pretrain={benchmark.pretrain}",
        f"--finetune={benchmark.finetune}", "--out", out, *(["--only", *items] if items else []),
    )  # fmt: skip
