"""Run a classifier over a manifest: every row exactly once, in manifest order, whoever computes it.

On the CPU, threads of this process each decode a batch and run the network on it with one thread inside the operators:
nothing is copied between processes and no core waits for another. On a GPU, loader processes decode into pinned memory
while the device computes. Several processes (``torchrun``) take every n-th batch and tell each other the results. The
boundaries of the batches are fixed by the manifest alone, so that neither threads nor processes nor an interruption change
a number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import DataLoader

from fairaudit.artifacts.unfinished import Kept, Shards, Unfinished
from fairaudit.config import InferenceSettings
from fairaudit.data.images import ImageBatch, ImageBatches
from fairaudit.data.manifest import Manifest
from fairaudit.engine.devices import Placement, cores, gather, keep_freed_memory, place
from fairaudit.engine.forward import Forward, ImageClassifier
from fairaudit.engine.lost import losses_told
from fairaudit.errors import CheckpointError, FairauditError, LostProcessError, OutputError, UnreadableImagesError
from fairaudit.predictions import FloatArray, StrArray

__all__ = ["ImageClassifier", "Inference", "predict"]

# Small batches keep a core's activations in its cache; a GPU wants large ones, and they are halved if they do not fit.
_BATCH_SIZE = {"cpu": 16, "cuda": 256, "mps": 64}
_MOST_LOADERS = 8
_SHOWN = 5

Scores = Mapping[str, FloatArray]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Inference:
    """What a classifier said about a manifest's images, and how it was run.

    Attributes:
        rows: (n,) row ids in manifest order, without the unreadable ones.
        scores: task → (n, k) float64, rounded to 6 decimals.
        unreadable: (row, reason), in manifest order.
        device: where the network ran.
        precision: fp32, bf16 or fp16.
        batch_size: images at once; smaller than what was asked for if memory ran out.
        workers: threads, or loader processes, per process.
        seconds: wall time of reading, decoding and computing.
        kept: how many of the images were not computed but taken from an interrupted run.
    """

    rows: StrArray
    scores: Scores
    unreadable: tuple[tuple[str, str], ...]
    device: str
    precision: str
    batch_size: int
    workers: int
    seconds: float
    kept: int = 0

    @property
    def images_per_second(self) -> float:
        """Throughput, from the encoded image to its scores."""
        return (len(self.rows) - self.kept) / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class _Done:
    """One batch: what was said about its readable rows, and why the others were not read."""

    index: int
    rows: tuple[str, ...]
    scores: Scores
    unreadable: tuple[tuple[str, str], ...]


@dataclass
class _Share:
    """What one process did; sent to the others as it is."""

    batch_size: int
    images: int = 0
    seconds: float = 0.0
    done: list[_Done] = field(default_factory=list)
    failure: tuple[int, FairauditError] | None = None


def predict(
    classifier: ImageClassifier,
    manifest: Manifest,
    settings: InferenceSettings,
    progress: Progress | None = None,
    unfinished: Unfinished | None = None,
) -> Inference:
    """Run a classifier over every image of a manifest.

    In a group of processes every one of them must call this, and every one receives the whole result (or the same error).

    Args:
        classifier: network, head and preprocessing.
        manifest: which images.
        settings: device, precision, batch size, workers, and how many images may be unreadable.
        progress: called with (images done, images in all) after each batch; in a group of processes the first number is
            reckoned from this process's share.
        unfinished: what an interrupted run left, which is not computed again, and where this one writes what it has; the
            same in every process.

    Raises:
        UnreadableImagesError: more images than allowed cannot be read. All are looked at before this is raised, but once
            it is certain, the network is spared.
        CheckpointError: the network does not take these images, is too large, or its output is not finite.
        LostProcessError: a process that decodes images was killed.
        OutputError: what is predicted cannot be written beside the run folder.
        UsageError: there is no such device, or the network cannot be compiled on it.
    """
    placement = place(settings.device)
    on_cpu = placement.device.type == "cpu"
    workers = settings.workers if settings.workers is not None else (cores() if on_cpu else min(_MOST_LOADERS, cores()))
    batch_size = settings.batch_size or _BATCH_SIZE.get(placement.device.type, 64)
    rows = [str(row) for row in manifest.frame["row"]]
    kept = Kept() if unfinished is None else unfinished.kept
    exact, scaled = settings.exact_resize, settings.scaled_decoding
    batches = ImageBatches(manifest.store, rows, classifier.preprocess, batch_size, exact, kept.rows, scaled)
    left = [index for index in range(len(batches)) if batches.rows_of(index)]
    own = left[placement.process :: placement.processes]
    gone = manifest.store.missing([row for row in rows if row not in batches.known])
    limit = _Limit(settings.max_unreadable, already=len(gone))
    if on_cpu:
        workers = max(1, min(workers, len(own)))
        keep_freed_memory()

    share = _Share(batch_size)
    started = time.perf_counter()
    forward = Forward(classifier, placement.device, settings.precision, batch_size, compiled=settings.compile)
    run = _by_threads if on_cpu else _by_loader
    try:
        with (
            losses_told(),
            closing(run(batches, own, forward, limit, workers)) as results,
            Shards(unfinished, placement.process) as shards,
        ):
            for done in results:
                share.done.append(done)
                shards.add(done.rows, done.scores)
                limit.count(len(done.unreadable))
                share.images += len(batches.rows_of(done.index))
                if progress is not None:
                    progress(min(len(rows), len(kept.rows) + share.images * placement.processes), len(rows))
    except _FailureAt as failure:
        share.failure = (failure.index, failure.error)
    except (LostProcessError, OutputError) as error:  # told to the other processes, which would wait for this one
        share.failure = (len(batches), error)
    share.seconds, share.batch_size = time.perf_counter() - started, forward.batch_size
    return _joined(gather(share, placement), rows, kept, classifier, settings, placement, workers)


class _Limit:
    """How many images may be unreadable; read by threads, counted by one."""

    def __init__(self, most: int, already: int) -> None:
        self.exceeded = already > most
        self._most = most
        self._counted = 0

    def count(self, unreadable: int) -> None:
        self._counted += unreadable
        self.exceeded = self.exceeded or self._counted > self._most


class _FailureAt(Exception):  # noqa: N818 - an envelope, opened before anybody else sees it
    """A failure of the network, and at which batch, so that of several the first is told."""

    def __init__(self, index: int, error: CheckpointError) -> None:
        super().__init__(index, error)
        self.index = index
        self.error = error


@contextmanager
def _at(index: int) -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        raise _FailureAt(index, error) from error


def _by_threads(
    batches: ImageBatches, own: Sequence[int], forward: Forward, limit: _Limit, workers: int
) -> Generator[_Done]:
    """Decode and compute in threads, each batch within one of them; yields in order of completion."""
    failures: list[_FailureAt] = []

    def work(index: int) -> _Done | None:
        if failures:
            return None
        if limit.exceeded:
            return _finished(index, batches.checked(index), None, forward)
        batch = batches[index]
        try:
            return _finished(index, batch, _launched(index, batch, forward), forward)
        except _FailureAt as failure:
            failures.append(failure)
            return None

    inside = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "fairaudit-predict", initializer=torch.set_num_threads, initargs=(1,))
    with forward.interruptible():
        try:
            for future in as_completed([pool.submit(work, index) for index in own]):
                done = future.result()
                if done is not None:
                    yield done
        except BaseException:
            forward.stop()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(inside)
    if failures:  # batches start in order and those that started were finished, so the first failure is among these
        raise min(failures, key=lambda failure: failure.index)


def _by_loader(
    batches: ImageBatches, own: Sequence[int], forward: Forward, limit: _Limit, workers: int
) -> Generator[_Done]:
    """Decode in loader processes and compute here, reading results back one batch late, so that the device never waits."""
    pinned = forward.device.type == "cuda"
    loader = DataLoader(batches, sampler=own, batch_size=None, num_workers=workers, pin_memory=pinned)
    running: tuple[int, ImageBatch, torch.Tensor | None] | None = None
    for index, batch in zip(own, loader, strict=True):
        launched = index, batch, None if limit.exceeded else _launched(index, batch, forward)
        if running is not None:
            yield _finished(*running, forward)
        running = launched
    if running is not None:
        yield _finished(*running, forward)


def _launched(index: int, batch: ImageBatch, forward: Forward) -> torch.Tensor | None:
    with _at(index):
        return forward.logits(batch) if batch.rows else None


def _finished(index: int, batch: ImageBatch, logits: torch.Tensor | None, forward: Forward) -> _Done:
    with _at(index):
        scores = {} if logits is None else forward.scores(batch, logits)
    return _Done(index, batch.rows if scores else (), scores, batch.unreadable)


def _joined(
    shares: Sequence[_Share], rows: Sequence[str], kept: Kept, classifier: ImageClassifier, settings: InferenceSettings,
    placement: Placement, workers: int,
) -> Inference:  # fmt: skip
    """One result from what was kept and every process's share, or the first failure."""
    failures = [share.failure for share in shares if share.failure is not None]
    if failures:  # batches start in order and those that started were finished, so the first failure is among these
        raise min(failures, key=lambda failure: failure[0])[1]
    batches = sorted((done for share in shares for done in share.done), key=lambda done: done.index)
    unreadable = tuple(each for done in batches for each in done.unreadable)
    total = len(kept.rows) + sum(share.images for share in shares)
    if len(unreadable) > settings.max_unreadable:
        raise UnreadableImagesError(_too_many(unreadable, total, settings.max_unreadable))
    parts: list[Kept | _Done] = [kept, *batches]
    parts = [part for part in parts if part.rows]
    found = [row for part in parts for row in part.rows]
    position = {row: i for i, row in enumerate(rows)}
    order = np.argsort(np.array([position[row] for row in found], dtype=np.int64))
    return Inference(
        rows=np.array(found, dtype=object)[order],
        scores={
            task: np.concatenate([np.empty((0, len(classes))), *(part.scores[task] for part in parts)])[order]
            for task, classes in classifier.head.tasks.items()
        },
        unreadable=unreadable,
        device=str(placement.device),
        precision=settings.precision,
        batch_size=min(share.batch_size for share in shares),
        workers=workers,
        seconds=max(share.seconds for share in shares),
        kept=len(kept.rows),
    )


def _too_many(unreadable: Sequence[tuple[str, str]], total: int, most: int) -> str:
    shown = "; ".join(f"{row} ({reason})" for row, reason in unreadable[:_SHOWN])
    more = f"; and {len(unreadable) - _SHOWN} more" if len(unreadable) > _SHOWN else ""
    return (
        f"{len(unreadable)} of {total} images cannot be read, and --max-unreadable allows {most}: {shown}{more}; "
        "mend or remove them, or allow more"
    )
