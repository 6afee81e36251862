"""Collection: parametrises the leakage tests, and checks what they need before any runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exleak.model_names import TOML
from leakage_fixtures import models, selection, settings
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.rootdir import root

if TYPE_CHECKING:
    from exleak.adaptive import Extension
    from exleak.records import Dataset

#: The measurement of a finished test, as JSON-serialisable builtins.
MEASURED = pytest.StashKey[dict[str, Any]]()


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
    wants_model = any(name in metafunc.fixturenames for name in selection.FIXTURES)
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
            marks.append(pytest.mark.skip(reason=f"{spec.name} {selection.NO_CUDA}"))
    if "xfail" in spec.entry and metafunc.definition.get_closest_marker("leakage_judges"):
        from leakage_fixtures.suite import LeakageFailed

        marks.append(
            pytest.mark.xfail(reason=str(spec.entry["xfail"]), raises=LeakageFailed, strict=True)
        )
    return pytest.param(spec, id=spec.name, marks=marks)


def _nothing_to_measure() -> Any:
    reason = f"no model: pass --leakage-model NAME_OR_PATH, or list models in {TOML}"
    return pytest.param(None, id="no-model", marks=pytest.mark.skip(reason=reason))


def finish(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse leakage tests without a rule to fail by, and order significance tests.

    Raises:
        pytest.UsageError: A leakage test has no limit, significance rule or baseline, or a report
            or baseline cannot be written.
    """
    for item in items:
        if item.get_closest_marker("leakage") is None:
            continue
        spec = selection.spec_of(item)
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
        selection.leave_out_unasked(config, items)
    selection.adjust_together(config, items)


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
    from leakage_fixtures import tracking

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
