"""What an interrupted run had predicted: whole shards in a folder beside the run folder, from which a later run goes on.

``DIR.unfinished/of.json`` says of what model and images the shards are, ``part-PROCESS-NUMBER.npz`` hold rows and scores.
A shard is written every thousand images or half a minute, whichever comes first, whole or not at all, so that neither a
killed process nor a full disk costs more than that; where writing is slow, so seldom that it takes half a per cent of the
time. A run that ends before either leaves nothing; one that is finished takes the folder away.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from fairaudit.artifacts.folder import unwritable, write_whole
from fairaudit.errors import ConfigError, OutputError
from fairaudit.predictions import FloatArray

IMAGES, SECONDS = 1_000, 30.0
"""A shard is written when either is reached."""
SHARE = 0.005
"""Of the time, that writing may take."""
OF, SUFFIX = "of.json", ".unfinished"
_FORMAT = 1
_OWN = re.compile(r"of\.json|part-\d+-(\d+)\.npz|\.(of\.json|part-\d+-\d+\.npz)\..*\.part")


@dataclass(frozen=True, eq=False)
class Kept:
    """Predictions of an interrupted run.

    Attributes:
        rows: the n row ids, each once.
        scores: task → (n, k) float64.
    """

    rows: tuple[str, ...] = ()
    scores: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A run that may be interrupted; every process of it has the same one.

    Attributes:
        folder: of its shards.
        of: what predictions depend on, in words and plain values.
        kept: what was predicted before.
        first: number of the next shard.
        notes: what a person should read about what was kept, a sentence each.
    """

    folder: Path
    of: Mapping[str, Any]
    kept: Kept = field(default_factory=Kept)
    first: int = 0
    notes: tuple[str, ...] = ()


def folder_beside(out: Path) -> Path:
    """The folder of what is unfinished of a run folder.

    Args:
        out: the run folder.
    """
    return out.with_name(out.name + SUFFIX)


def begin(out: Path, of: Mapping[str, Any]) -> Unfinished:
    """Begin a run; what an earlier one left is taken away.

    Args:
        out: the run folder.
        of: what predictions depend on: name → plain value, or a list of digests of which some may be empty.

    Raises:
        OutputError: the folder beside holds something else, or cannot be emptied.
    """
    folder = folder_beside(out)
    try:
        _remove(folder, _own_names(folder))
    except OSError as error:
        raise unwritable(folder, error) from error
    return Unfinished(folder, of)


