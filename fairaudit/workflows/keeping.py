"""Keeping what a long run has predicted: all of its processes agree on what is kept, and one of them says so at the end."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fairaudit
from fairaudit.artifacts import unfinished as kept
from fairaudit.artifacts.unfinished import Unfinished
from fairaudit.config import InferenceSettings
from fairaudit.data.manifest import Manifest
from fairaudit.engine.devices import Placement, gather
from fairaudit.errors import DataError, FairauditError
from fairaudit.models.classifier import Classifier

_NO_MATTER = {"device", "batch_size", "workers", "max_unreadable"}
"""Settings that change how fast a run is and which images it lacks; of the device the kind matters, not the number."""
LOOKED_AT = 8
"""Images whose bytes are compared, evenly spaced, so that other pictures of the same names are noticed."""


class Keeping:
    """What is kept of one run; made by ``keeping``.

    Args:
        out: the run folder; that of the main process counts.
        resume: go on with what an interrupted run left.
    """

    def __init__(self, out: Path, resume: bool) -> None:
        self.out = out
        self._resume = resume
        self._run: Unfinished | None = None
        self._rows: list[str] = []
        self._tasks: dict[str, tuple[str, ...]] = {}
        self._before: list[tuple[str, int]] = []
        self._alone = True

    def open(
        self, classifier: Classifier, manifest: Manifest, settings: InferenceSettings, placement: Placement
    ) -> Unfinished:
        """Find out what is kept, or begin; every process must call this, and is told the same.

        Args:
            classifier: the network.
            manifest: the images.
            settings: how it is run.
            placement: this process's place.

        Raises:
            ConfigError: what is there is of another model, or of other images.
            OutputError: there is something else in its place.
        """
        self._rows = [str(row) for row in manifest.frame["row"]]
        self._tasks = dict(classifier.head.tasks)
        found: Unfinished | FairauditError | None = None
        if placement.process == 0:
            try:
                of = predicted_from(classifier, manifest, settings, placement.device.type)
                go_on = self._resume
                found = kept.resume(self.out, of, self._rows, self._tasks) if go_on else kept.begin(self.out, of)
            except FairauditError as error:
                found = error
        told = gather((found, socket.gethostname(), os.getpid()), placement)
        self._before = [(host, number) for _, host, number in told[: placement.process]]
        self._alone = placement.processes == 1
        first = told[0][0]
        if isinstance(first, FairauditError):
            raise first
        self._run = first
        assert first is not None
        return first

    def done(self) -> None:
        """The run folder is written: what was kept is not needed any more."""
        if self._run is not None:
            kept.discard(self._run)

    def sentence(self, error: BaseException) -> str | None:
        """What is kept, and how to go on; None where nothing is, or another process says it.

        Args:
            error: what ended the run; one of ours ends it in all processes, and the main one says so.
        """
        if self._run is None or (self._before and isinstance(error, FairauditError)):
            return None
        if not all(_ended(host, number) for host, number in self._before):
            return None
        images = kept.images_kept(self._run, self._rows, self._tasks)
        if not images:
            return None
        least = "" if self._alone else "at least "
        out = self._run.folder.with_name(self._run.folder.name.removesuffix(kept.SUFFIX))
        return (
            f"{least}{images:,} of {len(self._rows):,} images are kept in {self._run.folder}; "
            f"the same command with --resume --out {out} goes on with the others"
        )


@contextmanager
def keeping(out: Path, resume: bool, say: Callable[[str], None] | None) -> Iterator[Keeping]:
    """Within the block a run may be interrupted; what is kept then is said, and is taken away where the run said ``done``.

    Args:
        out: the run folder.
        resume: go on with what is there.
        say: told the sentence, in one process.
    """
    run = Keeping(out, resume)
    try:
        yield run
    except BaseException as error:
        sentence = run.sentence(error)
        if sentence is not None and say is not None:
            say(sentence)
        raise


def predicted_from(classifier: Classifier, manifest: Manifest, settings: InferenceSettings, device: str) -> dict[str, Any]:
    """Everything that changes predictions, in words and digests.

    Args:
        classifier: the network.
        manifest: the images.
        settings: how it is run.
        device: the kind that it is run on.
    """
    rows = [str(row) for row in manifest.frame["row"]]
    step = max(1, len(rows) // LOOKED_AT)
    return {
        "checkpoint": classifier.sha256,
        "architecture": " ".join([classifier.architecture, *(f"{k}={v}" for k, v in classifier.arch_kwargs.items())]),
        "head": classifier.head.to_record(),
        "preprocessing": classifier.preprocess.model_dump(mode="json", exclude={"source"}),
        **{key.replace("_", " "): value for key, value in settings.model_dump(exclude=_NO_MATTER).items()},
        "device": device,
        "images": hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest(),
        "pixels": [_digest(manifest, row) for row in rows[::step]],
        "version of fairaudit": fairaudit.__version__,
    }


def _digest(manifest: Manifest, row: str) -> str:
    """Of an image's bytes; empty where they cannot be read, which may be mended until the run goes on."""
    try:
        return hashlib.sha256(manifest.store.read(row)).hexdigest()
    except (OSError, DataError):
        return ""


def _ended(host: str, number: int) -> bool:
    """Whether a process has ended; one of another machine has not, as far as this one can tell."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
