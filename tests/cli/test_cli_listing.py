"""``list`` and ``--version``: what there is to choose from, and how absent groups are shown."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

import fairaudit
from fairaudit import plugins
from fairaudit.metrics.coverage import COVERAGE, SEED
from tests.cli.conftest import Cli


@pytest.mark.parametrize("what", ["datasets", "losses", "reports"])
def test_lists_name_everything_and_each_has_its_card(what: str, cli: Cli) -> None:
    result = cli("list", what)
    assert (result.code, result.err) == (0, "")
    names = plugins.names(what)
    assert [line.split()[0] for line in result.out.splitlines() if line[0] != " "] == names
    assert all(len(line) <= 80 for line in result.out.splitlines())
    for name in names:
        card = cli("list", what, name.replace("-", "_"))
        assert (card.code, card.err) == (0, "")
        assert " ".join(card.out.split()).startswith(" ".join(plugins.summary(what, name).replace("``", "`").split()))
        assert all(len(line) <= 80 or " " not in line.strip() for line in card.out.splitlines())


def test_a_dataset_card_says_all_that_must_be_known(cli: Cli) -> None:
    for name in plugins.names("datasets"):
        card = cli("list", "datasets", name).out
        for heading in ("Input:", "Labels:", "Licence:", "Get it:", "Citation:"):
            assert f"\n{heading}\n" in card, (name, heading)
    options = cli("list", "datasets", "synthetic").out.partition("Options (--data-option KEY=VALUE):\n")[2].split(",")
    assert [option.split()[0] for option in options] == [*plugins.options("datasets", "synthetic")]


def test_metrics_and_schema(cli: Cli) -> None:
    metrics = cli("list", "metrics").out
    for name in ("accuracy", "balanced_accuracy", "true_positive_rate", "f2", "disparate_impact", "acc_diff", "f1_diff"):
        assert f"\n{name} " in f"\n{metrics}"
    schema = cli("list", "schema").record
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["verdict"]["enum"] == ["pass", "fail", "inconclusive", "none"]
    assert cli("list", "schema", "audit").record == schema
    comparison = cli("list", "schema", "comparison").record
    jsonschema.Draft202012Validator.check_schema(comparison)
    assert comparison["title"] == "fairaudit comparison"
    embedding = cli("list", "schema", "embedding").record
    jsonschema.Draft202012Validator.check_schema(embedding)
    assert embedding["title"] == "fairaudit embedding"


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_intervals_and_what_they_are_worth(columns: int, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = cli("list", "intervals")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert all(len(line) <= columns and line == line.rstrip() for line in lines)
    numbers = [match for line in lines if (match := re.search(r" (\d+) +([\d,]+|exact) +(\d+\.\d) +(\d+\.\d)$", line))]
    assert [m.groups() for m in numbers] == [
        (str(c.cells), f"{c.trials:,}" if c.trials else "exact", f"{100 * c.mean:.1f}", f"{100 * c.least:.1f}")
        for c in COVERAGE
    ]
    told = "".join(result.out.split())  # however narrow the columns are, no character is lost
    assert all("".join(f"{one.quantity}: {one.method}".split()) in told for one in COVERAGE)
    if columns >= 80:  # a simulation is one line, and wide enough for it
        assert all(any(line.startswith(f"  {one.simulated} ") for line in lines) for one in COVERAGE)
    assert f"seed{SEED}" in told
    cli("list", "intervals", "gap").refused("'fairaudit list intervals' prints everything that there is; leave 'gap' out")


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"fairaudit {fairaudit.__version__}\n"


def test_profile_shows_absent_groups_and_empty_labels(fairface: Path, cli: Cli) -> None:
    rows = (fairface / "fairface_label_val.csv").read_text().splitlines()
    root = Path("fairface")
    root.mkdir()
    kept = [rows[0], *(row for row in rows[1:] if "Indian" not in row), "val/99.jpg,,Male,White,True"]
    (root / "fairface_label_val.csv").write_text("\n".join(kept) + "\n")
    result = cli("data", "profile", "fairface", "--root", root, "--by", "race", "--images", "0")
    assert result.code == 0
    assert next(line for line in result.out.splitlines() if line.startswith("  Indian")).split()[1:3] == ["0", "0.0"]
    assert result.err == (
        "warning: fairface_label_val.csv: 1 label of 'age' is empty; the image is kept and counted as missing\n"
    )
