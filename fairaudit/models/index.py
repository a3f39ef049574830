"""The shipped index of every classification network that timm and torchvision build: read here, and written by running it.

``python -m fairaudit.models.index`` surveys the installed libraries and rewrites the index. It takes half an
hour and goes on where it stopped when it is started again with the same ``--work`` folder, which holds a line for each
network and can be deleted afterwards.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairaudit.models.fingerprint import fingerprint, is_below, sketch, tensor_hashes

if TYPE_CHECKING:
    from fairaudit.models.survey import Surveyed

INDEX = Path(__file__).with_name("architectures.json.gz")
_LIBRARIES = ("timm", "torchvision")


@dataclass(frozen=True)
class Entry:
    """One network of the index.

    Attributes:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        kwargs: constructor arguments that differ from the library's defaults.
        head: layers whose width is the class count, for example ``("classifier.1",)``.
        fingerprint: of its tensors without those layers.
        outer_fingerprint: of its tensors without the block that holds the one head layer; empty when there is no block.
        function: networks with equal fingerprints and equal numbers were measured to compute the same outputs.
        tensors: sketch of its tensors' names and shapes, head left out.
        names: sketch of its tensors' names alone, head left out.
    """

    name: str
    kwargs: Mapping[str, Any]
    head: tuple[str, ...]
    fingerprint: str
    outer_fingerprint: str
    function: int
    tensors: frozenset[int]
    names: frozenset[int]

    @property
    def bare(self) -> str:
        """The name without its library."""
        return self.name.partition("/")[2]

    @property
    def outer(self) -> tuple[str, ...]:
        """The block that holds the head layer: ``("classifier",)`` for ``classifier.1``, empty when there is none."""
        return outer_of(self.head)


@dataclass(frozen=True)
class Index:
    """Every network, and the versions of the libraries that were surveyed.

    Attributes:
        versions: library → version.
        entries: sorted by name.
    """

    versions: Mapping[str, str]
    entries: tuple[Entry, ...]


def outer_of(head: Sequence[str]) -> tuple[str, ...]:
    """The block that holds the one head layer; empty when there are several layers or none holds them.

    Args:
        head: layer names.
    """
    parent = head[0].rpartition(".")[0] if len(head) == 1 else ""
    return (parent,) if parent else ()


@cache
def load_index(path: Path = INDEX) -> Index:
    """Read the index; about 50 milliseconds, once a process.

    Args:
        path: the shipped file, unless a test brings another.
    """
    raw = json.loads(gzip.decompress(path.read_bytes()))
    shipped = tuple(_entry(*row) for row in raw["networks"])
    return Index(raw["versions"], (*shipped, *_own_entries()) if path == INDEX else shipped)


def _own_entries() -> list[Entry]:
    """Of fairaudit's own networks: few and small, so they are described when they are needed."""
    from fairaudit.models.own import RECOGNISED
    from fairaudit.models.survey import survey

    found = [survey(f"fairaudit/{name}", {}) for name in RECOGNISED]
    return [_described(item, fingerprint(tensor_hashes(item.shapes), item.head), 0) for item in found]


def _entry(
    name: str, kwargs: Mapping[str, Any], head: list[str], full: str, outer: str, number: int, a: str, b: str
) -> Entry:
    return Entry(name, kwargs, tuple(head), full, outer, number, _unpack(a), _unpack(b))


def _pack(hashes: frozenset[int]) -> str:
    return "".join(f"{h:08x}" for h in sorted(hashes))


def _unpack(text: str) -> frozenset[int]:
    return frozenset(int(text[i : i + 8], 16) for i in range(0, len(text), 8))


def name_hashes(hashed_shapes: Mapping[str, tuple[int, ...]]) -> list[int]:
    """Hashes of tensor names alone.

    Args:
        hashed_shapes: tensor name → shape.
    """
    return list(tensor_hashes(dict.fromkeys(hashed_shapes, ())).values())


