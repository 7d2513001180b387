"""What made a result: versions of everything that could change a number."""

from __future__ import annotations

import importlib.metadata
import platform

PACKAGES = (
    "smac-landscape",
    "torch",
    "numpy",
    "scipy",
    "gymnasium",
    "gymnasium-robotics",
    "mujoco",
    "minari",
)


def versions() -> dict[str, str]:
    """Version of Python and of every package whose change could change a result."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
