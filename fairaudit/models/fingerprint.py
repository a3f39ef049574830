"""What identifies a network: a hash over the names and shapes of its tensors, and a sketch that finds near misses.

The fingerprint is a sum of one hash per tensor, so leaving a layer out is a subtraction: a checkpoint is looked up once
for each layer that could be its classifier head without hashing it again. The sketch is the bottom-k sample of
Broder's MinHash (*On the resemblance and containment of documents*, 1997), from which the share of tensors that two
networks have in common is estimated. Shapes only; nothing here touches a weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name → shape, as in a state dict."""

SKETCH_SIZE = 24
_MODULUS = 1 << 64


def is_counter(key: str) -> bool:
    """Whether a tensor is batch normalisation's count of batches, which is no weight and which some files lack."""
    return key == "num_batches_tracked" or key.endswith(".num_batches_tracked")


def is_below(key: str, layers: Iterable[str]) -> bool:
    """Whether a tensor belongs to one of the layers.

    Args:
        key: tensor name, for example ``classifier.1.weight``.
        layers: layer names, for example ``["classifier.1"]``.
    """
    return any(key == layer or key.startswith(layer + ".") for layer in layers)


def tensor_hashes(shapes: Shapes) -> dict[str, int]:
    """A 64-bit hash of every tensor's name and shape, counters left out.

    Args:
        shapes: tensor name → shape.
    """
    return {
        key: int.from_bytes(blake2b(f"{key}:{shape}".encode(), digest_size=8).digest(), "big")
        for key, shape in ((k, tuple(s)) for k, s in shapes.items())
        if not is_counter(key)
    }


def fingerprint(hashes: Mapping[str, int], without: Iterable[str] = ()) -> str:
    """The sum of a network's tensor hashes as 16 hexadecimal digits.

    Args:
        hashes: from ``tensor_hashes``.
        without: layers that are left out, usually the classifier head.
    """
    layers = tuple(without)
    return f"{sum(h for key, h in hashes.items() if not is_below(key, layers)) % _MODULUS:016x}"


def sketch(hashes: Iterable[int]) -> frozenset[int]:
    """The smallest ``SKETCH_SIZE`` hashes, shortened to 32 bits.

    Args:
        hashes: 64-bit hashes of a network's tensors.
    """
    return frozenset(sorted({h >> 32 for h in hashes})[:SKETCH_SIZE])


def resemblance(a: frozenset[int], b: frozenset[int]) -> float:
    """Estimated share of tensors that two networks have in common, in [0, 1].

    Args:
        a: sketch of one network.
        b: sketch of the other.
    """
    smallest = sorted(a | b)[:SKETCH_SIZE]
    return sum(1 for h in smallest if h in a and h in b) / len(smallest) if smallest else 0.0
