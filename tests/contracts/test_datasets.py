"""What every dataset source keeps to; a new file in the folder is picked up unasked."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fairaudit import plugins
from fairaudit.data.manifest import Card, Manifest
from fairaudit.errors import DataError

HEADINGS = ("Input:", "Labels:", "Licence:", "Get it:", "Citation:")
NAMES = plugins.names("datasets")


def test_the_folder_is_the_registry() -> None:
    folder = Path(inspect.getfile(plugins)).parent / "data" / "sources"
    files = {p.stem.replace("_", "-") for p in folder.glob("[!_]*.py")}
    assert files == set(NAMES)
    assert files >= {"fairface", "celeba", "mr2", "utkface", "lfw", "table", "image-folder"}


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_is_a_card(name: str) -> None:
    text = plugins.card("datasets", name)
    summary = plugins.summary("datasets", name)
    assert summary.endswith(".")
    assert 20 <= len(summary) <= 110
    lines = text.splitlines()
    found = [line for line in lines if line in HEADINGS]
    assert tuple(found) == HEADINGS, "every heading once, in this order"
    for heading in HEADINGS:
        body = lines[lines.index(heading) + 1]
        assert re.match(r" {4}\S", body), f"{heading} says nothing"
    words = " ".join(text.split()).casefold()
    for banned in ("debias", "unbiased", "fair model"):
        assert banned not in words


@pytest.mark.parametrize("name", NAMES)
def test_labels_say_who_made_them(name: str) -> None:
    module = plugins.load("datasets", name)
    labels = plugins.card("datasets", name).partition("Labels:")[2].partition("Licence:")[0].casefold()
    card: Card = module.CARD
    if card.self_identified:
        assert "self-identified" in labels
    elif card.levels and getattr(module, "NEEDS_ROOT", True):
        assert "perceived" in labels


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_consistent(name: str) -> None:
    card: Card = plugins.load("datasets", name).CARD
    assert isinstance(card, Card)
    assert card.obtain
    if card.levels:
        assert card.target in card.levels
        for grouping in card.by:
            assert grouping
            assert set(grouping) <= set(card.levels)
    for column, level in card.privileged.items():
        assert level in card.levels[column]
    for column, aliases in card.aliases.items():
        assert set(aliases.values()) <= set(card.levels[column])
        folded = {level.casefold() for level in card.levels[column]}
        for spelling, level in aliases.items():
            assert spelling.casefold() not in folded or spelling.casefold() == level.casefold(), "an alias hides a level"
    for column, levels in card.levels.items():
        assert len({level.casefold() for level in levels}) == len(levels), f"{column}: levels that differ only by case"
    assert not set(card.numeric) & set(card.levels)


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_the_option_schema(name: str) -> None:
    function = plugins.load("datasets", name).load
    signature = inspect.signature(function, eval_str=True)
    positional = [p for p in signature.parameters.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert [(p.name, p.annotation) for p in positional] == [("root", Path | None), ("split", str)]
    assert signature.return_annotation is Manifest
    documented = inspect.getdoc(function) or ""
    for option, parameter in plugins.options("datasets", name).items():
        assert parameter.default is not inspect.Parameter.empty, f"{option} needs a default"
        assert parameter.annotation is not inspect.Parameter.empty, f"{option} needs a type"
        assert f"\n    {option}: " in documented, f"{option} is not documented"


@pytest.mark.parametrize("name", NAMES)
def test_no_root_is_a_sentence_or_no_problem(name: str, tmp_path: Path) -> None:
    module = plugins.load("datasets", name)
    if not getattr(module, "NEEDS_ROOT", True):
        return
    for root in (None, tmp_path / "absent", tmp_path):
        with pytest.raises(DataError) as caught:
            module.load(root, "all")
        message = str(caught.value)
        assert "\n" not in message
        assert module.CARD.obtain in message, "the sentence says how to get the data"


def test_no_source_imports_torch() -> None:
    code = (
        "import json, sys\n"
        "from fairaudit import plugins\n"
        "import fairaudit.data.locate, fairaudit.data.sampling, fairaudit.workflows.profile\n"
        "import fairaudit.workflows.check_data, fairaudit.workflows.data_reports\n"
        "reached = {n: (plugins.load('datasets', n), 'torch' in sys.modules)[1] for n in plugins.names('datasets')}\n"
        "print(json.dumps(reached))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == dict.fromkeys(NAMES, False)
