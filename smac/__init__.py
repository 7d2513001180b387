"""Offline-to-online reinforcement learning: data, agents and training on stacked networks."""

__version__ = "0.1.0"
