"""One command under faults: what it leaves by itself, and what must hold of what it leaves with one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fairaudit.cli.app import run
from tests.hostile.injecting import CODES, SECOND, armed

SIGNALS = {"interrupted": signal.SIGINT, "terminated": signal.SIGTERM, "killed": signal.SIGKILL}
LATE = 0.5
"""Seconds that a command may go on after a signal, beside a quarter of what it takes: then it was ignored."""
_TIMES = re.compile(rb'"(seconds|finished)"')
"""Alike only by chance."""


@dataclass(frozen=True)
class Command:
    """What is run.

    Attributes:
        words: the command line; it writes below ``work``.
        older: command line of an earlier run with the same destination that leaves something else; empty where a second
            run may not replace it.
        resumes: whether ``--resume`` goes on with it.
    """

    words: tuple[str, ...]
    older: tuple[str, ...] = ()
    resumes: bool = False


@contextmanager
def quietly() -> Iterator[io.StringIO]:
    """Both streams caught; stderr is given."""
    err = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(err):
        yield err


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, hidden ones too; folders end in a slash."""
    return {
        path.relative_to(folder).as_posix() + ("/" if path.is_dir() else ""): b"" if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


@dataclass(frozen=True)
class Outcome:
    """What a run leaves.

    Attributes:
        names: of all files and folders.
        steady: name → content, of those that every run leaves alike; others hold times.
    """

    names: frozenset[str]
    steady: Mapping[str, bytes]

    def differing(self, left: Mapping[str, bytes]) -> list[str]:
        """Names that are there or missing against this, or hold something else; records with times need only be whole."""
        wrong = set(left) ^ self.names
        wrong |= {name for name, data in self.steady.items() if left.get(name) != data}
        wrong |= {name for name, data in left.items() if name.endswith(".json") and not _parses(data)}
        return sorted(wrong)[:4]


class Trial:
    """One command, what it leaves without a fault, and how it ends with one.

    Args:
        command: what is run.
        place: folder of the undamaged files, and the working one; ``work`` below it is the command's.

    Attributes:
        touches: of files below ``work``, in a new folder and over an earlier run (0 where there may be none).
        seconds: that it takes, once everything is imported.
    """

    def __init__(self, command: Command, place: Path) -> None:
        self.command, self.work = command, place / "work"
        self.old: Mapping[str, bytes] = {}
        self.new, self.code, self.seconds = self._alone(command.words)
        self.touches = {False: self._touched(command.words, False), True: 0}
        self.before = Outcome(frozenset(), {})
        if command.older:
            self.before = self._alone(command.older)[0]
            self.old = files_below(self.work)
            self.touches[True] = self._touched(command.words, True)
            assert self.before.differing(files_below(self.work)), "an older run that is not another"

    def _alone(self, words: Sequence[str]) -> tuple[Outcome, int, float]:
        """What is left, the exit code, and how long it takes once everything is imported."""
        found: list[dict[str, bytes]] = []
        for _ in range(2):
            self.fresh()
            began = time.perf_counter()
            with quietly() as err:
                code = run(words)
            seconds = time.perf_counter() - began
            assert code in (0, 1, 3), f"{words} ends with {code} by itself: {err.getvalue()}"
            found.append(files_below(self.work))
        first, second = found
        assert set(first) == set(second), f"{words} leaves now this, now that: {sorted(set(first) ^ set(second))}"
        steady = {name: data for name, data in first.items() if data == second[name] and not _TIMES.search(data)}
        return Outcome(frozenset(first), steady), code, seconds

    def _touched(self, words: Sequence[str], again: bool) -> int:
        self.fresh(again)
        with quietly(), armed(self.work) as trap:
            run(words)
        return trap.seen

    def fresh(self, again: bool = False) -> None:
        """An empty working folder, or one that holds what the earlier run left; and gradients, as a new process has them.

        A signal between two steps of torch's ``no_grad`` ends a process, but here the next command comes.
        """
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_grad_enabled(True)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name, data in sorted(self.old.items()) if again else ():
            if name.endswith("/"):
                (self.work / name).mkdir(parents=True, exist_ok=True)
            else:
                (self.work / name).write_bytes(data)

    def fault(self, fault: str, at: int, again: bool) -> str:
        """Inject one; what fell, empty where nothing did."""
        self.fresh(again)
        with quietly() as err:
            try:
                with armed(self.work, fault, at, self.second) as trap:
                    code = run(self.command.words)
            except BaseException as error:
                return f"{type(error).__name__} escaped"
        right = {CODES.get(fault, 2), self.code} if trap.sprung else {self.code}
        return self.judge(code, right, err.getvalue(), again, second=fault == SECOND)

    def second(self) -> None:
        """Another run, begun and ended while the command is under way."""
        with quietly():
            run(self.command.older or self.command.words)

    def moment(self, fault: str, after: float, again: bool) -> str | None:
        """Send a signal after a time; what fell, empty where nothing did, None where the command was over before."""
        self.fresh(again)
        sent, where = list[float](), list[str]()

        def send(_number: int, frame: FrameType | None) -> None:
            sent.append(time.perf_counter())
            where.append("" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}")
            os.kill(os.getpid(), SIGNALS[fault])

        over: list[float] = []
        before = signal.signal(signal.SIGALRM, send)
        waiting = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once the command is over
        with quietly() as err:
            try:
                signal.setitimer(signal.ITIMER_REAL, after)
                code = run(self.command.words)
                over.append(time.perf_counter())
                signal.setitimer(signal.ITIMER_REAL, 0)
            except BaseException as error:
                if not over:
                    return f"{type(error).__name__} escaped"
            finally:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
                signal.signal(signal.SIGTERM, waiting)
        if not sent or sent[0] > over[0]:
            return None
        if code == self.code and over[0] - sent[0] > LATE + self.seconds / 4:
            return f"the signal was ignored for {over[0] - sent[0]:.1f} s, at {where[0]}"
        return self.judge(code, {CODES[fault], self.code}, err.getvalue(), again)

    def process(self, fault: str, after: float, again: bool) -> str | None:
        """The same to a process of its own, whose start-up and end are hit as well; a killed one may leave parts."""
        self.fresh(again)
        words = [sys.executable, "-m", "fairaudit", *self.command.words]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as begun:
            with contextlib.suppress(subprocess.TimeoutExpired):
                begun.wait(after)
            if begun.returncode is not None:
                return None
            begun.send_signal(SIGNALS[fault])
            err = begun.communicate()[1].decode()
            ended = begun.wait()
        code = ended if ended >= 0 else 128 - ended
        if fault != "killed":
            return self.judge(code, {CODES[fault], self.code}, err, again, silent=True)
        left = _without_parts(files_below(self.work))
        if not (self.command.resumes or left == (self.old if again else {}) or not self.new.differing(left)):
            return f"neither old nor new: {self.new.differing(left)}"
        return self.next(*(("--resume",) if self.command.resumes else ()))

    def judge(
        self, code: int, right: set[int], err: str, again: bool, *, silent: bool = False, second: bool = False
    ) -> str:
        """What must hold afterwards.

        Args:
            code: exit code.
            right: which it may be.
            err: what was said.
            again: whether an earlier run had left something.
            silent: whether nothing need be said: a process that had not begun.
            second: whether what a second run left may lie there.
        """
        left = files_below(self.work)
        if half := [name for name in left if ".part" in name or ".old" in name]:
            return f"half-written: {half[0]}"
        if "Traceback" in err:
            return "a traceback"
        if code not in right:
            return f"exit code {code}: {err.strip()[-160:]}"
        if code != self.code and err.count("\n") != 1 and not (silent and not err):
            return f"{err.count(chr(10))} lines were said: {err[-300:]}"
        if self.command.resumes:
            return self.next("--resume")
        old = left == (self.old if again else {}) and code != self.code
        theirs = second and not self.before.differing(left)
        if not old and not theirs and (wrong := self.new.differing(left)):
            return f"{'success, and yet' if code == self.code else 'neither old nor new:'} {wrong}"
        return ""

    def next(self, *more: str) -> str:
        """Whether the next run, which may go on with this one, leaves what it would have left without a fault."""
        with quietly() as err:
            code = run([*self.command.words, *more])
        what = " ".join(more) or "the next run"
        if code != self.code:
            return f"{what} ends with {code}: {err.getvalue().strip()[-160:]}"
        wrong = self.new.differing(_without_parts(files_below(self.work)))
        return f"{what} leaves another thing: {wrong}" if wrong else ""


def _without_parts(left: Mapping[str, bytes]) -> dict[str, bytes]:
    """What lies there beside what a killed process could not remove."""
    return {name: data for name, data in left.items() if ".part" not in name and ".old" not in name}


def _parses(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
