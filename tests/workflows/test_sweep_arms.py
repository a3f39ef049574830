"""Sweep arms: the grid against plain loops, names that differ, and one sentence for what cannot be varied."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairaudit.config import Arm, Range, SweepConfig, validated
from fairaudit.errors import ConfigError, FairauditError
from fairaudit.workflows.run_folders import run_folder
from fairaudit.workflows.sweep_arms import sweep_arms

MAX: dict[str, Any]
DRO: dict[str, Any]
MAX, DRO = {"loss": "max-group"}, {"loss": "group-dro"}


def sweep(*arms: dict[str, Any], **values: Any) -> SweepConfig:
    return validated({"arms": arms or (MAX,), **values}, SweepConfig, "sweep.toml")


def names(config: SweepConfig) -> list[str]:
    return [arm.name for arm in sweep_arms(config).arms]


def test_an_empty_grid_changes_nothing() -> None:
    assert sweep_arms(sweep(MAX, DRO)).arms == (Arm(**MAX), Arm(**DRO))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([1e-4, 1e-3, 1e-2]), min_size=1, unique=True),
    st.lists(st.sampled_from([32, 64, 128]), min_size=1, unique=True),
    st.lists(st.sampled_from([0.01, 0.1, 1.0]), min_size=1, unique=True),
)
def test_every_combination_once_under_a_name_of_its_own(rates: list[float], sizes: list[int], steps: list[float]) -> None:
    found = sweep_arms(sweep(MAX, DRO, grid={"lr": rates, "batch_size": sizes, "loss.step_size": steps}))
    expected: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for lr in rates:
        for size in sizes:
            expected.append(("max-group", {}, {"lr": lr, "batch_size": size}))
            for step in steps:
                expected.append(("group-dro", {"step_size": step}, {"lr": lr, "batch_size": size}))
    got = [(arm.loss, dict(arm.loss_options), dict(arm.training)) for arm in found.arms]
    assert sorted(got, key=repr) == sorted(expected, key=repr)
    assert len(set(found.names)) == len(got)
    assert len({run_folder(Path(), arm, 0) for arm in found.trained}) == len(got) + 1  # the baseline beside them


def test_a_label_is_told_apart_by_what_varies() -> None:
    found = sweep_arms(sweep({**MAX, "label": "mine"}, grid={"lr": "0.1,0.2"}))
    assert found.names == ["mine(lr=0.1)", "mine(lr=0.2)"]


def test_options_of_a_method_concern_the_arms_that_have_it() -> None:
    found = sweep_arms(sweep({"method": "just-train-twice"}, MAX, grid={"method.upweight": "5,50"}))
    assert found.names == ["just-train-twice(upweight=5)", "just-train-twice(upweight=50)", "max-group"]


def test_text_and_numbers_are_the_same_settings() -> None:
    texts = sweep_arms(sweep(DRO, grid={"batch-size": "32,64", "loss.step-size": "1e-2"}))
    assert texts.arms == sweep_arms(sweep(DRO, grid={"batch_size": [32, 64], "loss": {"step_size": 0.01}})).arms
    assert texts.arms[0].training == {"batch_size": 32}
    assert texts.arms[0].loss_options == {"step_size": 0.01}


def test_a_bar_separates_values_that_have_commas() -> None:
    assert names(sweep(grid={"freeze": "none|conv1,layer1"})) == [
        "max-group(freeze=none)",
        "max-group(freeze=conv1,layer1)",
    ]
    assert names(sweep(grid={"augment": ["none", "mixup,cutmix"]})) == [
        "max-group(augment=none)",
        "max-group(augment=mixup,cutmix)",
    ]


def test_plain_training_with_the_runs_own_settings_is_the_baseline() -> None:
    found = sweep_arms(sweep({"loss": "cross-entropy"}, grid={"lr": [0.001, 0.1]}, training={"lr": 0.001}))
    assert [arm.name for arm in found.trained] == ["erm", "erm(lr=0.1)"]
    assert [arm.is_baseline for arm in found.trained] == [True, False]


REFUSED = [
    ({"grid": {"learning": [1]}}, "unknown setting in the grid 'learning'"),
    ({"grid": {"epoch": [1]}}, "unknown setting in the grid 'epoch'; did you mean 'epochs'?"),
    ({"grid": {"loss.step_size": [1]}}, "unknown setting in the grid 'loss.step_size'"),
    ({"grid": {"seed": [1]}}, "the grid cannot vary seed: every arm is trained with the seeds that --seeds asks for"),
    ({"grid": {"lr": "0.1,1e-1"}}, "lr is given the value 0.1 twice"),
    ({"grid": {"lr": [-1]}}, "lr=-1: lr: Input should be greater than 0"),
    ({"grid": {"lr": []}}, "sweep.toml: 'grid.lr' is empty"),
    ({"arms": [{**MAX, "training": {"lr": 1}}], "grid": {"lr": [2]}}, "lr is set for max-group(lr=1) and varied as well; "),
    (
        {"grid": {"lr": [1]}, "tune": {"trials": 2, "space": {"lr": "1..2"}}},
        "sweep.toml: lr is in the grid and tuned as well; leave one out",
    ),
    ({"tune": {"trials": 2, "space": {"lrr": "1..2"}}}, "unknown setting in the search 'lrr'"),
    ({"tune": {"trials": 2, "space": {"select": "gap|average"}}}, "the search cannot vary select: scores by different"),
    ({"tune": {"trials": 2, "space": {"epochs": "1.5..2"}}}, "the search for epochs in 1.5..2: 1.5 is not a whole number"),
    ({"tune": {"trials": 2, "space": {"epochs": "0..2"}}}, "epochs=0: epochs: Input should be greater than or equal to 1"),
    ({"tune": {"trials": 2, "space": {"lr": "2..1"}}}, "2..1 is empty; write the smaller limit first"),
    ({"tune": {"trials": 0}}, "sweep.toml: tune.trials: Input should be greater than or equal to 1"),
    ({"training": {"epochs": 9, "warmup": 3}, "grid": {"epochs": [2]}}, "a warmup of 3 epochs leaves nothing of 2"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_what_cannot_be_varied_is_one_sentence(values: dict[str, Any], message: str) -> None:
    with pytest.raises(FairauditError) as caught:
        sweep_arms(validated({"arms": [MAX], **values}, SweepConfig, "sweep.toml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_usual_search_is_what_the_paper_searched() -> None:
    config = sweep(tune={"trials": 3}, weights="backbone.pth")
    assert config.space == {
        "lr": Range(low=1e-4, high=2e-3), "epochs": Range(low=5, high=15), "batch_size": ("64", "128"),
        "freeze": ("none", "backbone"),
    }  # fmt: skip
    assert [key for key, one in config.space.items() if isinstance(one, Range) and one.logarithmic] == ["lr"]
    assert "freeze" not in sweep(tune={"trials": 3}).space  # nobody freezes a network of random weights
    assert "lr" not in sweep(tune={"trials": 3}, grid={"lr": [0.1]}).space


def test_toml_keys_with_dots() -> None:
    config = sweep(
        DRO, tune={"trials": 1, "space": {"loss": {"step_size": "0.001..1"}, "freeze": ["none", "conv1,layer1"]}}
    )
    assert config.space == {"loss.step_size": Range(low=0.001, high=1), "freeze": ("none", "conv1,layer1")}
    sweep_arms(config)


def test_a_misspelt_key_of_the_search_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'tune.trails'; did you mean 'trials'"):
        sweep(tune={"trails": 3})


def test_the_grid_is_as_large_as_its_product() -> None:
    grid: dict[str, list[Any]] = {"lr": [0.1, 0.2, 0.3], "epochs": [2, 3], "weight_decay": [0.0, 0.1]}
    found = sweep_arms(sweep(MAX, {"method": "subsample"}, grid=grid))
    assert len(found.arms) == 2 * len(list(itertools.product(*grid.values()))) == 24
