"""One damaged file, one command, and what must hold of how it ends."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from fairaudit.cli.app import run
from tests.hostile.byte_mutants import any_bytes
from tests.hostile.targets import Target

SECONDS = 20
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
CODES = (0, 1, 2, 3)


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
    try:
        return mutations[int(rng.integers(len(mutations)))](data, rng), words
    except Exception:  # what cannot be written in its format at all (an unpaired surrogate, a view of a terabyte)
        return any_bytes(data, rng), words


def judged(words: Sequence[str], seconds: float = SECONDS) -> Ending:
    """Run a command in the working folder and judge how it ends: the code, what is said, what is left behind."""
    before = _files()
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
    return Ending(code, _problem(code, out.getvalue(), err.getvalue(), before, _files()), err.getvalue())


def _problem(code: int, out: str, err: str, before: dict[str, float], after: dict[str, float]) -> str:
    if code not in CODES:
        return f"exit code {code}"
    if "Traceback" in err or "Traceback (most" in out:
        return "a traceback"
    if re.search(r"^\S+\.py:\d+: \w*Warning", err, re.M):
        return "a warning of Python's"
    if _CONTROLS.search(err) or _CONTROLS.search(out):
        return f"a control character reached the terminal: {_CONTROLS.search(err + out)!r}"
    if code == 1 and not ("fail" in out or "✗" in out):
        return "exit code 1 without a failed rule"
    half = [name for name in after if name.endswith((".part", ".old")) or ".part/" in name]
    if half:
        return f"half-written: {half[0]}"
    if code == 2:
        said = [line for line in err.splitlines() if not line.startswith("warning: ")]
        if len(said) != 1 or not said[0].startswith("fairaudit: ") or len(said[0]) > 6000:
            return f"not one sentence: {len(said)} lines of {len(err)} characters"
        if after != before:
            return f"refused, and yet written: {sorted(set(after) ^ set(before))[:3] or 'changed'}"
    return ""


def _files() -> dict[str, float]:
    return {path.as_posix(): path.stat().st_mtime for path in Path().rglob("*") if path.is_file() and not path.is_symlink()}


@contextmanager
def case_folder(seeds: Path, work: Path, target: Target, data: bytes) -> Iterator[None]:
    """A working folder with everything undamaged but one file; removed afterwards."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for path in seeds.iterdir():
        if path.name in ("faces", "run") or path.is_dir():
            (work / path.name).mkdir()
            for inner in path.iterdir():
                if inner.is_file():
                    os.link(inner, work / path.name / inner.name)
        else:
            os.link(path, work / path.name)
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
