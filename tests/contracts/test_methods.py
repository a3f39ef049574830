"""What every method must keep to; a new file in ``fairaudit/methods`` is picked up unasked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fairaudit import plugins
from fairaudit.config import Arm
from fairaudit.engine.history import Progress
from fairaudit.engine.image_sources import UnreadImages
from fairaudit.errors import FairauditError, UsageError
from fairaudit.losses import fscl
from fairaudit.methods.base import Outcome, Plan, Study
from fairaudit.models.classifier import build_network, save_classifier
from fairaudit.models.embedder import EmbeddingNetwork
from fairaudit.models.head import Head, Task
from fairaudit.workflows.arm_checks import check_method
from tests.methods.studies import PREPROCESS, Bench, bench, biased, labelled, logits, same

NAMES = plugins.names("methods")
ARCH = "timm/test_resnet"
DIMENSIONS = 128
"""Numbers of an embedding, where nobody says."""


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
    if name == "attribution-mask":  # the kind whose network is an ordinary one; the others bring their region along
        options |= {"confounder": "glasses", "kind": "specific-mask", "fit_epochs": 1}
    few_glasses = labelled(np.arange(48) % 2, np.arange(48) // 2 % 5 // 3, seed=2)
    return bench(biased(48, 0.8, seed=1), few_glasses, **{"epochs": 1, **changes}), options


def run_of(name: str) -> Callable[..., Outcome]:
    module: ModuleType = plugins.load("methods", name)
    function: Callable[..., Outcome] = module.run
    return function


def before_training(study: Study) -> Plan:
    """What a method is asked with before anything is trained: no training image can be read."""
    known = {field.name: getattr(study, field.name) for field in fields(Plan)}
    return Plan(**{**known, "train": replace(study.train, images=UnreadImages(len(study.train)))})


def checked(name: str, study: Study, options: dict[str, Any]) -> str:
    """What a method says against a study before anything is trained; empty where it may run."""
    try:
        check_method(name, Arm(method=name, method_options=options), before_training(study))
    except FairauditError as error:
        return str(error)
    return ""


def attempt(name: str, asked: Bench, options: dict[str, Any]) -> tuple[Outcome | None, str]:
    """What a method leaves, or why it refuses, which it says before anything is trained."""
    foreseen = checked(name, asked.study, options)
    try:
        outcome, said = run_of(name)(asked.study, **options), ""
    except FairauditError as error:
        outcome, said = None, str(error)
    assert said == foreseen
    assert outcome is not None or not asked.calls
    return outcome, said


def test_the_methods_that_were_asked_for_are_there() -> None:
    assert {
        "adversarial", "attribution-mask", "balanced", "contrastive", "distil", "domain-independent", "infer-groups",
        "just-train-twice", "last-layer", "lisa", "metric-learning", "multi-task", "parade", "resample", "subsample",
        "thresholds",
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
def test_its_check_takes_the_same_options(name: str) -> None:
    parameters = inspect.signature(plugins.load("methods", name).check).parameters
    assert next(iter(parameters)) == "plan"
    asked = [key for key, one in parameters.items() if one.kind is one.KEYWORD_ONLY]
    assert asked == list(plugins.options("methods", name))
    assert all(parameters[key].default is inspect.Parameter.empty for key in asked), "defaults are those of run"


class ForeseenError(UsageError):
    """What a check says here."""


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_only_what_its_check_lets_pass(name: str, glasses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, options = prepared(name, glasses)
    assert checked(name, asked.study, options) == ""

    def refuse(*_: object, **__: object) -> None:
        raise ForeseenError

    monkeypatch.setattr(plugins.load("methods", name), "check", refuse)
    with pytest.raises(ForeseenError):
        run_of(name)(asked.study, **options)
    assert not asked.calls


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "adversarial": ({"strength": "-1"}, "strength of adversarial: '-1' is neither a number from 0 up nor"),
    "attribution-mask": ({"quantile": 1.5}, "quantile of attribution-mask must lie between 0 and 1"),
    "balanced": ({"column": "serv"}, "a column that is not there"),
    "contrastive": ({"c": 0.0}, "c of contrastive must be a number above 0, not 0"),
    "distil": ({"teacher": "nobody.pt"}, "nobody.pt: no such file"),
    "infer-groups": ({"checkpoint": "nobody.pt"}, "nobody.pt: no such file"),
    "just-train-twice": ({"upweight": 0}, "upweight of just-train-twice must be at least 1, not 0"),
    "last-layer": ({"refits": -1}, "last-layer needs at least one refit"),
    "lisa": ({"same_label": 2.0}, "same_label of lisa must be from 0 to 1, not 2"),
    "metric-learning": ({"per_class": 1}, "per_class of metric-learning must be at least 2, not 1"),
    "multi-task": ({"weights": (1.0, 2.0, 3.0)}, "weights of multi-task must be 2 numbers"),
    "parade": ({"decorrelation": "glases:150"}, "did you mean 'glasses'?"),
    "thresholds": ({"positive": "boy"}, "thresholds has no class 'boy' to be positive"),
}


@pytest.mark.parametrize("name", [name for name in NAMES if plugins.options("methods", name)])
def test_an_option_that_cannot_be_is_foreseen(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses)
    wrong, sentence = IMPOSSIBLE[name]
    outcome, said = attempt(
        name, asked, {**options, **{k: Path(v) if str(v).endswith(".pt") else v for k, v in wrong.items()}}
    )
    assert outcome is None
    assert sentence in said


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_a_network_that_a_checkpoint_can_hold(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses)
    outcome = run_of(name)(asked.study, **options)
    study = asked.study
    found = logits(outcome.model, study.validation)
    assert found.shape == (48, DIMENSIONS if outcome.embeds else study.train.n_outputs)
    assert found.isfinite().all()
    assert not any(module.training for module in outcome.model.modules())
    fresh = study.network(DIMENSIONS if outcome.embeds else None, outcome.architecture)
    if outcome.embeds:
        fresh = EmbeddingNetwork(fresh)
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
        if getattr(plugins.load("methods", name), "EMBEDS", False):
            assert sentence == (
                f"the method {name} trains embeddings with a loss of its own; leave --loss out, and choose it by --method "
                f"{name}:loss=triplet"
            )
            return
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
        assert sentence == f"the method {name} needs groups; name the attributes that make them with --by" or (
            name == "infer-groups" and "which attributes to infer" in sentence
        )


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_on_a_network_of_a_library(name: str, glasses: Path) -> None:
    asked, options = prepared(name, glasses, arch=ARCH)
    outcome = run_of(name)(asked.study, **options)
    fresh = build_network(ARCH, DIMENSIONS if outcome.embeds else asked.study.train.n_outputs)
    if outcome.embeds:
        fresh = EmbeddingNetwork(fresh)
    fresh.load_state_dict(outcome.model.state_dict(), strict=True)
    assert logits(outcome.model, asked.study.validation).isfinite().all()
