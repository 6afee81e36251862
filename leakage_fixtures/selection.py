"""Selection: which of the collected leakage tests run, in which order, and which are skipped."""

from __future__ import annotations

import pytest

from leakage_fixtures import settings
from leakage_fixtures.options import ModelSpec
from leakage_fixtures.session import session_of

#: Fixtures whose tests measure leakage.
FIXTURES = (
    "leakage_spec",
    "leakage_model",
    "leakage_generated",
    "leakage_generations",
    "leakage_scores",
    "leakage_measurement",
)

#: Reason, after the model's name, why a gpu test is skipped.
NO_CUDA = "runs on CUDA; there is none here"


def is_leakage(item: pytest.Item) -> bool:
    """Whether a test measures leakage: by its marker, or by a fixture that does."""
    names = getattr(item, "fixturenames", ())
    return item.get_closest_marker("leakage") is not None or any(n in names for n in FIXTURES)


def deselect(config: pytest.Config, items: list[pytest.Item], *, leakage: bool) -> int:
    """Deselect the leakage tests, or all others.

    Args:
        config: The session's config.
        items: The collected tests; those that are left stay in it.
        leakage: Whether the leakage tests are deselected.

    Returns:
        The number of deselected tests.
    """
    gone = [item for item in items if is_leakage(item) is leakage]
    _leave_out(config, items, gone)
    return len(gone)


def _leave_out(config: pytest.Config, items: list[pytest.Item], gone: list[pytest.Item]) -> None:
    """Deselect some of the collected tests."""
    if gone:
        left_out = set(gone)
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=gone)


def judges_significance(item: pytest.Item) -> bool:
    """Whether a test is the suite's significance test."""
    return _rule(item) == "significance"


def _rule(item: pytest.Item) -> str | None:
    """The rule that one of the suite's tests judges by."""
    marker = item.get_closest_marker("leakage_judges")
    return None if marker is None else str(marker.args[0])


def leave_out_unasked(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the suite's tests of rules that are not set, and of snapshots that are not kept.

    If no leakage test would be left, all stay, and say why they are skipped.
    """
    unasked = [item for item in items if not _is_asked(config, item)]
    leakage = [item for item in items if item.get_closest_marker("leakage")]
    if len(unasked) < len(leakage):
        _leave_out(config, items, unasked)


def _is_asked(config: pytest.Config, item: pytest.Item) -> bool:
    """Whether a test has something to compare with, or is not one of these."""
    rule, spec = _rule(item), spec_of(item)
    if item.get_closest_marker("leakage_snapshots"):
        # Older versions of syrupy lack the second.
        given = ("update_snapshots", "update_new_snapshots_only")
        updates = any(getattr(config.option, name, False) for name in given)
        return updates or (item.path.parent / "__snapshots__" / item.path.stem).is_dir()
    if rule is None or spec is None:
        return True
    found = settings.resolve(config, spec, settings.marker_settings(item))
    return {
        "limit": found.max_rate is not None,
        "significance": found.significance in ("forbid", "require"),
        "baseline": found.compare is not None,
    }[rule]


def adjust_together(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the significance tests of several models last, when all models have been measured."""
    family: dict[tuple[str, str], tuple[ModelSpec, str]] = {}
    for item in items:
        spec = spec_of(item)
        if spec is None or not judges_significance(item) or item.get_closest_marker("skip"):
            continue
        found = settings.resolve(config, spec, settings.marker_settings(item))
        if found.significance in ("forbid", "require"):
            dataset = str(item.callspec.params["leakage_dataset"])  # type: ignore[attr-defined]
            family[spec.name, dataset] = (spec, dataset)
    session_of(config).family = list(family.values())
    if len(family) > 1:
        items.sort(key=judges_significance)


def is_without_cuda(item: pytest.Item) -> bool:
    """Whether a test is skipped because its model runs on CUDA, and there is none here."""
    reasons = [str(mark.kwargs.get("reason")) for mark in item.iter_markers("skip")]
    return any(reason.endswith(NO_CUDA) for reason in reasons)


def skip_broken(item: pytest.Item) -> None:
    """Skip a test whose model could not be measured in an earlier test."""
    if name := broken_model(item):
        pytest.skip(f"{name} could not be measured: see its first error")


def broken_model(item: pytest.Item) -> str | None:
    """The name of a test's model if it could not be measured; else ``None``."""
    spec = spec_of(item)
    return spec.name if spec is not None and spec.name in session_of(item.config).broken else None


def spec_of(item: pytest.Item) -> ModelSpec | None:
    """The model that a test is parametrised with; ``None`` for other tests."""
    callspec = getattr(item, "callspec", None)
    found: ModelSpec | None = callspec.params.get("leakage_spec") if callspec else None
    return found
