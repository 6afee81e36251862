"""Collection: parametrises, checks and orders the leakage tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exleak.model_names import TOML
from leakage_fixtures import models, settings, tracking
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.rootdir import root
from leakage_fixtures.session import session_of

if TYPE_CHECKING:
    from exleak.adaptive import Extension
    from exleak.records import Dataset

#: The measurement of a finished test, as JSON-serialisable builtins.
MEASURED = pytest.StashKey[dict[str, Any]]()

#: Reason, after the model's name, why a gpu test is skipped.
_NO_CUDA = "runs on CUDA; there is none here"

FIXTURES = (
    "leakage_spec",
    "leakage_model",
    "leakage_generated",
    "leakage_generations",
    "leakage_scores",
    "leakage_measurement",
)


def check(config: pytest.Config) -> None:
    """Check settings, model paths and datasets before collection.

    Raises:
        pytest.UsageError: One of them is invalid; carries the library's message.
    """
    from exleak.datasets import load_dataset
    from exleak.errors import ExleakError
    from exleak.reports.layout import layout

    session = settings.resolve(config)
    try:
        layout(session.columns, session.sort, session.group_by)
        for spec in models.models(config):
            models.source(spec, settings.resolve(config, spec)).check()
        for name in session.dataset:
            data = load_dataset(name, limit=session.limit)
            for spec in models.models(config):
                extension(config, spec, data)
    except ExleakError as error:
        raise pytest.UsageError(str(error)) from None


def parametrise(metafunc: pytest.Metafunc) -> None:
    """Parametrise tests that use a leakage fixture by model and dataset.

    Parameter ids are names, because all xdist workers must collect the same ids.
    """
    wants_model = any(name in metafunc.fixturenames for name in FIXTURES)
    if wants_model and settings.is_disabled(metafunc.config):
        for name in ("leakage_spec", "leakage_dataset"):  # no model is looked for
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, [None], ids=["disabled"], indirect=True)
        return
    if wants_model:
        specs = models.models(metafunc.config)
        metafunc.parametrize(
            "leakage_spec",
            [_parameter(metafunc, spec) for spec in specs] or [_nothing_to_measure()],
            indirect=True,
            scope="session",
        )
    if "leakage_dataset" in metafunc.fixturenames:
        names = settings.resolve(metafunc.config).dataset
        _check_distinct(names)
        metafunc.parametrize("leakage_dataset", names, indirect=True, scope="session")


def _check_distinct(names: Sequence[str]) -> None:
    """Refuse different datasets with the same name, which reports could not distinguish."""
    known: dict[str, str] = {}
    for name in names if len(names) > 1 else ():
        label = name_of(name)
        if known.setdefault(label, name) != name:
            raise pytest.UsageError(
                f"--leakage-dataset {known[label]} and {name} both call themselves {label!r}: give "
                "one of them another name in its first line"
            )


@cache
def name_of(dataset: str) -> str:
    """The name that a dataset declares; an unreadable dataset keeps the name or path given."""
    from exleak.datasets import load_dataset
    from exleak.errors import ExleakError

    try:
        return load_dataset(dataset).name
    except ExleakError:
        return dataset


def _parameter(metafunc: pytest.Metafunc, spec: ModelSpec) -> Any:
    marks = []
    if models.runs_on_cuda(spec, settings.resolve(metafunc.config, spec)):
        marks.append(pytest.mark.gpu)
        from exleak.generation.local.loading import has_cuda

        if not has_cuda():
            marks.append(pytest.mark.skip(reason=f"{spec.name} {_NO_CUDA}"))
    if "xfail" in spec.entry and metafunc.definition.get_closest_marker("leakage_judges"):
        from leakage_fixtures.suite import LeakageFailed

        marks.append(
            pytest.mark.xfail(reason=str(spec.entry["xfail"]), raises=LeakageFailed, strict=True)
        )
    return pytest.param(spec, id=spec.name, marks=marks)


def _nothing_to_measure() -> Any:
    reason = f"no model: pass --leakage-model NAME_OR_PATH, or list models in {TOML}"
    return pytest.param(None, id="no-model", marks=pytest.mark.skip(reason=reason))


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


def finish(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse leakage tests without a rule to fail by, and order significance tests.

    Raises:
        pytest.UsageError: A leakage test has no limit, significance rule or baseline, or a report
            or baseline cannot be written.
    """
    for item in items:
        if item.get_closest_marker("leakage") is None:
            continue
        spec = spec_of(item)
        if spec is None:
            continue
        found = settings.resolve(config, spec, settings.marker_settings(item))
        if not found.report_only and not found.limits.judge_anything:
            raise pytest.UsageError(
                f"nothing to judge {spec.name} by: give --leakage-max-rate X, --leakage-compare "
                "NAME_OR_FILE or --leakage-significance forbid|require, or only measure it with "
                "--leakage-report-only"
            )
        _check_looks(config, spec, found)
    if any(item.get_closest_marker("leakage") is not None for item in items):
        _check_files(config)
        _leave_out_unasked(config, items)
    _adjust_together(config, items)


def _check_looks(config: pytest.Config, spec: ModelSpec, found: Settings) -> None:
    """Refuse several looks where another rule than the limit needs all samples.

    Raises:
        pytest.UsageError: There is no limit, another rule, or a baseline to save.
    """
    if not found.has_looks:
        return
    from exleak.adaptive import check as check_limits
    from exleak.errors import ExleakError

    try:
        check_limits(found.limits)
    except ExleakError as error:
        raise pytest.UsageError(f"{spec.name}: {error}") from None
    if found.save is not None:
        raise pytest.UsageError(
            f"{spec.name}: a baseline needs every sample of the dataset; leave out "
            "--leakage-adaptive and --leakage-extend, or --leakage-save"
        )


def extension(config: pytest.Config, spec: ModelSpec, dataset: Dataset) -> Extension | None:
    """The samples that ``--leakage-extend`` adds to a dataset; ``None`` without it.

    Raises:
        SettingsError: There are not that many.
    """
    resolved = settings.resolve(config, spec)
    if resolved.extend is None:
        return None
    from exleak.adaptive import extension as further
    from exleak.datasets import load_dataset

    given = settings.resolve(config).dataset
    whole = next(load_dataset(name) for name in given if name_of(name) == dataset.name)
    return further(dataset, resolved.extend, resolved.seed, whole)


def _check_files(config: pytest.Config) -> None:
    """Check, before anything is measured, that reports, baselines and logs can be written.

    Raises:
        pytest.UsageError: A report, baseline or log cannot be written.
    """
    from exleak.errors import ExleakError
    from exleak.files import check_file, check_folder

    session = settings.resolve(config)
    try:
        for path in session.report:
            check_file(Path(path))
        for value in session.log:
            if folder := tracking.folder(config, value):
                check_folder(folder)
        if session.save is not None:
            check_folder(root(config) / session.baselines / session.save)
    except ExleakError as error:
        raise pytest.UsageError(f"leakage settings: {error}") from None


def judges_significance(item: pytest.Item) -> bool:
    """Whether a test is the suite's significance test."""
    return _rule(item) == "significance"


def _rule(item: pytest.Item) -> str | None:
    """The rule that one of the suite's tests judges by."""
    marker = item.get_closest_marker("leakage_judges")
    return None if marker is None else str(marker.args[0])


def _leave_out_unasked(config: pytest.Config, items: list[pytest.Item]) -> None:
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


def _adjust_together(config: pytest.Config, items: list[pytest.Item]) -> None:
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
    return any(reason.endswith(_NO_CUDA) for reason in reasons)


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