def resume(out: Path, of: Mapping[str, Any], rows: Sequence[str], tasks: Mapping[str, Sequence[str]]) -> Unfinished:
    """Go on with a run that was interrupted, whatever its number of processes and the size of its batches.

    Args:
        out: the run folder.
        of: as for ``begin``.
        rows: row ids of this run.
        tasks: task → its classes.

    Raises:
        ConfigError: what is there is of another model, or of other images; the sentence names what differs.
        OutputError: the folder beside holds something else.
    """
    folder = folder_beside(out)
    names = _own_names(folder)
    if OF not in names:
        notes: tuple[str, ...] = (f"nothing of {out} is unfinished, so every image is predicted",)
        return Unfinished(folder, of, notes=notes)
    try:
        record = json.loads((folder / OF).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError(record["format"])
        before = dict(record["of"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        begun = begin(out, of)
        notes = (f"{folder / OF} is damaged, so nothing says of what the shards beside it are: every image is predicted",)
        return Unfinished(folder, begun.of, notes=notes)
    _check_same(before, of, folder)
    kept, notes = _read(folder, names, rows, tasks)
    numbers = [int(found[1]) for name in names if (found := _OWN.fullmatch(name)) and found[1]]
    told = f"{len(kept.rows):,} of {len(rows):,} images were predicted before the interruption"
    return Unfinished(folder, of, kept, max(numbers, default=-1) + 1, (*notes, told))


def images_kept(unfinished: Unfinished, rows: Sequence[str], tasks: Mapping[str, Sequence[str]]) -> int:
    """How many images a run would not predict again.

    Args:
        unfinished: that run.
        rows: its row ids.
        tasks: task → its classes.
    """
    with contextlib.suppress(OutputError):
        return len(_read(unfinished.folder, _own_names(unfinished.folder), rows, tasks)[0].rows)
    return 0


def discard(unfinished: Unfinished) -> None:
    """Take the folder away: the run is finished, and what cannot be removed must not turn it into a failure."""
    with contextlib.suppress(OSError, OutputError):
        _remove(unfinished.folder, _own_names(unfinished.folder))


class Shards:
    """Writes what one process predicts; within ``with``, the rest is written at the end, however that comes.

    Args:
        unfinished: the run; None writes nothing.
        process: this process's number.
    """

    def __init__(self, unfinished: Unfinished | None, process: int) -> None:
        self._run, self._process = unfinished, process
        self._number = 0 if unfinished is None else unfinished.first
        self._rows: list[str] = []
        self._scores: list[Mapping[str, FloatArray]] = []
        self._since, self._pause = time.monotonic(), 0.0
        self._long = False

    def add(self, rows: Sequence[str], scores: Mapping[str, FloatArray]) -> None:
        """Take a batch, and write what was taken when it is time.

        Args:
            rows: b row ids.
            scores: task → (b, k).

        Raises:
            OutputError: a shard cannot be written.
        """
        if self._run is None or not rows:
            return
        self._rows += rows
        self._scores.append(scores)
        elapsed = time.monotonic() - self._since
        if (len(self._rows) >= IMAGES or elapsed >= SECONDS) and elapsed >= self._pause:
            self._write(self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        long = self._long or len(self._rows) >= IMAGES or time.monotonic() - self._since >= SECONDS
        if self._run is None or not self._rows or not long:
            return
        with contextlib.nullcontext() if kind is None else contextlib.suppress(OutputError):
            self._write(self._run)

    def _write(self, run: Unfinished) -> None:
        stream, began = io.BytesIO(), time.monotonic()
        joined = [np.concatenate([one[task] for one in self._scores]) for task in self._scores[0]]
        arrays = {"rows": np.array(self._rows, dtype=np.str_), **{f"scores_{i}": one for i, one in enumerate(joined)}}
        np.savez(stream, allow_pickle=False, **arrays)
        if not self._long:
            write_whole(run.folder / OF, json.dumps({"format": _FORMAT, "of": dict(run.of)}, indent=2))
        write_whole(run.folder / f"part-{self._process}-{self._number}.npz", stream.getvalue())
        self._number, self._rows, self._scores, self._long = self._number + 1, [], [], True
        self._since = time.monotonic()
        self._pause = (self._since - began) / SHARE


def _own_names(folder: Path) -> list[str]:
    """What lies in the folder, in order; nothing where there is none."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unwritable(folder, error) from error
    foreign = [name for name in names if not _OWN.fullmatch(name)]
    if foreign:
        raise OutputError(
            f"{folder} holds {foreign[0]}, which no interrupted run left there; move it away, or choose another --out"
        )
    return names


def _remove(folder: Path, names: Sequence[str]) -> None:
    for name in sorted(names, key=lambda name: name == OF):  # without the others it is still known what they are
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    differ = [name for name in dict.fromkeys([*before, *now]) if not _alike(before.get(name), now.get(name))]
    if not differ:
        return
    short = [(name, before.get(name), now.get(name)) for name in differ]
    shown = ", ".join(f"{n} ({b}, now {c})" if len(f"{b}{c}") < 60 and not isinstance(c, list) else n for n, b, c in short)
    raise ConfigError(
        f"{folder} is of a run with other settings or files: {shown}; repeat that run to go on with it, "
        "or leave --resume out to begin anew"
    )


def _alike(before: Any, now: Any) -> bool:
    """Whether two values are the same; of digests in lists, those that both have."""
    if isinstance(before, list) and isinstance(now, list):
        if len(before) != len(now):
            return False
        return all(one == other or "" in (one, other) for one, other in zip(before, now, strict=True))
    return bool(before == now)


def _read(
    folder: Path, names: Sequence[str], rows: Sequence[str], tasks: Mapping[str, Sequence[str]]
) -> tuple[Kept, tuple[str, ...]]:
    known, notes = frozenset(rows), list[str]()
    found: dict[str, None] = {}
    parts: list[Mapping[str, FloatArray]] = []
    for name in (name for name in names if name.startswith("part-")):
        shard = _shard(folder / name, known, tasks)
        if shard is None:
            notes.append(f"{folder / name} is damaged and ignored: its images are predicted again")
            continue
        new = [i for i, row in enumerate(shard.rows) if row not in found]
        found |= dict.fromkeys(shard.rows)
        parts.append({task: values[new] for task, values in shard.scores.items()})
    scores = {t: np.concatenate([np.empty((0, len(k))), *(part[t] for part in parts)]) for t, k in tasks.items()}
    return Kept(tuple(found), scores), tuple(notes)


def _shard(path: Path, known: frozenset[str], tasks: Mapping[str, Sequence[str]]) -> Kept | None:
    """What a shard holds; None where it is damaged."""
    try:
        if not path.is_file():
            return None
        with (
            path.open("rb") as stream,
            np.load(stream, allow_pickle=False) as arrays,
        ):  # the archive's checksums tell whether it is whole
            rows = [str(row) for row in arrays["rows"]]
            found = {task: arrays[f"scores_{i}"] for i, task in enumerate(tasks)}
        if any(values.dtype.kind != "f" for values in found.values()):
            return None
        scores = {task: values.astype(np.float64) for task, values in found.items()}
    except Exception:  # numpy reads a header with Python's own parser, which says in many ways that it is none
        return None
    once = len(set(rows)) == len(rows) and known.issuperset(rows)
    fits = all(scores[t].shape == (len(rows), len(k)) and bool(np.isfinite(scores[t]).all()) for t, k in tasks.items())
    return Kept(tuple(rows), scores) if once and fits else None
