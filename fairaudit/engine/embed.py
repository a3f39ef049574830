"""What a network makes of images at one of its layers: every image exactly once, in the order of the manifest.

``predict`` does the work: the network is wrapped so that a layer's numbers take the place of its outputs. Reading,
threads, processes, halving of batches and unreadable images are therefore those of every other run.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fairaudit.config import InferenceSettings, Preprocess
from fairaudit.data.manifest import Manifest
from fairaudit.engine.features import head_of
from fairaudit.engine.predict import ImageClassifier, Inference, predict
from fairaudit.errors import CheckpointError, UsageError
from fairaudit.models.embedder import EmbeddingNetwork

TASK = "embedding"


class LayerOutput(nn.Module):
    """A network that returns what one of its layers makes of an image, as one row of numbers.

    Maps (b, c, h, w) are averaged over their places, sequences (b, t, c) over their tokens. Threads may share it.

    Args:
        network: images (b, 3, h, w) → anything.
        layer: name of a module within the network; empty takes what goes into its last layer, or what an embedding network
            gives.

    Raises:
        UsageError: there is no such layer, or the last one cannot be told.
    """

    def __init__(self, network: nn.Module, layer: str = "") -> None:
        super().__init__()
        self.network = network
        self._seen = threading.local()
        if layer:
            known = dict(network.named_modules())
            if layer not in known or known[layer] is network:
                near = difflib.get_close_matches(layer, list(known), n=3, cutoff=0.5)
                hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; its parts are {_parts(network)}"
                raise UsageError(f"--layer {layer!r}: the network has no such layer{hint}")
            self.name = layer
            known[layer].register_forward_hook(self._after)
        elif isinstance(network, EmbeddingNetwork):
            self.name = "its embedding head"
            network.register_forward_hook(self._after)
        else:
            self.name, last = head_of(network)
            last.register_forward_pre_hook(self._before)

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) images → (b, d)."""
        self._seen.latest = None
        self.network(images)
        found = self._seen.latest
        self._seen.latest = None
        if isinstance(found, tuple | list) and found:
            found = found[0]
        if isinstance(found, Tensor) and found.dim() == 4:
            found = found.mean((2, 3))
        elif isinstance(found, Tensor) and found.dim() == 3:
            found = found.mean(1)
        if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(images):
            said = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise UsageError(
                f"--layer {self.name!r}: it makes {said} of {len(images)} images, not a row of numbers for each"
            )
        return found.float()

    def _before(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:  # noqa: ARG002 (torch passes the layer)
        self._seen.latest = inputs[0]

    def _after(self, module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG002
        self._seen.latest = output


@dataclass(frozen=True)
class _AsItIs:
    """A head for numbers that mean nothing but themselves."""

    size: int

    @property
    def tasks(self) -> Mapping[str, tuple[str, ...]]:
        return {TASK: tuple(map(str, range(self.size)))}

    def scores(self, logits: Tensor) -> Mapping[str, Tensor]:
        return {TASK: logits}


@dataclass(frozen=True, eq=False)
class Embedder:
    """A network cut at one of its layers; an ``ImageClassifier`` whose scores are embeddings.

    Attributes:
        model: images → (b, d).
        head: hands the numbers through.
        preprocess: how images are prepared.
        layer: where it was cut.
    """

    model: nn.Module
    head: _AsItIs
    preprocess: Preprocess
    layer: str

    @property
    def size(self) -> int:
        """Numbers per image, d."""
        return self.head.size


def cut(classifier: ImageClassifier, layer: str = "") -> Embedder:
    """Cut a network at a layer, and try it on two grey images.

    Args:
        classifier: the whole network.
        layer: name of a module within it; empty takes what goes into its last layer, the pooled features.

    Raises:
        UsageError: there is no such layer, or it makes no row of numbers for each image.
        CheckpointError: the network does not take images of its own size.
    """
    wrapped = LayerOutput(classifier.model, layer).eval()
    height, width = classifier.preprocess.size
    try:
        with torch.inference_mode():
            found = wrapped(torch.zeros(2, 3, height, width))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise CheckpointError(f"the network fails on images of {height} × {width} pixels: {reason}") from error
    return Embedder(wrapped, _AsItIs(int(found.shape[1])), classifier.preprocess, wrapped.name)


def whole(model: nn.Module, preprocess: Preprocess) -> Embedder:
    """A network that gives embeddings, as it is; it is tried on two grey images.

    Args:
        model: (b, 3, h, w) → (b, d), in evaluation mode on the CPU.
        preprocess: how images are prepared.
    """
    height, width = preprocess.size
    with torch.inference_mode():
        found = model(torch.zeros(2, 3, height, width))
    return Embedder(model, _AsItIs(int(found.shape[1])), preprocess, "")


def embed(
    embedder: Embedder, manifest: Manifest, settings: InferenceSettings, progress: Callable[[int, int], None] | None = None
) -> Inference:
    """Embed every image of a manifest; see ``predict`` for what is raised, and what several processes do.

    Args:
        embedder: the network.
        manifest: which images.
        settings: device, precision, batch size, workers, unreadable images.
        progress: called with (images done, images in all).

    Returns:
        Its ``scores[TASK]`` are the embeddings, (n, d), rounded to 6 decimals.
    """
    return predict(embedder, manifest, settings, progress)


def _parts(network: nn.Module) -> str:
    names = [name for name, _ in network.named_children()]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
