"""One damaged file, one command, and what must hold of how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from fairaudit.cli.app import run
from tests.hostile.byte_mutants import Mutation, any_bytes
from tests.hostile.targets import Target
from tests.hostile.unfinished import KEPT

SECONDS = 20
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
CODES = (0, 1, 2, 3)
MOST_MIB = 1024
"""More memory than this no small file may take, whatever it claims to hold."""
WRITTEN = "out"
"""Where commands are told to write; whatever else changes is a fault."""


class HangError(BaseException):
    """The command took far longer than ``SECONDS``; no except clause of the program may catch it."""


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        code: exit code; None where it did not return.
        problem: what must not be; empty where all is well.
        err: what stderr held.
    """

    code: int | None
    problem: str
    err: str = ""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise ``HangError`` after a time."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def draw(target: Target, seeds: Path, rng: np.random.Generator) -> tuple[bytes, tuple[str, ...]]:
    """A damaged file and a command that reads it.

    Args:
        target: what is damaged.
        seeds: folder of undamaged files.
        rng: decides.
    """
    seed = target.seeds[int(rng.integers(len(target.seeds)))]
    mutations = [m for m in target.mutations if not m.__name__.startswith(("png", "jpeg")) or m.__name__[:3] == seed[-3:]]
    mutations = mutations or [target.mutations[0]]
    if seed.endswith(".jpg"):
        mutations = [m for m in target.mutations if m.__name__ != "png_chunks"]
    words = target.words[int(rng.integers(len(target.words)))]
    data = (seeds / seed).read_bytes()
    while (damaged := _damaged(data, mutations[int(rng.integers(len(mutations)))], rng)) == data:
        pass
    return damaged, words


def _damaged(data: bytes, mutation: Mutation, rng: np.random.Generator) -> bytes:
    try:
        return mutation(data, rng)
    except Exception:  # what cannot be written in its format at all: an unpaired surrogate
        return any_bytes(data, rng)


def judged(words: Sequence[str], seconds: float = SECONDS) -> Ending:
    """Run a command in the working folder and judge how it ends: the code, what is said, what is left behind."""
    before, memory = _files(), _peak()
    out, err = io.StringIO(), io.StringIO()
    code: int | None = None
    began = time.process_time()
    try:
        with redirect_stdout(out), redirect_stderr(err), limited(6 * seconds):  # somebody else may need the machine too
            code = run(words)
    except HangError:
        return Ending(None, f"took more than {6 * seconds:g} s", err.getvalue())
    except BaseException as error:
        return Ending(None, f"{type(error).__name__} escaped: {error}", err.getvalue())
    if time.process_time() - began > seconds:
        return Ending(code, f"took more than {seconds:g} s of the processor", err.getvalue())
    if _peak() - memory > MOST_MIB:
        return Ending(code, f"took {_peak() - memory:,} MiB of memory", err.getvalue())
    said = _said(code, out.getvalue(), err.getvalue())
    problem = said or _left(code, before, _files()) or ("" if code == 2 else _unreadable(words, out.getvalue()))
    return Ending(code, problem, err.getvalue())


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _said(code: int, out: str, err: str) -> str:
    """What must not be in what was said."""
    if code not in CODES:
        return f"exit code {code}"
    if "Traceback" in err or "Traceback (most" in out:
        return "a traceback"
    if re.search(r"^\S+\.py:\d+: \w*Warning", err, re.M):
        return "a warning of Python's"
    if found := _CONTROLS.search(err + out):
        return f"a control character reached the terminal: {found!r}"
    if code == 1 and not ("fail" in out or "✗" in out):
        return "exit code 1 without a failed rule"
    if code == 2:
        said = [line for line in err.splitlines() if not line.startswith("warning: ")]
        if len(said) != 1 or not said[0].startswith("fairaudit: ") or len(said[0]) > 6000:
            return f"not one sentence: {len(said)} lines of {len(err)} characters"
        if out:
            return f"refused after a result of {len(out)} characters"
    return ""


def _left(code: int, before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """What must not lie in the folder afterwards."""
    if half := [name for name in after if ".part" in name or ".old" in name]:
        return f"half-written: {half[0]}"
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if code == 2 and changed:
        return f"refused, and yet written: {changed[:3]}"
    beside = [name for name in changed if name.split("/")[0] != WRITTEN]
    return f"written where nobody asked: {beside[:3]}" if beside else ""


def _unreadable(words: Sequence[str], out: str) -> str:
    """What is wrong with a result that was given: it must be what its format says."""
    form = words[words.index("-f") + 1] if "-f" in words else ""
    try:
        if form in _READERS:
            _READERS[form](out)
        for path in Path(WRITTEN).glob("*.json"):
            _strict_json(path.read_text(encoding="utf-8"))
    except (ValueError, ElementTree.ParseError) as error:
        return f"a result that cannot be read: {error}"
    return ""


def _strict_json(text: str) -> None:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    json.loads(text, parse_constant=refuse)


def _even_csv(text: str) -> None:
    if len(widths := {len(row) for row in csv.reader(io.StringIO(text, newline=""))}) != 1:
        raise ValueError(f"rows of {sorted(widths)} cells")


def _whole_page(text: str) -> None:
    if not (text.lower().startswith("<!doctype html") and text.rstrip().endswith("</html>")):
        raise ValueError("a page that is not whole")


_READERS: Mapping[str, Callable[[str], object]] = {
    "json": _strict_json,
    "csv": _even_csv,
    "junit": ElementTree.fromstring,
    "html": _whole_page,
}


def _files() -> dict[str, object]:
    """Everything below the working folder: folders, and of files what they hold."""
    return {path.as_posix(): "folder" if path.is_dir() else path.read_bytes() for path in Path().rglob("*")}


@contextmanager
def case_folder(seeds: Path, work: Path, target: Target, data: bytes) -> Iterator[None]:
    """A working folder with everything undamaged but one file; removed afterwards."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for path in seeds.iterdir():
        if path.name == KEPT:
            continue
        if path.is_dir():
            (work / path.name).mkdir()
            for inner in path.iterdir():
                if inner.is_file():
                    os.link(inner, work / path.name / inner.name)
        else:
            os.link(path, work / path.name)
    if target.out:  # copied: the command goes on in it
        shutil.copytree(seeds / target.out, work / WRITTEN)
    damaged = work / target.file
    damaged.parent.mkdir(exist_ok=True)
    damaged.unlink(missing_ok=True)
    damaged.write_bytes(data)
    here = Path.cwd()
    os.chdir(work)
    try:
        yield
    finally:
        os.chdir(here)
        shutil.rmtree(work, ignore_errors=True)
