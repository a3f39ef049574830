"""What a run of mitigate may ask for: names of arms, the baseline, and what contradicts itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from fairaudit.config import Arm, MitigateConfig, TrainingSettings


@pytest.mark.parametrize(
    ("arm", "name"),
    [
        (Arm(), "erm"),
        (Arm(loss="max-group"), "max-group"),
        (Arm(loss="max-group", loss_options={"ema": 0.1}), "max-group(ema=0.1)"),
        (Arm(method="subsample"), "subsample"),
        (Arm(method="subsample", loss="max-group"), "subsample+max-group"),
        (Arm(training={"lr": 0.01}), "erm(lr=0.01)"),
        (Arm(loss="cvar", label="worst tenth"), "worst tenth"),
    ],
)
def test_names(arm: Arm, name: str) -> None:
    assert arm.name == name


def test_the_baseline_comes_first_and_once() -> None:
    arms = (Arm(loss="max-group"), Arm())
    assert [arm.name for arm in MitigateConfig(arms=arms).trained] == ["erm", "max-group"]
    assert [arm.name for arm in MitigateConfig(arms=arms[:1]).trained] == ["erm", "max-group"]
    assert [arm.name for arm in MitigateConfig(arms=arms[:1], baseline=False).trained] == ["max-group"]


def test_erm_at_another_learning_rate_is_no_baseline() -> None:
    assert [a.name for a in MitigateConfig(arms=(Arm(training={"lr": 0.1}),)).trained] == ["erm", "erm(lr=0.1)"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"arms": []}, "at least 1 item"),
        ({"arms": [{}, {}]}, "two arms are called erm; give one a label, or leave one out"),
        ({"arms": [{}], "model": "a", "weights": "b"}, "name the model or the weights, not both"),
        ({"arms": [{}], "weights": "pretrained"}, "name it with --arch"),
        ({"arms": [{"training": {"lrr": 1}}]}, "Extra inputs are not permitted"),
        ({"arms": [{"label": "a/b"}]}, "'a/b' cannot name a folder"),
        ({"arms": [{}], "split_shares": [1, 0, 1]}, "greater than 0"),
    ],
)
def test_contradictions(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MitigateConfig.model_validate(values)


def test_changes_of_images_may_be_named_in_one_flag_or_in_several() -> None:
    for augment in ("randaugment,cutmix", ["randaugment,cutmix"], ["randaugment", "cutmix"]):
        assert TrainingSettings.model_validate({"augment": augment}).augment == ("randaugment", "cutmix")
    assert TrainingSettings.model_validate({"augment": ["none"]}).augment == ()
