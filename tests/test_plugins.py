"""The folder is the registry: built-in and third-party plug-ins come through the same functions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from fairaudit import plugins
from fairaudit.errors import FairauditError, UnknownNameError

PACKAGE = Path(plugins.__file__).parent


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three plug-ins of other packages: a good loss, one that lacks its function, one that cannot be imported."""
    (tmp_path / "their_loss.py").write_text(
        '"""A loss of theirs.\n\nLonger words."""\n'
        "def build(n_groups: int, *, power: float = 2.0) -> float:\n    return power\n"
    )
    (tmp_path / "their_empty.py").write_text('"""Nothing."""\n')
    (tmp_path / "their_broken.py").write_text('"""Broken."""\nimport a_module_that_is_not_there\n')
    points = [
        EntryPoint("their_loss", "their_loss", "fairaudit.losses"),
        EntryPoint("empty", "their_empty", "fairaudit.losses"),
        EntryPoint("broken", "their_broken", "fairaudit.losses"),
    ]
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in points if p.group == group])
    plugins._external.cache_clear()
    yield
    plugins._external.cache_clear()
    for name in ("their_loss", "their_empty", "their_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_file_is_a_plugin_and_says_what_it_is(kind: str) -> None:
    folder = PACKAGE / plugins.KINDS[kind][0]
    files = {p.stem for p in folder.glob("*.py")} - {"__init__", "base"}
    names = plugins.names(kind)
    assert names == sorted(names)
    assert {f.replace("_", "-") for f in files if not f.startswith("_")} <= set(names)
    for name in names:
        assert plugins.summary(kind, name), name
        assert plugins.card(kind, name).startswith(plugins.summary(kind, name))


def test_spelling_is_forgiving() -> None:
    assert plugins.canonical("losses", " Cross_Entropy ") == "cross-entropy"


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        plugins.load("losses", "crossentropy")
    assert str(caught.value) == "unknown loss 'crossentropy'; did you mean 'cross-entropy'?"
    with pytest.raises(UnknownNameError) as caught:
        plugins.summary("datasets", "fairfaces")
    assert str(caught.value) == "unknown dataset 'fairfaces'; did you mean 'fairface'?"


@pytest.mark.usefixtures("outside")
def test_plugins_of_other_packages() -> None:
    assert {"their-loss", "empty", "broken", "cross-entropy"} <= set(plugins.names("losses"))
    assert "their-loss" not in plugins.names("datasets")
    module = plugins.load("losses", "THEIR-loss")
    assert isinstance(module, ModuleType)
    assert module.build(3) == 2.0
    assert plugins.summary("losses", "their_loss") == "A loss of theirs."
    assert plugins.card("losses", "their_loss") == "A loss of theirs.\n\nLonger words."
    found = plugins.options("losses", "their-loss")
    assert list(found) == ["power"]
    assert found["power"].annotation is float
    assert found["power"].default == 2.0


@pytest.mark.usefixtures("outside")
def test_a_plugin_that_cannot_be_used_is_named() -> None:
    with pytest.raises(FairauditError) as caught:
        plugins.load("losses", "empty")
    assert str(caught.value) == "the loss 'empty' of 'their_empty' has no function 'build'"
    with pytest.raises(FairauditError) as caught:
        plugins.load("losses", "broken")
    assert str(caught.value) == (
        "the loss 'broken' of 'their_broken' cannot be imported: No module named 'a_module_that_is_not_there'"
    )
