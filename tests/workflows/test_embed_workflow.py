"""An embedding audit is an audit of tables: the same numbers, and everything that reads tables reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fairaudit.artifacts.embeddings import Embeddings, write_embeddings
from fairaudit.artifacts.records import read_audit
from fairaudit.artifacts.tables import read_predictions
from fairaudit.config import AuditSettings, EmbedSettings
from fairaudit.config.embed import Part
from fairaudit.embedding.downstream import Downstream
from fairaudit.errors import DataError, FairauditError, UsageError
from fairaudit.metrics.retrieval import normalised
from fairaudit.predictions import Column
from fairaudit.results import Verdict
from fairaudit.results.embedding_record import embedding_json
from fairaudit.workflows import embed_besides, run_reports
from fairaudit.workflows.audit import audit
from fairaudit.workflows.compare import Side, compare
from fairaudit.workflows.embed import embed_files
from fairaudit.workflows.embed_audit import Audited, audit_embeddings, rehearse
from fairaudit.workflows.gate import gate
from fairaudit.workflows.report import report, write_report

SLOW: tuple[Part, ...] = ("leakage", "downstream", "map")


def birds(n: int = 160, seed: int = 0) -> Embeddings:
    """Birds of 40 kinds, four pictures each; those by the sea are blurred."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) // 4
    sea = kind % 4 == 0
    values = rng.normal(size=(n // 4, 10))[kind] + np.where(sea, 1.5, 0.4)[:, None] * rng.normal(size=(n, 10))
    return Embeddings(
        values.astype(np.float32),
        np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        {
            "place": Column.of(np.where(sea, "sea", "land").tolist()),
            "kind": Column.of([f"k{k}" for k in kind]),
            "light": Column.of(np.where(kind % 3 == 0, "dusk", "day").tolist()),
        },
    )


def settings(**changes: Any) -> EmbedSettings:
    audit_ = {"by": (("place",),), "bootstrap": 100, **changes.pop("audit", {})}
    return EmbedSettings(**{"of": ("kind",), "without": SLOW, "audit": AuditSettings(**audit_), **changes})


@pytest.fixture(scope="module")
def found() -> Audited:
    return audit_embeddings(birds(), settings(audit={"rules": ("accuracy gap by place <= 0.05",)}))


def neighbours(embeddings: Embeddings) -> list[list[int]]:
    unit = normalised(embeddings.values).astype(np.float64)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    return [np.argsort(-row).tolist() for row in similar]


def test_recall_by_group_is_accuracy_in_a_table_and_both_are_what_a_loop_counts(found: Audited) -> None:
    embeddings = birds()
    kind = embeddings.attributes["kind"].codes
    places = embeddings.attributes["place"].values()
    near = neighbours(embeddings)
    grouping = found.result.groupings[0]
    for group in grouping.groups:
        rows = [i for i in range(len(embeddings)) if places[i] == group.group["place"]]
        for k in (1, 5, 10):
            hits = [any(kind[j] == kind[i] for j in near[i][:k]) for i in rows]
            assert group.full[f"recall_at_{k}"].value == pytest.approx(np.mean(hits))
            own = [any(kind[j] == kind[i] for j in [j for j in near[i] if j in rows][:k]) for i in rows]
            assert group.own[f"recall_at_{k}"].value == pytest.approx(np.mean(own))
        assert (group.n, group.classes) == (len(rows), len(rows) // 4)
    cells = {one.group["place"]: one.metrics["accuracy"] for one in found.tables["retrieval"].result.groupings[0].groups}
    assert {g.group["place"]: g.full["recall_at_1"] for g in grouping.groups} == cells
    values = [g.full["recall_at_1"].value for g in grouping.groups]
    assert grouping.gaps["recall_at_1"].value == pytest.approx(max(values) - min(values))
    land, sea = (
        next(v for g, v in zip(grouping.groups, values, strict=True) if g.group["place"] == p) for p in ("land", "sea")
    )
    assert grouping.majority_advantage.value == pytest.approx(land - sea)
    assert 0 < grouping.majority_advantage.ci_low < grouping.majority_advantage.value
    assert land > sea + 0.3


def test_rules_are_judged_on_the_table_that_target_names(found: Audited) -> None:
    assert found.gated is found.tables["retrieval"].result
    assert found.gated.verdict is Verdict.FAIL
    assert found.tables["verification"].result.rules == ()
    asked = settings(audit={"rules": ("false_positive_rate gap by place <= 0.5",), "target": "genuine"})
    pairs = audit_embeddings(birds(), asked)
    assert pairs.gated is pairs.tables["verification"].result
    assert pairs.gated.verdict is Verdict.PASS
    assert pairs.tables["retrieval"].result.rules == ()
    with pytest.raises(UsageError, match="'recall_at_2': rules are about retrieval or pairs; did you mean"):
        audit_embeddings(birds(), settings(audit={"target": "recall_at_2"}))


def test_match_rates_are_those_of_every_pair_within_groups(found: Audited) -> None:
    embeddings = birds()
    unit = normalised(embeddings.values).astype(np.float64)
    kind, place = (embeddings.attributes[name].codes for name in ("kind", "place"))
    threshold = float(found.result.settings["threshold"])
    for group in found.result.groupings[0].groups:
        rows = np.flatnonzero(embeddings.attributes["place"].values() == group.group["place"])
        pairs = [(kind[a] == kind[b], (1 + unit[a] @ unit[b]) / 2) for a, b in combinations(rows, 2)]
        impostors = [s for same, s in pairs if not same]
        genuine = [s for same, s in pairs if same]
        one = group.verified
        assert one is not None
        assert (one.genuine, one.impostors) == (len(genuine), len(impostors))
        assert one.fmr.value == pytest.approx(np.mean([s >= threshold for s in impostors]), abs=1e-9)
        assert one.fnmr.value == pytest.approx(np.mean([s < threshold for s in genuine]), abs=1e-9)
        # the threshold that the group itself would need
        assert np.mean([s >= one.threshold - 1e-9 for s in impostors]) <= found.result.settings["fmr"] + 1 / len(impostors)
    assert found.result.settings["fmr"] == 0.01
    assert len(np.unique(place)) == 2


def test_crossed_groups_pair_images_alike_in_every_attribute() -> None:
    crossed = audit_embeddings(birds(), settings(audit={"by": (("place",), ("light",))}))
    table = crossed.tables["verification"].predictions
    at = {row: i for i, row in enumerate(birds().rows)}
    for names in table.rows[::50]:
        a, b = (at[name] for name in names.split(" | "))
        for column in ("place", "light"):
            codes = birds().attributes[column].codes
            assert codes[a] == codes[b]
    assert set(crossed.tables) == {"retrieval", "retrieval_own/place", "retrieval_own/light", "verification"}


def test_people_make_intervals_wider_than_images_do() -> None:
    embeddings = birds()
    people = replace(embeddings, identity=embeddings.attributes["kind"])
    alone = audit_embeddings(embeddings, settings(without=(*SLOW, "verification", "geometry")))
    together = audit_embeddings(people, settings(without=(*SLOW, "verification", "geometry")))
    for a, b in zip(alone.result.groupings[0].groups, together.result.groupings[0].groups, strict=True):
        assert a.full["map_at_r"].value == b.full["map_at_r"].value
        assert (
            b.full["map_at_r"].ci_high - b.full["map_at_r"].ci_low > a.full["map_at_r"].ci_high - a.full["map_at_r"].ci_low
        )
    assert together.result.settings["clustered_by"] == "identity"


@pytest.mark.training
def test_the_whole_run_folder_is_read_by_what_reads_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the pages of audits have tests of their own, and take longer than all the rest
    monkeypatch.setattr(run_reports, "report_files", lambda *_: {"report.html": lambda path: path.write_text("a page")})
    write_embeddings(birds(), tmp_path / "e.npz")
    asked = EmbedSettings(of=("kind",), k=(1, 3), downstream="light", audit=AuditSettings(by=(("place",),), bootstrap=100))
    made = embed_files([tmp_path / "e.npz"], asked, out=tmp_path / "run")
    assert made.folder == tmp_path / "run"
    record = json.loads((tmp_path / "run" / "embedding.json").read_text())
    assert record["schema_version"] == 1
    assert len(record["places"]) == 160
    assert {one["probe"] for one in record["leaks"]} == {"linear", "kNN"}
    assert {one["training"] for one in record["trained"]} == {"original", "rebalanced"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert report(tmp_path / "run", "html") == page
    assert report(tmp_path / "run", "json") == (tmp_path / "run" / "embedding.json").read_text()
    assert report(tmp_path / "run" / "embedding.json", "terminal", width=100).startswith("Embeddings of 160 images by kind")
    write_report(tmp_path / "run", "csv", tmp_path / "e.parquet")
    assert {"retrieval", "retrieval_own", "verification", "geometry", "leakage", "downstream"} == set(
        pq.read_table(tmp_path / "e.parquet")["part"].to_pylist()
    )
    with pytest.raises(UsageError, match=r"'junit' cannot show an audit of embeddings; choose from .*run/retrieval$"):
        report(tmp_path / "run", "junit")
    assert page.count("<svg ") == 4
    assert str(tmp_path) not in page
    names = {p.name for p in (tmp_path / "run" / "figures").glob("*.svg")}
    assert names == {"det-place.svg", "map.svg", "pairs-place.svg", "recall-place.svg"}
    for folder in ("retrieval", "retrieval_own", "verification"):
        kept = read_audit(tmp_path / "run" / folder)
        again = audit(
            read_predictions(tmp_path / "run" / folder),
            AuditSettings(
                by=(("place",),), bootstrap=100, target=kept.settings["target"], positive=kept.settings["positive"]
            ),
        )
        assert again.groupings[0].counts == kept.groupings[0].counts
        assert again.groupings[0].clusters == kept.groupings[0].clusters, "who is in a pair is kept, both of them"
        assert (tmp_path / "run" / folder / "report.html").is_file()
    assert gate(read_audit(tmp_path / "run" / "retrieval"), ["accuracy gap by place <= 0.05"]).verdict is Verdict.FAIL
    twice = embed_files([tmp_path / "e.npz"], asked, out=tmp_path / "run")
    assert embedding_json(twice.result) == (tmp_path / "run" / "embedding.json").read_text()


def test_where_restricts_queries_and_gallery_alike() -> None:
    asked = settings(audit={"by": (("light",),), "where": "place == 'land'"}, without=(*SLOW, "verification", "geometry"))
    part = audit_embeddings(birds(), asked).result
    assert part.n == 120
    assert {g.group["light"] for g in part.groupings[0].groups} == {"day", "dusk"}


def changed(columns: Mapping[str, list[str] | None], **other: Any) -> Embeddings:
    kept = birds()
    attributes = {**kept.attributes, **{name: Column.of(values or []) for name, values in columns.items()}}
    return replace(kept, attributes=attributes, **other)


def test_what_cannot_be_audited_is_refused_in_a_sentence() -> None:
    def refused(embeddings: Embeddings, said: str, kind: type[FairauditError] = DataError, **changes: Any) -> None:
        asked = EmbedSettings(**{"without": SLOW, "audit": AuditSettings(by=(("place",),), bootstrap=100), **changes})
        with pytest.raises(kind, match=said):
            audit_embeddings(embeddings, asked)

    refused(birds(), r"the data tell no identity: say with --class .* \(place, kind, light\)")
    refused(
        replace(birds(), identity=Column.of(["me"] * 160)), "every image is of 'me' by identity: at least two are needed"
    )
    refused(replace(birds(), identity=Column.of([None] * 160)), "no image has one by identity")
    refused(
        replace(birds(), identity=Column.of([*map(str, range(160))])), "no two images are of one identity: there is nothing"
    )
    refused(birds(), "unknown column 'knd'; did you mean 'kind'", UsageError, of=("knd",))
    refused(
        birds(),
        r"name at least one grouping with --by \(place, kind, light\)",
        UsageError,
        of=("kind",),
        audit=AuditSettings(),
    )
    lone = changed({"place": ["inland" if i in (0, 4) else "land" for i in range(160)]})
    with pytest.raises(DataError, match="no two images are of one kind in inland"):
        rehearse(lone, settings())  # before anything is embedded
    refused(lone, r"no two images are of one kind in inland \(2 images\) by place: a non-match rate", of=("kind",))
    nested = audit_embeddings(birds(), EmbedSettings(of=("place",), without=SLOW, audit=AuditSettings(by=(("place",),))))
    assert "verification" not in nested.tables
    assert "no group by place holds two of place: without impostors within groups" in " ".join(nested.result.notes)


def test_queries_with_nothing_to_find_are_no_misses() -> None:
    kept = birds()
    kind = kept.attributes["kind"].values().tolist()
    kind[0] = "seen once"
    found = audit_embeddings(changed({"kind": kind}), settings(without=(*SLOW, "verification", "geometry")))
    assert sum(g.full["recall_at_1"].support for g in found.result.groupings[0].groups) == 159
    assert "1 images are the only ones of their kind" in " ".join(found.result.notes)


def test_gaps_are_told_within_levels_of_numbers_and_pairs_are_of_one_level() -> None:
    """Birds by the sea are blurred at night alone: by day there is no gap of recall."""
    rng = np.random.default_rng(0)
    kind = np.arange(320) // 4
    sea, hour = kind % 2 == 0, np.where(kind % 4 < 2, 9.5, 22.0)
    noise = np.where(sea & (hour > 12), 3.0, 0.2)[:, None]
    values = rng.normal(size=(80, 10))[kind] + noise * rng.normal(size=(320, 10))
    columns = {"place": Column.of(np.where(sea, "sea", "land").tolist()), "kind": Column.of([f"k{k}" for k in kind])}
    rows = np.array([f"{i}.jpg" for i in range(320)], dtype=object)
    embeddings = Embeddings(values.astype(np.float32), rows, columns, numeric={"hour": hour})
    rules = ("accuracy gap by place given hour <= 0.2",)
    asked = settings(audit={"given": (("hour",),), "bins": {"hour": (0, 12)}, "rules": rules})
    found = audit_embeddings(embeddings, asked)
    day, night = found.result.groupings[0].within
    assert (day.given, night.given) == ({"hour": "0 to <12"}, {"hour": "12 or more"})
    assert (day.n, night.n) == (160, 160)
    assert day.gaps["recall_at_1"].value < 0.05
    assert night.gaps["recall_at_1"].ci_low > 0.4
    assert found.gated.verdict is Verdict.FAIL
    assert found.result.settings["pairs_within"] == ["place", "hour"]
    at = {row: i for i, row in enumerate(rows)}
    pairs = [[at[name] for name in row.split(" | ")] for row in found.tables["verification"].predictions.rows]
    assert all(hour[a] == hour[b] and sea[a] == sea[b] for a, b in pairs)
    with pytest.raises(UsageError, match="--given hour: hour is numeric and has no levels; say where each starts, --bins"):
        audit_embeddings(embeddings, settings(audit={"given": (("hour",),)}))
    with pytest.raises(
        UsageError, match="hour is numeric and makes no groups; say where each level starts, --bins hour=0,18"
    ):
        audit_embeddings(embeddings, settings(audit={"by": (("hour",),)}))
    with pytest.raises(UsageError, match="--bins place: 'land' is a level and no number"):
        audit_embeddings(embeddings, settings(audit={"bins": {"place": (0,)}}))
    with pytest.raises(UsageError, match="unknown numeric column in --bins: 'hours'; did you mean 'hour'"):
        audit_embeddings(embeddings, settings(audit={"bins": {"hours": (0,)}}))
    late = audit_embeddings(embeddings, settings(audit={"where": "hour >= 12"}, without=(*SLOW, "verification")))
    assert late.result.n == 160


def test_pairs_are_alike_in_what_rules_alone_ask_about() -> None:
    asked = settings(audit={"rules": ("false_positive_rate gap by light <= 0.5",), "target": "genuine"})
    found = audit_embeddings(birds(), asked)
    assert [grouping.by for grouping in found.result.groupings] == [("place",), ("light",)]
    light = birds().attributes["light"].codes
    at = {row: i for i, row in enumerate(birds().rows)}
    pairs = [[at[name] for name in row.split(" | ")] for row in found.tables["verification"].predictions.rows]
    assert all(light[a] == light[b] for a, b in pairs)
    assert found.gated.verdict is Verdict.PASS


def test_match_rates_know_both_persons_of_a_pair() -> None:
    found = audit_embeddings(birds(), settings(without=(*SLOW, "geometry")))
    table = found.tables["verification"].predictions
    assert table.identity is not None
    assert table.second is not None
    assert table.identity.levels == table.second.levels
    for row, one, other in zip(table.rows, table.identity.values(), table.second.values(), strict=True):
        assert row == f"{one} | {other}"  # of images, where nobody is known
    named = replace(birds(), identity=birds().attributes["kind"])
    known = audit_embeddings(named, settings(of=None, without=(*SLOW, "geometry")))
    grouping = known.tables["verification"].result.groupings[0]
    assert grouping.clusters is not None
    assert list(grouping.clusters.people) == [30, 10]
    assert any("pairs are of 40 people" in note for note in known.tables["verification"].result.notes)
    blunt = known.tables["verification"].predictions
    asked = AuditSettings(by=(("place",),), target="genuine", bootstrap=100)
    (pair,) = compare([Side("one", blunt)], [Side("other", blunt)], asked).pairs
    assert any("know the person of the first image, not of the second" in note for note in pair.notes)


def test_a_threshold_that_cannot_be_had_is_said_and_one_that_cannot_be_told_is_left_open() -> None:
    kept = birds()
    values = kept.values.copy()
    values[:40] = np.eye(10)[0]  # ten kinds that look the same
    found = audit_embeddings(replace(kept, values=values), settings(fmr=0.001)).result
    assert found.settings["threshold"] == 1.0
    assert found.settings["fmr"] > 0.01
    assert any("a false match rate of 0.001 cannot be had" in note for note in found.notes)
    few = audit_embeddings(kept, settings(fmr=0.001)).result
    thresholds = {g.group["place"]: g.verified.threshold for g in few.groupings[0].groups if g.verified is not None}
    assert np.isnan(thresholds["sea"]), "of 720 impostors none may match"
    assert 0.5 < thresholds["land"] < 1
    given = audit_embeddings(kept, settings(audit={"threshold": 0.0})).result
    assert (given.settings["threshold_is"], given.settings["fmr"]) == ("given", 1.0)


def test_groups_of_different_size_are_measured_on_equally_much() -> None:
    found = audit_embeddings(birds(), settings(without=(*SLOW, "verification"))).result.groupings[0]
    assert (found.spectrum_rows, found.cluster_classes) == (40, 10)
    even = changed({"place": ["sea" if i < 80 else "land" for i in range(160)]})
    alike = audit_embeddings(even, settings(without=(*SLOW, "verification", "geometry"))).result.groupings[0]
    assert alike.majority_advantage.reason == "undefined: no group is the largest"
    tiny = changed({"place": ["reef" if i < 8 else "land" for i in range(160)]})
    grouping = audit_embeddings(tiny, settings(without=(*SLOW, "verification"))).result.groupings[0]
    assert (grouping.spectrum_rows, grouping.cluster_classes) == (152, 38)
    reef = next(g for g in grouping.groups if g.group["place"] == "reef")
    assert np.isnan([reef.geometry["density"], reef.geometry["spectrum"], reef.clusters["nmi"]]).all()
    assert grouping.majority_advantage.reason == "undefined: fewer than two groups", "a reef of 8 images cannot be judged"


def test_an_attribute_that_nobody_has_is_a_sentence() -> None:
    nobody = changed({"place": [None] * 160})  # type: ignore[list-item]
    with pytest.raises(DataError, match="no image has a place: there are no groups by it"):
        audit_embeddings(nobody, settings())


def test_a_downstream_gap_is_also_told_with_every_class_counting_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a rare class nobody is told; where it is rarer, accuracy is higher, and balanced accuracy the same."""
    embeddings = birds()
    light = np.array(["dusk" if i % 80 < (55 if i < 80 else 25) else "day" for i in range(160)])
    place = np.where(np.arange(160) < 80, "sea", "land")
    columns = {"place": Column.of(place.tolist()), "light": Column.of(light.tolist())}
    embeddings = replace(embeddings, attributes={**embeddings.attributes, **columns})
    rows = np.arange(160)
    day = columns["light"].levels.index("day")
    said = {("kNN", training): np.full(160, day, dtype=np.int64) for training in ("original", "rebalanced")}
    fake = Downstream(rows, columns["light"].codes, said, {"original": 9, "rebalanced": 9})
    monkeypatch.setattr(embed_besides, "downstream", lambda *_: fake)
    asked = settings(downstream="light", without=("geometry", "leakage", "map", "verification"))
    one, _ = audit_embeddings(embeddings, asked).result.trained
    assert one.gap.value == pytest.approx(30 / 80)
    assert one.gap.ci_low > 0.2
    assert one.balanced_gap.value == pytest.approx(0)
    monkeypatch.setattr(embed_besides, "MOST_BALANCED", 1)
    many, _ = audit_embeddings(embeddings, asked).result.trained
    assert many.gap == one.gap
    assert many.balanced_gap.reason == "undefined: more than 10 classes"
