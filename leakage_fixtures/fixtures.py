"""The fixtures, from model to measurement, for the suite and for users' own tests.

def test_negative_sentences_leak_less(leakage_measurement):
    rate = leakage_measurement.expression.by_condition["negative"]
    assert rate.bounds[1] < 0.75
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from leakage_fixtures import (
    collection,
    judging,
    measuring,
    models,
    other_snapshots,
    selection,
    settings,
    workers,
)
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.session import session_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exleak.generation.dataset import Generated
    from exleak.generation.local.model import LocalModel
    from exleak.records import Dataset, Measurement, PromptGenerations


@pytest.fixture(scope="session")
def leakage_spec(request: pytest.FixtureRequest) -> ModelSpec:
    """The model that a test measures; parametrised by the plugin."""
    spec: ModelSpec | None = getattr(request, "param", None)
    if spec is None:
        pytest.skip("no model")
    return spec


@pytest.fixture(scope="session")
def leakage_dataset(request: pytest.FixtureRequest) -> Dataset:
    """The dataset; parametrised by ``--leakage-dataset``."""
    from exleak.datasets import load_dataset

    limit = settings.resolve(request.config).limit
    return load_dataset(request.param, limit=limit)


@pytest.fixture(scope="session")
def leakage_model(leakage_spec: ModelSpec, pytestconfig: pytest.Config) -> LocalModel:
    """The loaded model: ``.model``, ``.tokenizer``, ``.name``, ``.device``."""
    from exleak.generation.local.loading import load_model
    from leakage_fixtures.progress import shown

    resolved = settings.resolve(pytestconfig, leakage_spec)
    if resolved.endpoint or resolved.server is not None:
        raise pytest.fail.Exception(
            f"leakage_model: {leakage_spec.name} is on a server and cannot be loaded; use "
            "leakage_generations or leakage_measurement",
            pytrace=False,
        )
    name = leakage_spec.name
    with measuring.one_error(pytestconfig, name), shown(pytestconfig, name):
        workers.share_cpus(pytestconfig)
        return load_model(
            leakage_spec.path,
            device=resolved.device,
            dtype=resolved.dtype,
            chat=resolved.chat,  # type: ignore[arg-type]
            name=name,
            loading=resolved.loading,
            template=resolved.chat_template,
        )


@pytest.fixture(scope="session")
def leakage_generated(
    leakage_spec: ModelSpec,
    leakage_dataset: Dataset,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generated:
    """The continuations and their provenance; the model is loaded only if the store lacks some."""
    with measuring.one_error(request.config, leakage_spec.name):
        source = measuring.source(request.config, leakage_spec, tmp_path_factory, _loader(request))
        return measuring.generate(
            request.config, leakage_spec, leakage_dataset, tmp_path_factory, source
        )


def _loader(request: pytest.FixtureRequest) -> Callable[[], LocalModel]:
    def loader() -> LocalModel:
        model: LocalModel = request.getfixturevalue("leakage_model")
        return model

    return loader


@pytest.fixture(scope="session")
def leakage_generations(leakage_generated: Generated) -> tuple[PromptGenerations, ...]:
    """The model's continuations of every prompt of the dataset, generated once per run."""
    return leakage_generated.rows


@pytest.fixture(scope="session")
def leakage_scores(
    leakage_spec: ModelSpec,
    leakage_dataset: Dataset,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Measurement:
    """The unjudged measurement; computed once per model and dataset."""
    known = session_of(request.config).scores
    key = (leakage_spec.name, leakage_dataset.name)
    if key not in known:
        generated = request.getfixturevalue("leakage_generated")
        with measuring.one_error(request.config, leakage_spec.name):
            known[key] = measuring.score(
                request.config, leakage_spec, leakage_dataset, generated, tmp_path_factory
            )
    return known[key]


@pytest.fixture
def leakage_measurement(
    leakage_spec: ModelSpec,
    leakage_dataset: Dataset,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Measurement:
    """The measurement with rates and verdict, judged by the limits of this test.

    With ``--leakage-adaptive`` or ``--leakage-extend`` it is that of the first look which decides
    whether these limits are kept.
    """
    resolved = _resolved(request, leakage_spec)
    if resolved.has_looks:
        with measuring.one_error(request.config, leakage_spec.name):
            looks = measuring.looks(
                request.config, leakage_spec, leakage_dataset, tmp_path_factory, _loader(request)
            )
            scores, limits = looks.until_decided(resolved.limits)
        resolved = replace(resolved, confidence=limits.level)
    else:
        scores = request.getfixturevalue("leakage_scores")
    adjusted = None
    if selection.judges_significance(request.node):
        adjusted = judging.adjusted_p_value(request, leakage_spec, scores.dataset)
    with measuring.one_error(request.config, leakage_spec.name):
        verdict = judging.verdict(request.config, scores, resolved, adjusted)
    measurement = replace(scores, verdict=verdict)
    _record_properties(request.node, measurement)
    expected = leakage_spec.entry.get("xfail")
    request.node.stash[collection.MEASURED] = {
        "measurement": measurement.to_json(),
        "expected": expected,
        "series": leakage_spec.series,
        "compare": resolved.compare,
        "strict": resolved.strict,
        "limits": asdict(resolved.limits),
        "order": models.order(request.config, leakage_spec, scores.dataset),
    }
    return measurement


@pytest.fixture
def leakage_snapshot(request: pytest.FixtureRequest) -> Any:
    """Syrupy's ``snapshot`` for rates, which match within the recorded intervals.

    Skips the test if syrupy is not active.
    """
    if reason := other_snapshots.why_none(request.config):
        pytest.skip(reason)
    from leakage_fixtures.snapshots import RatesSnapshotExtension

    return request.getfixturevalue("snapshot").use_extension(RatesSnapshotExtension)


def _record_properties(node: pytest.Item, measurement: Measurement) -> None:
    """Record rates, limit and outcome as JUnit properties."""
    expression, verdict = measurement.expression, measurement.verdict
    low, high = expression.interval or (None, None)
    shown: dict[str, float | str | None] = {
        "leakage_model": measurement.model,
        "leakage_dataset": measurement.dataset,
        "leakage_rate": expression.rate,
        "leakage_rate_low": low,
        "leakage_rate_high": high,
        "leakage_p_value": expression.p_value,
        "leakage_directional": expression.directional.rate,
        "leakage_carry_over": expression.carry_over.share.rate if expression.carry_over else None,
        "leakage_residual": (expression.residual.directional.rate if expression.residual else None),
        "leakage_limit": verdict.limit,
        "leakage_samples": measurement.interim.used if measurement.interim else None,
        "leakage_outcome": verdict.outcome,
        "leakage_notes": "; ".join(measurement.notes) or None,
    }
    node.user_properties += [(name, value) for name, value in shown.items() if value is not None]


def _resolved(request: pytest.FixtureRequest, spec: ModelSpec) -> Settings:
    marker = settings.marker_settings(request.node)
    return settings.resolve(request.config, spec, marker)
