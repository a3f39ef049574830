"""What every method must keep to; a new file in ``fairaudit/methods`` is picked up unasked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fairaudit import plugins
from fairaudit.engine.history import Progress
from fairaudit.errors import UsageError
from fairaudit.losses import fscl
from fairaudit.methods.base import Outcome
from fairaudit.models.classifier import build_network, save_classifier
from fairaudit.models.head import Head, Task
from tests.methods.studies import PREPROCESS, Bench, bench, biased, labelled, logits, same

NAMES = plugins.names("methods")
ARCH = "timm/test_resnet"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def glasses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that says no of every image, which is wrong about fewer than half of those that are drawn here."""
    network = build_network(ARCH, 2)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    path = tmp_path_factory.mktemp("methods") / "glasses.pt"
    head = Head(2, (Task("glasses", ("no", "yes"), (0, 1)),))
    save_classifier(path, network, architecture=ARCH, arch_kwargs={}, head=head, preprocess=PREPROCESS)
    return path


def prepared(name: str, checkpoint: Path, **changes: Any) -> tuple[Bench, dict[str, Any]]:
    """A study on which a method runs, and the options that it cannot do without; a new method gets the usual ones."""
    options: dict[str, Any] = {}
    if name == "multi-task":
        return bench(
            *(biased(48, 0.8, seed=seed, target="gender,age") for seed in (1, 2)), **{"epochs": 1, **changes}
        ), options
    if name == "infer-groups":
        options["checkpoint"] = checkpoint
    few_glasses = labelled(np.arange(48) % 2, np.arange(48) // 2 % 5 // 3, seed=2)
    return bench(biased(48, 0.8, seed=1), few_glasses, **{"epochs": 1, **changes}), options


def run_of(name: str) -> Callable[..., Outcome]:
    module: ModuleType = plugins.load("methods", name)
    function: Callable[..., Outcome] = module.run
    return function


def attempt(name: str, asked: Bench, options: dict[str, Any]) -> tuple[Outcome | None, str]:
    """What a method leaves, or why it refuses."""
    try:
        return run_of(name)(asked.study, **options), ""
    except UsageError as error:
        return None, str(error)


def test_the_methods_that_were_asked_for_are_there() -> None:
    assert {
        "balanced", "contrastive", "distil", "domain-independent", "infer-groups", "just-train-twice",
        "last-layer", "lisa", "multi-task", "resample", "subsample", "thresholds",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_what_the_method_is(name: str) -> None:
    summary = plugins.summary("methods", name)
    assert summary.endswith(".")
    assert len(summary) <= 124
    card = plugins.card("methods", name)
    headings = [line for line in card.splitlines() if line in ("Formula:", "Source:", "Traps:", "Needs:")]
    assert headings == ["Formula:", "Source:", "Traps:", "Needs:"]


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_the_option_schema(name: str) -> None:
    function = run_of(name)
    positional = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert [p.name for p in positional] == ["study"]
    for key, option in plugins.options("methods", name).items():
        assert option.default is not option.empty
        assert f"{key}:" in (function.__doc__ or "")
        if option.default is None:
            continue
        text = ",".join(map(str, option.default)) if isinstance(option.default, tuple) else str(option.default)
        if text:
            assert plugins.check_options("methods", name, {key: text}) == {key: option.default}, "a flag can give it"


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_a_network_that_a_checkpoint_can_hold(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses)
    outcome = run_of(name)(asked.study, **options)
    study = asked.study
    found = logits(outcome.model, study.validation)
    assert found.shape == (48, study.train.n_outputs)
    assert found.isfinite().all()
    assert not any(module.training for module in outcome.model.modules())
    fresh = study.network(architecture=outcome.architecture)
    fresh.load_state_dict(outcome.model.state_dict(), strict=True)
    assert torch.equal(logits(fresh, study.validation), found), "there is more to it than its weights"


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_did(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses)
    outcome = run_of(name)(asked.study, **options)
    assert len(outcome.histories) == len(asked.calls) >= 1
    assert all(history.epochs for history in outcome.histories.values())
    for note in outcome.notes:
        assert note
        assert "\n" not in note
        assert not note.endswith(".")
    if outcome.decide is not None:
        scores = logits(outcome.model, asked.study.validation).softmax(dim=1).double().numpy()
        decided = outcome.decide(scores, asked.study.validation_columns)
        assert decided.shape == (48,)
        assert decided.dtype.kind == "i"
        assert set(decided.tolist()) <= {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_network_and_the_study_is_left_as_it_was(name: str, glasses: Path) -> None:
    models = []
    for noise in (1, 2):
        asked, options = prepared(name, glasses)
        study = asked.study
        before = study.settings, study.train.targets.clone(), study.train.groups.clone(), study.validation.groups.clone()
        torch.manual_seed(noise)  # what the caller drew before must not matter
        models.append(run_of(name)(study, **options).model)
        assert study.settings == before[0]
        for now, then in zip((study.train.targets, study.train.groups, study.validation.groups), before[1:], strict=True):
            assert torch.equal(now, then)
    assert same(*models)


@pytest.mark.parametrize("name", NAMES)
def test_it_may_be_interrupted_after_every_epoch(name: str, glasses: Path, tmp_path: Path) -> None:
    """Each run ends after one more epoch than the one before, until there is nothing left to train."""

    def interrupt(where: Progress) -> None:
        if where.finished is not None and where.finished.epoch == where.epoch:
            raise KeyboardInterrupt

    longer = {"epochs": 2, "select": "average"}
    asked, options = prepared(name, glasses, **longer)
    whole = run_of(name)(asked.study, **options)
    for _interruption in range(20):
        asked, options = prepared(name, glasses, resume=tmp_path, progress=interrupt, **longer)
        try:
            resumed = run_of(name)(asked.study, **options)
        except KeyboardInterrupt:
            continue
        break
    assert _interruption == sum(len(history.epochs) for history in whole.histories.values())
    assert same(resumed.model, whole.model)
    assert resumed.notes == whole.notes


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_of_embeddings_is_used_or_refused(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses, build=fscl.build)
    outcome, sentence = attempt(name, asked, options)
    if outcome is None:
        assert sentence == (
            f"the method {name} trains a classifier, and the loss that was chosen trains embeddings; "
            "choose another loss, or the method contrastive"
        )
        return
    assert logits(outcome.model, asked.study.validation).isfinite().all()
    start = asked.study.network().state_dict()
    last = list(outcome.model.state_dict())[-1]
    assert not torch.equal(outcome.model.state_dict()[last], start[last]), "the last layer is still random"


@pytest.mark.parametrize("name", NAMES)
def test_without_groups_it_runs_or_says_that_it_needs_them(name: str, glasses: Path) -> None:
    target = "gender,age" if name == "multi-task" else "gender"
    parts = [biased(48, 0.8, seed=seed, target=target, by="") for seed in (1, 2)]
    asked, options = bench(*parts, by=(), epochs=1), prepared(name, glasses)[1]
    outcome, sentence = attempt(name, asked, options)
    if outcome is None:
        assert not asked.calls, "it is said before anything is trained"
        assert sentence == f"the method {name} needs groups; name the attributes that make them with --by" or (
            name == "infer-groups" and "which attributes to infer" in sentence
        )


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_on_a_network_of_a_library(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses, arch=ARCH)
    outcome = run_of(name)(asked.study, **options)
    fresh = build_network(ARCH, asked.study.train.n_outputs)
    fresh.load_state_dict(outcome.model.state_dict(), strict=True)
    assert logits(outcome.model, asked.study.validation).isfinite().all()
