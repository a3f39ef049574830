"""Where a dataset lies on this machine, and how its source is called."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairaudit import plugins
from fairaudit.data.manifest import Card, Manifest
from fairaudit.errors import ConfigError, DataError


def load_dataset(name: str, root: Path | None, split: str | None = None, **options: Any) -> Manifest:
    """Find a dataset and read its labels.

    Args:
        name: a dataset that ``plugins.names("datasets")`` lists.
        root: its folder; None looks in the usual places (see ``find_root``).
        split: None takes the card's, and every image, with a note, where the data do not have that split.
        options: the source's own options; text is converted to what the source's signature asks for, None is left out.

    Raises:
        UnknownNameError: there is no such dataset.
        UsageError: the dataset has no such option, or its value cannot be understood.
        DataError: the data are not there or cannot be used.
    """
    name = plugins.canonical("datasets", name)
    module = plugins.load("datasets", name)
    given = {key: value for key, value in plugins.check_options("datasets", name, options).items() if value is not None}
    card: Card = module.CARD
    if root is not None or getattr(module, "NEEDS_ROOT", True):
        root = find_root(name, root, card)

    def read(part: str) -> Manifest:
        manifest: Manifest = module.load(root, part, **given)
        if not len(manifest):
            raise DataError(f"{name} has no images in {root or 'its split ' + part}")
        return manifest

    if split is not None or card.split == "all":
        return read(split or "all")
    try:
        return read(card.split)
    except DataError as error:
        # labels may be broken or this copy may lack the split: only the latter is forgiven
        try:
            whole = read("all")
        except DataError:
            raise error from None
        if card.split in set(whole.frame["split"]):
            raise
        note = f"this copy of {name} has no split {card.split!r}; all {len(whole):,} images are used"
        return replace(whole, notes=(*whole.notes, note))


def audit_options(name: str, target: str | None, by: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Those of an audit's own settings that a source wants to know too, as options for ``load_dataset``.

    A source without a card takes the columns that are audited from the user (``table``); most know theirs.

    Args:
        name: the dataset.
        target: the target that is audited, if named.
        by: the groupings that are named.
    """
    known = plugins.options("datasets", name)
    settings: dict[str, Any] = {"target": target, "by": tuple(",".join(grouping) for grouping in by)}
    return {key: value for key, value in settings.items() if key in known and value}


def find_root(name: str, root: Path | None, card: Card, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of a dataset: the one given, else ``$FAIRAUDIT_DATA/NAME``, ``./data/NAME``, the user's config file.

    The config file is ``fairaudit/config.toml`` below ``$XDG_CONFIG_HOME`` (or ``~/.config``); its table ``[data]`` maps
    dataset names to folders, relative ones to the file's own folder.

    Args:
        name: the dataset's canonical name.
        root: what the user said, or None.
        card: says how to get the data.
        environ: environment variables.

    Raises:
        DataError: nowhere to be found; one sentence says how to get the data and where to put them.
        ConfigError: the config file cannot be understood.
    """
    if root is not None:
        given = root.expanduser()
        if not given.exists():
            raise DataError(f"there is no {given}; to get {name}, {card.obtain}")
        return given
    spellings = dict.fromkeys((name, name.replace("-", "_")))
    folders = [Path("data")]
    if environ.get("FAIRAUDIT_DATA"):
        folders.insert(0, Path(environ["FAIRAUDIT_DATA"]).expanduser())
    for place in (folder / spelling for folder in folders for spelling in spellings):
        if place.exists():
            return place
    config = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "fairaudit" / "config.toml"
    configured = _configured(config, list(spellings))
    if configured is not None:
        if not configured.exists():
            raise DataError(f"{config} says that {name} is in {configured}, which does not exist")
        return configured
    put = " or ".join(str(folder / name) for folder in folders)
    raise DataError(
        f"{name} was not found: give its folder with --root, or put it in {put}, or name it in {config} "
        f"under [data]; to get it, {card.obtain}"
    )


def _configured(config: Path, names: list[str]) -> Path | None:
    if not config.is_file():
        return None
    try:
        table = tomllib.loads(config.read_text(encoding="utf-8")).get("data", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{config} is not valid TOML: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{config}: [data] must be a table of dataset names and folders")
    for name in names:
        if name in table:
            if not isinstance(table[name], str):
                raise ConfigError(f"{config}: {name!r} under [data] must be a folder in quotes, not {table[name]!r}")
            return config.parent / Path(table[name]).expanduser()
    return None
