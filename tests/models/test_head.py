"""What outputs mean: every kind of head against plain loops."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from fairaudit.config import ModelSettings
from fairaudit.errors import CheckpointError, FairauditError
from fairaudit.models.head import Head, Task
from fairaudit.models.head_syntax import FAIRFACE_18, choose_head

LEVELS = {
    "gender": ("female", "male"),
    "race": ("White", "Black", "Asian"),
    "Smiling": ("no", "yes"),
    "Male": ("Female", "Male"),
}


def choose(
    outputs: int, target: str = "gender", said: tuple[str, ...] | None = None, **flags: Any
) -> tuple[Head, tuple[str, ...]]:
    return choose_head(outputs, ModelSettings.model_validate(flags), target, LEVELS, None, said)


def refusal(outputs: int, target: str = "gender", **flags: Any) -> str:
    with pytest.raises(FairauditError) as caught:
        choose(outputs, target, **flags)
    return str(caught.value)


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


def test_softmax_and_its_assumed_order() -> None:
    head, assumptions = choose(2)
    assert head.tasks == {"gender": ("female", "male")}
    assert assumptions == ("classes in the order of the dataset card (female, male): assumed; --classes states another",)
    logits = torch.tensor([[1.0, 3.0], [2.0, -1.0]], dtype=torch.float64)
    scores = head.scores(logits)["gender"]
    assert scores.dtype == torch.float32
    assert scores.tolist() == [pytest.approx(softmax(row)) for row in logits.tolist()]


def test_classes_from_flags_go_before_those_of_the_file() -> None:
    assert choose(2, said=("m", "f"))[0].tasks == {"gender": ("m", "f")}
    assert choose(2, said=("m", "f"), classes=("male", "female")) == (choose(2, said=("male", "female"))[0], ())


def test_one_output_is_a_sigmoid_whose_second_class_is_positive() -> None:
    head, assumptions = choose(1, classes=("no", "yes"))
    scores = head.scores(torch.tensor([[2.0], [-40.0]]))["gender"]
    assert scores[0].tolist() == pytest.approx([1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))])
    assert 0 < scores[1, 1] < 1e-16  # 1 - p would have lost it
    assert assumptions == ("one output read as a sigmoid, above 0.5 is yes: assumed; --head sigmoid states it",)
    assert choose(1, classes=("no", "yes"), head="sigmoid")[1] == ()


def test_slices() -> None:
    head, assumptions = choose(6, head="race:0-2,gender:3-4", classes=("m", "f"))
    assert head.tasks == {"race": ("White", "Black", "Asian"), "gender": ("m", "f")}
    row = [0.1, 0.7, -0.4, 1.0, 2.0, 99.0]
    scores = head.scores(torch.tensor([row]))
    assert scores["race"][0].tolist() == pytest.approx(softmax(row[:3]))
    assert scores["gender"][0].tolist() == pytest.approx(softmax(row[3:5]))
    assert "1 output of 6 belong to no slice and are not read" in assumptions


def test_fairface_18() -> None:
    head, _ = choose(18, head="fairface-18")
    assert head.tasks == dict(FAIRFACE_18)
    assert [len(c) for c in head.tasks.values()] == [7, 2, 9]
    logits = torch.zeros(1, 18)
    logits[0, [3, 7, 17]] = 5.0
    found = {task: head.tasks[task][int(s.argmax())] for task, s in head.scores(logits).items()}
    assert found == {"race": "East Asian", "gender": "Male", "age": "more than 70"}
    assert refusal(17, head="fairface-18") == "--head fairface-18 needs 18 outputs, the model has 17"


def test_multilabel() -> None:
    head, assumptions = choose(3, "Smiling", head="multilabel", classes=("male", "smiling", "Eyeglasses"))
    assert head.tasks == {"Male": ("Female", "Male"), "Smiling": ("no", "yes"), "Eyeglasses": ("no", "yes")}
    scores = head.scores(torch.tensor([[0.0, 2.0, -3.0]]))
    assert scores["Smiling"][0, 1].item() == pytest.approx(1 / (1 + math.exp(-2)))
    assert "an output above 0.5 means Smiling is yes, else no" in assumptions
    assert head.description == "multi-label sigmoid over 3 outputs: Male, Smiling, Eyeglasses"
    assert choose(3, "Male", head="multilabel")[1][0].startswith("outputs in the order of the dataset card's columns")


@pytest.mark.parametrize("by", ["max", "sum"])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_merged_scores_against_a_loop(by: str, kind: str) -> None:
    names = ("Man", "Boy", "Woman", "Girl", "Tree")
    merge = {"male": ("man", "1"), "female": ("Woman", "Girl")}
    head, _ = choose(5, classes=names, merge=merge, merge_by=by, head=kind)
    row = [0.3, 0.9, 0.8, 0.5, 7.0]
    activated = softmax(row) if kind == "softmax" else [1 / (1 + math.exp(-v)) for v in row]
    combine = max if by == "max" else sum
    male, female = combine(activated[:2]), combine(activated[2:4])
    expected = [male / (male + female), female / (male + female)]
    assert head.scores(torch.tensor([row]))["gender"][0].tolist() == pytest.approx(expected, rel=1e-5)


def test_merged_scores_survive_outputs_that_underflow() -> None:
    head, _ = choose(5, merge={"male": ("0-1",), "female": ("2-3",)})
    scores = head.scores(torch.tensor([[0.0, 1.0, 2.0, 0.0, 5000.0]]))["gender"][0]
    assert scores.tolist() == pytest.approx(softmax([1.0, 2.0]))


@pytest.mark.parametrize(
    ("outputs", "flags", "message"),
    [
        (
            1000,
            {},
            "the model has 1000 outputs but gender has 2 classes (female, male); name its outputs with --classes, "
            "merge them with --merge female=… --merge male=…, or say what they mean with --head",
        ),
        (
            2,
            {"classes": ("a", "b", "c")},
            "the model has 2 outputs but --classes names 3 (a, b, c); name every output, in order",
        ),
        (
            18,
            {},
            "the model has 18 outputs but gender has 2 classes (female, male); for the published FairFace network use "
            "--head fairface-18, else slices such as race:0-6,gender:7-8",
        ),
        (
            3,
            {},
            "the model has 3 outputs but gender has 2 classes (female, male); the dataset has 3 two-level columns: "
            "if each output is one of them, use --head multilabel",
        ),
        (
            2,
            {"head": "sofmax"},
            "unknown head 'sofmax'; did you mean 'softmax'? or give slices such as race:0-6,gender:7-8",
        ),
        (2, {"head": "race:0-2"}, "--head 'race:0-2': 'race:0-2' leaves the model's 2 outputs, counted from 0"),
        (4, {"head": "gender:0-1,race:1-3"}, "--head 'gender:0-1,race:1-3': 'race:1-3' overlaps another slice"),
        (
            4,
            {"head": "gender:0..1"},
            "--head 'gender:0..1': 'gender:0..1' is no slice; write TASK:FIRST-LAST, for example gender:7-8",
        ),
        (4, {"head": "race:0-2"}, "unknown task of this head 'gender'; choose from race"),
        (4, {"merge": {"male": ("0",), "female": ("0",)}}, "--merge counts output 0 both as male and as female"),
        (4, {"merge": {"male": ("0",), "female": ("4",)}}, "--merge female=4: the model has 4 outputs, counted from 0"),
        (4, {"merge": {"male": ("0",)}}, "--merge names one class only (male); name two or more"),
        (
            4,
            {"merge": {"male": ("Man",), "female": ("1",)}},
            "--merge male=Man: the checkpoint does not name its outputs; give indices, or all names with --classes",
        ),
    ],
)
def test_refusals_say_what_to_do(outputs: int, flags: dict[str, Any], message: str) -> None:
    assert refusal(outputs, **flags) == message


def test_records_round_trip_through_json() -> None:
    for head in (
        choose(2)[0],
        choose(18, head="fairface-18")[0],
        choose(4, merge={"male": ("0", "1"), "female": ("2",)}, merge_by="sum")[0],
    ):
        assert Head.from_record(json.loads(json.dumps(head.to_record()))) == head
    with pytest.raises(CheckpointError, match=r"^the head's record is damaged: KeyError 'tasks'$"):
        Head.from_record({"outputs": 2})


def test_renaming_classes() -> None:
    head = choose(2)[0].with_classes("gender", {"female": "Woman"})
    assert head.tasks == {"gender": ("Woman", "male")}
    with pytest.raises(CheckpointError, match="two or more distinct classes"):
        head.with_classes("gender", {"male": "Woman"})
    with pytest.raises(CheckpointError, match=r"^the model predicts gender, not age$"):
        head.with_classes("age", {})


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(CheckpointError, match=r"^the head reads output 2, but the model has 2, counted from 0$"):
        Head(2, (Task("gender", ("a", "b"), (1, 2)),))
    with pytest.raises(CheckpointError, match=r"^the model gave outputs of shape \(1, 3\), not \(batch, 2\)$"):
        choose(2)[0].scores(torch.zeros(1, 3))
