"""Reward landscapes between policy checkpoints, with error control."""
