"""The state of a training between two epochs, in one file, so that an interrupted one goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tempfile
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fairaudit.artifacts.folder import unwritable
from fairaudit.config import TrainingSettings
from fairaudit.engine.history import Epoch, Validation
from fairaudit.engine.training_data import TrainingData
from fairaudit.errors import ArtifactError
from fairaudit.losses.base import GroupLoss

STATE = "training.pt"
_FORMAT = 2
_NO_MATTER = {"device", "workers", "cache", "log", "accumulate"}
"""Settings that change how fast a training is and what is written beside it, but neither its data nor its mathematics."""
_UNREADABLE = {"labels of the training images", "layers of the network"}
"""What is compared by a hash, which nobody wants to read."""


def identity(
    model: nn.Module,
    data: TrainingData,
    loss: GroupLoss,
    settings: TrainingSettings,
    *,
    validation: int,
    mixer: object,
    batches: object = None,
    processes: int,
) -> dict[str, Any]:
    """What must be the same for a training to go on where another stopped, in words and plain values.

    Args:
        model: the network.
        data: what it is trained on.
        loss: what is minimised.
        settings: how.
        validation: number of validation images.
        mixer: what mixes images beside the settings; None does nothing.
        batches: what draws batches in the place of the settings; None does nothing.
        processes: how many share the work.
    """
    chosen = settings.model_dump(mode="json", exclude=_NO_MATTER)
    labels = hashlib.sha256(data.targets.contiguous().numpy().tobytes() + data.groups.contiguous().numpy().tobytes())
    layers = repr([(name, tuple(value.shape)) for name, value in model.state_dict().items()])
    return {
        **chosen,
        "number of training images": len(data),
        "number of validation images": validation,
        "classes": ", ".join(data.classes),
        "groups": ", ".join(data.group_labels),
        "labels of the training images": labels.hexdigest(),
        "layers of the network": hashlib.sha256(layers.encode()).hexdigest(),
        "loss": _described(loss),
        "criterion": _described(loss.criterion),
        "mixing": _described(mixer),
        **({} if batches is None else {"batches": _described(batches)}),
        "number of processes": processes,
    }


def _described(thing: object) -> str:
    """Its class, what is set of it in plain values, and the same of what it is made of."""
    if thing is None:
        return "none"
    if dataclasses.is_dataclass(thing):
        return repr(thing)
    name = getattr(thing, "__qualname__", type(thing).__qualname__)  # of a function its own
    plain = {
        key: value
        for key, value in sorted(getattr(thing, "__dict__", {}).items())
        if isinstance(value, bool | int | float | str | tuple) and not key.startswith("_") and key != "training"
    }
    parts = [f"{key}={value!r}" for key, value in plain.items()]
    if isinstance(thing, nn.Module):
        parts += [f"{key}={_described(part)}" for key, part in thing.named_children()]
    return name + (f"({', '.join(parts)})" if parts else "")


def save_state(folder: Path, who: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write the file, whole or not at all.

    Args:
        folder: made if it is not there.
        who: what ``identity`` told.
        state: tensors and plain values.

    Raises:
        OutputError: it could not be written; what was there is untouched.
    """
    path = folder / STATE
    part: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{STATE}.", suffix=".part", delete=False) as file:
            part = Path(file.name)
            content = {"format": _FORMAT, "identity": dict(who), **state}
            torch.save({**content, "seal": _seal(content)}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        if part is not None:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise


def load_state(folder: Path, who: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the file; what a killed process left half-written beside it is removed.

    Args:
        folder: of the training.
        who: what ``identity`` told of the training that is to go on.

    Returns:
        What ``save_state`` was given; None when no epoch was finished yet.

    Raises:
        ArtifactError: it cannot be read, or is another training's.
    """
    path = folder / STATE
    for part in folder.glob(f".{STATE}.*.part"):
        part.unlink(missing_ok=True)
    if not path.exists():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storages that no state has
            state = torch.load(path, map_location="cpu", weights_only=True)
        known = state["format"] == _FORMAT
        if known and state.pop("seal") != _seal(state):
            raise ValueError("something in it is not as it was written")
        before = state["identity"]
    except Exception as error:  # torch says in many ways that a file is not what it should be
        raise ArtifactError(f"{path} is not the state of a training, or damaged; delete it to begin anew") from error
    if not known:
        raise ArtifactError(f"{path} was written by another version of fairaudit; delete it to begin anew")
    for key in {**before, **who}:
        if before.get(key) != who.get(key):
            difference = f"the {key} differ"
            if key not in _UNREADABLE:
                difference = (
                    f"{key if ' ' in key else key.replace('_', '-')} was {before.get(key)} and is now {who.get(key)}"
                )
            raise ArtifactError(
                f"{path} is the state of another training: {difference}; go on as it was begun, or choose another folder"
            )
    return {key: value for key, value in state.items() if key not in ("format", "identity")}


def _seal(content: Any) -> str:
    """A digest of all that nested containers hold, so that no later step meets what was not written."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous().reshape(-1)
            bits = plain.view(torch.uint8) if len(plain) else plain
            digest.update(f"{value.dtype}{tuple(value.shape)}{zlib.crc32(bits.numpy().data)}".encode())
        elif isinstance(value, Mapping):
            digest.update(f"{len(value)} named".encode())
            for name, one in value.items():
                digest.update(repr(name).encode())
                add(one)
        elif isinstance(value, list | tuple):
            digest.update(f"{len(value)} in order".encode())
            for one in value:
                add(one)
        else:
            digest.update(repr(value).encode())

    add(content)
    return digest.hexdigest()


def buffers_of(module: nn.Module) -> dict[str, Tensor]:
    """Copies of all buffers: what a module remembers that is not a weight.

    Args:
        module: a network or a loss.
    """
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@torch.no_grad()
def set_buffers(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Set all buffers.

    Args:
        module: a network or a loss.
        values: what ``buffers_of`` gave.
    """
    for name, buffer in module.named_buffers():
        buffer.copy_(values[name])


def epoch_record(epoch: Epoch) -> dict[str, Any]:
    """An epoch in plain values; ``epoch_of`` is the inverse.

    Args:
        epoch: one.
    """
    return dataclasses.asdict(epoch)


def epoch_of(record: Mapping[str, Any]) -> Epoch:
    """An epoch from plain values.

    Args:
        record: what ``epoch_record`` gave.
    """
    checked = record["validation"]
    validation = None if checked is None else Validation(checked["score"], tuple(checked["group_accuracies"]))
    return Epoch(**{**record, "group_losses": tuple(record["group_losses"]), "validation": validation})
