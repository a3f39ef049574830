"""Resuming: whether an experiment may be run in a folder, and go on with what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairaudit.artifacts.folder import check_replaceable
from fairaudit.config import MitigateConfig, read_toml
from fairaudit.errors import ConfigError, OutputError
from fairaudit.workflows.run_folders import CONFIG

_GROWS = {"arms", "seeds", "baseline"}
"""What may differ when a run is resumed: more arms or seeds are trained beside those that are there."""


def open_folder(config: MitigateConfig, out: Path, resume: bool) -> None:
    """Refuse a folder that another run is in, and one that a different configuration is to be resumed in.

    Raises:
        OutputError: the folder holds something.
        ConfigError: what is to be resumed was asked for differently.
    """
    held = sorted(p.name for p in out.iterdir()) if out.is_dir() else []
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file, but an experiment is a folder; choose another name for --out")
    if CONFIG not in held:
        if held:
            shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")
            raise OutputError(f"{out} holds {shown}; an experiment needs a folder of its own, choose another --out")
        check_replaceable(out)
        return
    if not resume:
        raise OutputError(f"{out} holds an experiment already; go on with it with --resume, or choose another --out")
    _check_same(config, out / CONFIG)


def _check_same(config: MitigateConfig, path: Path) -> None:
    before = read_toml(path, MitigateConfig).model_dump(mode="json")
    now = MitigateConfig.model_validate(reproducible(config, None)).model_dump(mode="json")
    for key in before:
        if key in _GROWS or key == "root":
            continue
        if before[key] != now[key]:
            raise ConfigError(
                f"{path} was run with another {_first_difference(key, before[key], now[key])}; "
                "resume it as it was, or choose another --out"
            )


def _first_difference(key: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for inner in before:
            if before[inner] != now.get(inner):
                return _first_difference(f"{key}.{inner}", before[inner], now.get(inner))
    return f"{key} ({before}, now {now})"


def reproducible(config: MitigateConfig, root: Path | None) -> dict[str, Any]:
    """The configuration with absolute paths, so that it gives the same run from any folder."""
    paths: dict[str, Any] = {}
    if config.model is not None:
        paths["model"] = config.model.resolve()
    if config.weights is not None and Path(config.weights).exists():
        paths["weights"] = str(Path(config.weights).resolve())
    if config.root is not None or root is not None:
        paths["root"] = (root or config.root or Path()).resolve()
    record: dict[str, Any] = config.model_copy(update=paths).model_dump(mode="json", exclude_defaults=True)
    return record
