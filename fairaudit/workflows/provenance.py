"""Provenance: what a run was made with, for ``run.json``."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import fairaudit

LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "torch", "torchvision", "timm", "accelerate", "captum", "scikit-image")


def environment() -> dict[str, Any]:
    """Time, versions and the working folder's commit; what may differ between two runs that find the same."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "fairaudit": fairaudit.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name)) is not None},
        "git": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the project that the audit is run in, with ``-dirty`` where files differ; None outside of git."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
