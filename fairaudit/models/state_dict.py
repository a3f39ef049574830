"""Find the state dict inside what a training script saved, and undo the wrappers that its names went through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairaudit.errors import CheckpointError
from fairaudit.models.checkpoint import check_claim
from fairaudit.models.fingerprint import is_counter

_PLAIN = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params")
_EMA = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
_NOT_WEIGHTS = ("optim", "sched", "scaler", "loop", "callback", "hyper", "args", "config")
_COMPILED = "_orig_mod."
_AVERAGING_COUNT = "n_averaged"


@dataclass(frozen=True, eq=False)
class StateDict:
    """A network's tensors under the names that its architecture gave them.

    Attributes:
        tensors: name → tensor, on the CPU.
        notes: what was chosen on the way, each a clause for the preflight.
    """

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...]


def find_state_dict(content: Any, path: Path) -> StateDict:
    """Unwrap nests (``state_dict``, ``model`` …) and prefixes (``module.``, ``_orig_mod.``, ``model.`` …).

    Plain weights are taken where both they and an exponential moving average are there, because they are what training
    validated; the choice is noted. A prefix is removed only when every name has it.

    Args:
        content: what the file held.
        path: the file, for messages.

    Raises:
        CheckpointError: there is no state dict in it, or it holds something that is no weight.
    """
    notes: list[str] = []
    found = _unnest(content, notes)
    if found is None:
        keys = ", ".join(map(_named, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
        raise CheckpointError(
            f"{path} holds no weights that fairaudit can find, only {keys or 'nothing'}; save model.state_dict()"
        )
    tensors = _only_tensors(found, path)
    tensors = _strip(tensors, notes)
    _refuse_unusable(tensors, path)
    return StateDict(tensors, tuple(notes))


def _named(key: object) -> str:
    return key if isinstance(key, str) else type(key).__name__  # a tuple within tuples would take forever to spell


def _unnest(content: Any, notes: list[str]) -> Mapping[str, Any] | None:
    for _ in range(4):
        if not isinstance(content, Mapping):
            return None
        if _is_state_dict(content):
            return content
        plain = [key for key in _PLAIN if isinstance(content.get(key), Mapping) and content[key]]
        average = [key for key in _EMA if isinstance(content.get(key), Mapping) and content[key]]
        if plain:
            if average:
                notes.append(f"the plain weights ({plain[0]}) were taken, the moving average ({average[0]}) was left aside")
            content = content[plain[0]]
        elif average:
            notes.append(f"the weights are a moving average ({average[0]}): the file has no others")
            content = content[average[0]]
        else:
            others = [
                k for k, v in content.items() if _is_state_dict(v) and not any(w in str(k).lower() for w in _NOT_WEIGHTS)
            ]
            if len(others) != 1:
                return None
            notes.append(f"the weights are the file's entry {others[0]!r}")
            content = content[others[0]]
    return None


def _is_state_dict(content: Any) -> bool:
    """Names with dots, or names that are tensors: what ``Module.state_dict`` gives and a training record does not."""
    if not isinstance(content, Mapping) or not content:
        return False
    count = sum(isinstance(value, Tensor) for value in content.values())
    return count * 2 > len(content) and all(isinstance(key, str) for key in content)


def _only_tensors(found: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for key, value in found.items():
        if isinstance(value, Tensor):
            tensors[key] = value.detach()
        elif is_counter(key) and isinstance(value, int) and abs(value) < 2**63:
            tensors[key] = torch.tensor(value)
        else:
            raise CheckpointError(
                f"{path}: {key!r} among the weights is no tensor but {type(value).__name__}; save model.state_dict() alone"
            )
    return tensors


def _strip(tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    if any(_COMPILED in key for key in tensors):
        tensors = {key.replace(_COMPILED, ""): value for key, value in tensors.items()}
    while tensors:
        if _AVERAGING_COUNT in tensors and all(key.startswith("module.") for key in tensors if key != _AVERAGING_COUNT):
            tensors = {key: value for key, value in tensors.items() if key != _AVERAGING_COUNT}
        first = next(iter(tensors)).partition(".")[0] + "."
        # No network of either library has one name before every dot, so a shared one belongs to a wrapper. A file with a
        # single layer is left as it is: there, the shared name is the layer's own.
        inner = {key.removeprefix(first) for key in tensors}
        if not all(key.startswith(first) for key in tensors) or not any("." in key for key in inner):
            break
        if first != "module.":
            notes.append(f"the prefix {first!r} was removed from every name")
        tensors = {key.removeprefix(first): value for key, value in tensors.items()}
    return tensors


def _is_finite(value: Tensor) -> bool:
    return bool((value.float() if value.element_size() == 1 else value).isfinite().all())  # torch has none for eight bits


def _refuse_unusable(tensors: Mapping[str, Tensor], path: Path) -> None:
    odd = [key for key, value in tensors.items() if value.layout != torch.strided or value.is_meta or value.is_complex()]
    if odd:
        raise CheckpointError(
            f"{path}: {odd[0]!r} among the weights is sparse, complex or empty of numbers; save it as a plain tensor"
        )
    check_claim(sum(value.numel() * value.element_size() for value in tensors.values()), path)
    quantized = [key for key, value in tensors.items() if value.is_quantized]
    if quantized:
        raise CheckpointError(
            f"{path}: the weights are quantized ({quantized[0]} …); bring the checkpoint before quantization"
        )
    broken = [key for key, value in tensors.items() if value.is_floating_point() and not _is_finite(value)]
    if broken:
        raise CheckpointError(
            f"{path}: {len(broken)} of {len(tensors)} tensors hold NaN or infinity, first {broken[0]}: training diverged"
        )
