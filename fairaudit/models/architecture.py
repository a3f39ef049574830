"""Which network is it? Recognised by the names and shapes of its tensors, classifier head aside."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairaudit.errors import ArchitectureError
from fairaudit.models.factory import build_outline
from fairaudit.models.fingerprint import Shapes, fingerprint, is_below, is_counter, resemblance, sketch, tensor_hashes
from fairaudit.models.index import Entry, Index, load_index, name_hashes
from fairaudit.models.survey import PROBE_CLASSES, head_layers, shapes_of

_SHOWN = 3


@dataclass(frozen=True)
class Recognition:
    """The network that a state dict belongs to.

    Attributes:
        entry: the network chosen.
        others: names of networks with the same tensors that compute something else; empty when there are none.
    """

    entry: Entry
    others: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence that names the others, when there are any."""
        if not self.others:
            return ()
        return (
            f"the same tensors also fit {listed(self.others)}, which compute something else; "
            f"{self.entry.name} was taken as the plain one, --arch names another",
        )


def candidates(shapes: Shapes, index: Index) -> list[Entry]:
    """Every network whose tensors these are, whatever the class count.

    A network fits when the tensors below its head layer may be anything and all others agree in name and shape; where
    none fits, the block that holds the head layer may be anything as well, as it is when it was replaced whole.

    Args:
        shapes: tensor name → shape, as in a state dict.
        index: the shipped index.
    """
    hashes = tensor_hashes(shapes)
    exact = _fitting(hashes, ((e, e.head, e.fingerprint) for e in index.entries))
    return exact or _fitting(hashes, ((e, e.outer, e.outer_fingerprint) for e in index.entries if e.outer))


def _fitting(hashes: dict[str, int], rows: Iterable[tuple[Entry, tuple[str, ...], str]]) -> list[Entry]:
    prints: dict[tuple[str, ...], str] = {}
    found = []
    for entry, layers, wanted in rows:
        if layers not in prints:
            prints[layers] = fingerprint(hashes, layers)
        if prints[layers] == wanted:
            found.append(entry)
    return found


def recognise(shapes: Shapes, index: Index | None = None) -> Recognition:
    """Find the network that a state dict belongs to.

    Networks that were measured to compute the same outputs count as one; timm's name is used. Among networks that
    compute different functions the plain one is taken: the one whose name all others extend (``resnet18`` of
    ``resnetblur18``).

    Args:
        shapes: tensor name → shape.
        index: the shipped index when None.

    Raises:
        ArchitectureError: no network fits (the closest is named, with the first tensors that differ), or several do and
            none of them is plain.
    """
    index = index or load_index()
    found = candidates(shapes, index)
    if not found:
        raise ArchitectureError(_unknown(shapes, index))
    plain = _plain(found)
    if plain is None:
        raise ArchitectureError(
            f"the weights fit {listed([e.name for e in found])} equally well, which compute different functions; "
            "choose with --arch"
        )
    return Recognition(plain, tuple(e.name for e in found if not _same_function(e, plain)))


def _same_function(a: Entry, b: Entry) -> bool:
    return a.function == b.function and a.fingerprint == b.fingerprint


def _plain(found: Sequence[Entry]) -> Entry | None:
    ordered = sorted(found, key=lambda e: (len(e.bare), e.name.partition("/")[0] != "timm", e.bare))
    for entry in ordered:
        if all(_same_function(entry, other) or _extends(other.bare, entry.bare) for other in found):
            return entry
    return None


def _extends(longer: str, plain: str) -> bool:
    """Whether ``longer`` is ``plain`` with letters put in: efficientnet_blur_b0 of efficientnet_b0."""
    letters = iter(longer)
    return len(longer) > len(plain) and all(letter in letters for letter in plain)


def _unknown(shapes: Shapes, index: Index) -> str:
    libraries = " or ".join(f"{name} {version}" for name, version in index.versions.items())
    start = f"the checkpoint's {len(shapes)} tensors fit no network of {libraries}"
    part = _part_that_fits(shapes, index)
    if part is not None:
        return f"{start}, {part}"
    advice = "name it with --arch and --arch-kwargs"
    tensors, names = sketch(tensor_hashes(shapes).values()), sketch(name_hashes(shapes))
    score, closest = max(
        ((resemblance(tensors, e.tensors) + 0.5 * resemblance(names, e.names), e) for e in index.entries),
        key=lambda pair: (pair[0], -len(pair[1].name)),
    )
    if score < 0.1:
        return f"{start}, and none is close (its first are {listed(list(shapes)[:_SHOWN])}); {advice}"
    try:
        expected = shapes_of(build_outline(closest.name, PROBE_CLASSES, closest.kwargs).state_dict())
    except ArchitectureError:
        return f"{start}; the closest is {closest.name}, which the installed libraries cannot build; {advice}"
    differing = differences(shapes, expected, closest.head)
    shown = "; ".join(itertools.islice(differing, _SHOWN))
    return f"{start}; the closest is {closest.name}, which differs in {len(differing)} tensors, first {shown}; {advice}"


def _part_that_fits(shapes: Shapes, index: Index) -> str | None:
    """A training module that keeps its network beside other weights, a loss's for example: which part is the network."""
    prefix, count = Counter(key.partition(".")[0] + "." for key in shapes).most_common(1)[0]
    found = candidates({key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}, index)
    if not found or count == len(shapes):
        return None
    others = [key for key in shapes if not key.startswith(prefix)]
    return (
        f"but the {count} below {prefix!r} fit {found[0].name}; the rest ({listed(others, limit=3)}) belongs to "
        "something else: save the network's state_dict() alone"
    )


def differences(shapes: Shapes, expected: Shapes, head: Sequence[str]) -> list[str]:
    """What tells a state dict from a network, one clause for each tensor, in the network's order.

    Args:
        shapes: of the state dict.
        expected: of the network.
        head: layers of the network that may be anything.
    """
    clauses = []
    for key, shape in expected.items():
        if is_below(key, head) or is_counter(key):
            continue
        if key not in shapes:
            clauses.append(f"{key} is missing")
        elif shapes[key] != shape:
            clauses.append(f"{key} is {shape_text(shapes[key])} where {shape_text(shape)} is expected")
    extra = [key for key in shapes if key not in expected and not is_below(key, head) and not is_counter(key)]
    return clauses + [f"{key} is unexpected" for key in extra]


def fits(name: str, shapes: Shapes, arch_kwargs: dict[str, object]) -> bool:
    """Whether a named network has these tensors, classifier head aside.

    Args:
        name: ``timm/NAME`` or ``torchvision/NAME``.
        shapes: tensor name → shape.
        arch_kwargs: constructor arguments.

    Raises:
        ArchitectureError: the network cannot be built.
    """
    expected = shapes_of(build_outline(name, PROBE_CLASSES, arch_kwargs).state_dict())
    return not differences(shapes, expected, head_layers(expected))


def shape_text(shape: Sequence[int]) -> str:
    """``64x3x7x7``; a single number is ``scalar`` when it has no axis.

    Args:
        shape: of a tensor.
    """
    return "x".join(map(str, shape)) or "scalar"


def listed(names: Sequence[str], limit: int = 6) -> str:
    """``a, b and c``; from ``limit`` on counted.

    Args:
        names: what to list.
        limit: how many are named.
    """
    shown = list(names[:limit])
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
