"""Networks that give embeddings: their test images as a table of what was found again.

The table is that of ``embed``: one row per test image, target ``recall_at_1``, so that accuracy is recall@1 and audits,
comparisons and reports read it like any other.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from fairaudit.artifacts.embeddings import IDENTITY, Embeddings, check_values
from fairaudit.config import InferenceSettings
from fairaudit.data.manifest import Manifest
from fairaudit.engine.embed import TASK, embed, whole
from fairaudit.metrics.retrieval import Retrieval, Vectors, retrieve
from fairaudit.predictions import MISSING, Column, Predictions
from fairaudit.workflows.embed_tables import Space, found_table, space_of
from fairaudit.workflows.embedding_arms import KS
from fairaudit.workflows.experiment import Experiment
from fairaudit.workflows.labels import columns_of


def found_again(experiment: Experiment, model: nn.Module) -> Predictions:
    """What each test image finds among the others.

    Args:
        experiment: whose test images.
        model: (b, 3, h, w) → (b, d), in evaluation mode on the CPU.

    Raises:
        DataError: an embedding is no finite number.
    """
    manifest = experiment.splits.test
    settings = InferenceSettings(device=experiment.config.training.device)
    inference = embed(whole(model, experiment.preprocess), manifest, settings)
    place = {str(row): i for i, row in enumerate(manifest.frame["row"])}
    read = manifest.take(np.array([place[str(row)] for row in inference.rows], dtype=np.int64))
    values = check_values(inference.scores[TASK].astype(np.float32), inference.rows.tolist(), "the trained network")
    space = _space(experiment, read, values)
    return found_table(space, retrieve(space.unit, space.classes, KS))


def nothing_found(experiment: Experiment) -> Predictions:
    """The table of a network that finds nothing, for what can be said before one is trained.

    Args:
        experiment: whose test images; none is read.

    Raises:
        DataError: there are no two classes, or no class with two test images.
    """
    manifest = experiment.splits.test
    space = _space(experiment, manifest, np.ones((len(manifest), 1), dtype=np.float32))
    held = np.flatnonzero(space.classes != MISSING)
    relevant = np.bincount(space.classes[held])[space.classes[held]] - 1
    misses, unknown = np.zeros(len(held), dtype=np.bool_), np.full(len(held), np.nan)
    return found_table(space, Retrieval(held, dict.fromkeys(KS, misses), relevant, unknown, unknown, unknown))


def _space(experiment: Experiment, manifest: Manifest, values: Vectors) -> Space:
    """The test images by their class. Who is on them is a column of its own, also where it is the target."""
    (target,) = experiment.tasks
    frame = manifest.frame
    identity = Column.of(frame[IDENTITY].tolist()) if IDENTITY in frame.columns else None
    rows = frame["row"].to_numpy(dtype=object)
    embeddings = Embeddings(values, rows, columns_of(manifest)[0], identity)
    return space_of(embeddings, (target,))