def build_index(work: Path, say: Callable[[str], None]) -> Index:
    """Survey the installed libraries. Networks without a classifier head are no classifiers and are left out.

    Args:
        work: folder that an interrupted survey goes on from.
        say: told of progress and of networks that could not be built.
    """
    from fairaudit.models.survey import survey_all

    work.mkdir(parents=True, exist_ok=True)
    surveyed = survey_all(work / "survey.jsonl", say)
    for item in surveyed:
        if item.error or not item.head:
            say(f"left out: {item.name}: {item.error or 'no classifier head'}")
    usable = [item for item in surveyed if item.head]
    prints = [fingerprint(tensor_hashes(item.shapes), item.head) for item in usable]
    alike: dict[str, list[Surveyed]] = {}
    for item, mark in zip(usable, prints, strict=True):
        alike.setdefault(mark, []).append(item)
    numbers = _functions([group for group in alike.values() if len(group) > 1], work / "functions.jsonl", say)
    entries = [_described(item, mark, numbers.get(_label(item), 0)) for item, mark in zip(usable, prints, strict=True)]
    return Index({library: version(library) for library in _LIBRARIES}, tuple(entries))


def _described(item: Surveyed, mark: str, function: int) -> Entry:
    outer = outer_of(item.head)
    trunk = {key: shape for key, shape in item.shapes.items() if not is_below(key, item.head)}
    return Entry(
        item.name,
        item.kwargs,
        item.head,
        mark,
        fingerprint(tensor_hashes(item.shapes), outer) if outer else "",
        function,
        sketch(tensor_hashes(trunk).values()),
        sketch(name_hashes(trunk)),
    )


def _label(item: Surveyed) -> str:
    return f"{item.name} {json.dumps(dict(item.kwargs))}"


def _functions(groups: list[list[Surveyed]], record: Path, say: Callable[[str], None]) -> dict[str, int]:
    """Number of the function that each network of each group computes; groups already in ``record`` are not tried again."""
    import torchvision.models
    from timm import get_pretrained_cfg

    from fairaudit.models.equivalence import function_classes

    def size_of(item: Surveyed) -> int:
        library, _, bare = item.name.partition("/")
        if library == "timm":
            config = get_pretrained_cfg(bare)
            return int(config.input_size[-1]) if config is not None else 224
        size = torchvision.models.get_model_weights(bare).DEFAULT.transforms().crop_size
        return int(size[0] if isinstance(size, (list, tuple)) else size)

    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    known: dict[str, int] = {}
    for line in lines:
        known.update(json.loads(line))
    with record.open("a", encoding="utf-8") as out:
        for count, group in enumerate(groups):
            labels = [_label(item) for item in group]
            if not all(label in known for label in labels):
                parameters = sum(math.prod(shape) for shape in group[0].shapes.values())
                candidates = [(item.name, item.kwargs) for item in group]
                found = function_classes(candidates, min(map(size_of, group)), parameters)
                numbers = dict(zip(labels, found, strict=True))
                known.update(numbers)
                out.write(json.dumps(numbers) + "\n")
                out.flush()
            say(f"functions {count + 1} of {len(groups)}: {labels}")
    return known


def write_index(index: Index, path: Path) -> None:
    """Write the index whole or not at all; the same index gives the same bytes.

    Args:
        index: what to write.
        path: where; replaced.
    """
    rows = [
        [
            e.name,
            dict(e.kwargs),
            list(e.head),
            e.fingerprint,
            e.outer_fingerprint,
            e.function,
            _pack(e.tensors),
            _pack(e.names),
        ]
        for e in index.entries
    ]
    text = json.dumps({"versions": dict(index.versions), "networks": rows}, separators=(",", ":"))
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
        part.write(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    Path(part.name).chmod(0o644)
    Path(part.name).replace(path)


def main() -> None:
    """The script: survey and write."""
    parser = argparse.ArgumentParser(
        prog="python -m fairaudit.models.index", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--work", type=Path, default=Path("index-work"), help="folder that an interrupted run goes on from")
    parser.add_argument("--out", type=Path, default=INDEX, help="the index file to write")
    flags = parser.parse_args()
    index = build_index(flags.work, lambda line: print(line, file=sys.stderr, flush=True))
    write_index(index, flags.out)
    print(f"{len(index.entries)} networks, {flags.out.stat().st_size} bytes: {flags.out}")


if __name__ == "__main__":
    main()
