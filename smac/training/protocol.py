"""What a run was given, or will be: the settings that decide whether two methods can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smac.files import read_json
from smac.training.run import run_config

Protocol = dict[str, str]  # setting -> value, in words

TEMPERATURE = "switch/temperature"


def offline_protocol(directory: Path) -> Protocol:
    """Of a pre-training run."""
    config = run_config(directory)
    return of_offline(config["agent"], config["offline"])


def online_protocol(directory: Path) -> Protocol:
    """Of a fine-tuning run, with the temperatures that its rule gave; see `of_online`."""
    config, summary = run_config(directory), directory / "summary.json"
    given = of_online(config["agent"], config["online"])
    found = [
        numbers[TEMPERATURE]
        for numbers in (read_json(summary).values() if summary.exists() else ())
        if TEMPERATURE in numbers
    ]
    name = "temperature at the switch"
    return given | ({name: f"{given[name]}: {_range(found)}"} if found else {})


def of_offline(agent: Mapping[str, Any], offline: Mapping[str, Any]) -> Protocol:
    """From the fields of the configuration and of the offline options."""
    return {
        "gradient steps": f"{offline['steps']:,}",
        "batch": str(agent["batch_size"]),
        "widths": _widths(agent),
        "rates": _rates(agent),
        "optimiser": agent["optimiser"],
        "reward": _reward(agent),
        "observations": "standardised" if agent.get("standardise_observations") else "raw",
        "initial temperature": _number(agent.get("initial_temperature")),
    }


def of_online(agent: Mapping[str, Any], online: Mapping[str, Any]) -> Protocol:
    """From the fields of the configuration and of the online options.

    What an older version had no option for is `not recorded`.
    """
    return {
        "temperature at the switch": _number(online.get("temperature_at_switch"), "not recorded"),
        "optimiser state": online.get("optimiser_state", online.get("momenta", "not recorded")),
        "optimiser": agent["optimiser"],
        "updates per step": f"{online['updates_per_step']} critic, "
        f"{online.get('actor_updates_per_step', online['updates_per_step'])} actor",
        "rates": _rates(agent),
        "target rate": _number(agent.get("target_rate")),
        "learning starts": _number(online.get("learning_starts"), "one episode"),
        "warm-up": str(online["warmup_steps"]),
        "offline share": _number(online["offline_ratio"]),
        "reward": _reward(agent),
        "steps": f"{online['steps']:,}",
    }


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"


def _widths(agent: Mapping[str, Any]) -> str:
    def product(widths: Any) -> str:
        return " x ".join(map(str, widths))

    critic = agent.get("critic_hidden") or agent["hidden"]
    differs = list(critic) != list(agent["hidden"])
    return product(agent["hidden"]) + (f", critic {product(critic)}" if differs else "")


def _rates(agent: Mapping[str, Any]) -> str:
    rates = {
        name: agent[f"{name}_lr"] for name in ("actor", "critic", "temperature") if f"{name}_lr" in agent
    }
    if len(set(rates.values())) == 1 and len(rates) > 1:
        return f"{next(iter(rates.values())):g}"
    return ", ".join(f"{name} {rate:g}" for name, rate in rates.items())


def _reward(agent: Mapping[str, Any]) -> str:
    scale, bias = agent.get("reward_scale", 1.0), agent.get("reward_bias", 0.0)
    if scale == 1.0 and bias == 0.0:
        return "as it is"
    scaled = f"x {scale:g}" if isinstance(scale, float | int) else str(scale)
    return f"{scaled} {bias:+g}" if bias else scaled


def _number(value: Any, missing: str = "–") -> str:
    return missing if value is None else f"{value:g}" if isinstance(value, float | int) else str(value)
