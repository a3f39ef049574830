"""What ``--verbose`` adds on stderr: how long a command took, and with which versions of what it loaded."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from fairaudit import __version__

SHOWN = ("numpy", "scipy", "pandas", "pyarrow", "torch", "torchvision", "timm", "accelerate", "matplotlib")
"""Packages that can change a result, or how it looks."""


def told(seconds: float) -> str:
    """One line about a command that has ended.

    Args:
        seconds: wall-clock time that it took.
    """
    loaded = [f"{name} {found}" for name in SHOWN if name in sys.modules and (found := _version(name))]
    own = [f"fairaudit {__version__}", f"Python {platform.python_version()}", *loaded]
    return f"{', '.join(own)}: {seconds:.1f} s"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # loaded from a folder that nobody installed
        return ""
