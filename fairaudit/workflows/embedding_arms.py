"""Arms that train embeddings: which do, what they are compared with, and what their test images are audited for."""

from __future__ import annotations

from fairaudit import plugins
from fairaudit.config import Arm, MitigateConfig
from fairaudit.errors import UsageError

REFERENCE = "metric-learning"
"""The method that arms of embeddings are compared with."""
KS = (1, 5)
RECALL = f"recall_at_{KS[0]}"
"""The target of the audit, of which accuracy is recall@1."""
_NOT_SHARED = {"balanced"}


def is_embedding_method(name: str) -> bool:
    """Whether a method trains embeddings.

    Args:
        name: of a method.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return bool(getattr(plugins.load("methods", name), "EMBEDS", False))


def embeds(arm: Arm) -> bool:
    """Whether an arm trains embeddings.

    Args:
        arm: one.

    Raises:
        UnknownNameError: there is no such method.
    """
    return arm.method is not None and is_embedding_method(arm.method)


def trains_embeddings(config: MitigateConfig) -> bool:
    """Whether a run trains embeddings; all of its arms do, or none.

    Args:
        config: the run.
    """
    return any(embeds(arm) for arm in config.arms)


def with_reference(config: MitigateConfig) -> MitigateConfig:
    """A run whose arms train embeddings is compared with metric learning of the same loss, not with a classifier.

    Args:
        config: the run; one that trains classifiers is returned as it is.

    Raises:
        UsageError: some arms train embeddings and some classifiers.
    """
    kinds = {embeds(arm): arm for arm in config.arms}
    if True not in kinds:
        return config
    if False in kinds:
        raise UsageError(
            f"{kinds[True].name} trains embeddings and {kinds[False].name} a classifier, and nothing compares the two; run "
            "them apart"
        )
    if any(arm.reference for arm in config.arms):
        return config
    arms = list(config.arms)
    plain = next((i for i, arm in enumerate(arms) if _is_plain(arm)), None)
    if plain is not None:
        arms[plain] = arms[plain].model_copy(update={"reference": True})
    elif config.baseline:
        known = set(plugins.options("methods", REFERENCE)) - _NOT_SHARED
        same = {key: value for key, value in arms[0].method_options.items() if key.replace("-", "_") in known}
        arms.insert(0, Arm(method=REFERENCE, method_options=same, reference=True))
    return config.model_copy(update={"arms": tuple(arms)})


def _is_plain(arm: Arm) -> bool:
    return arm.method == REFERENCE and not arm.training and arm.method_options.get("balanced", "none") == "none"
