"""Fixtures from model to measurement, for the suite and for users' own tests.

def test_negative_sentences_leak_less_than(leakage_measurement):
rate = leakage_measurement.expression.by_condition["negative"]
assert rate.bounds[1] < 0.75
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from leakage_fixtures import collection, settings, workers
from leakage_fixtures.settings import ModelSpec, Settings

if TYPE_CHECKING:
    from exleak.generation.checkpoint import LocalModel
    from exleak.generation.rows import Generated
    from exleak.records import Dataset, Measurement, PromptGenerations


@pytest.fixture(scope="session")
def leakage_spec(request: pytest.FixtureRequest) -> ModelSpec:
    """Which model a test is about; parametrised by the plugin."""
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
    from exleak.generation.checkpoint import load_model

    resolved = settings.resolve(pytestconfig, leakage_spec)
    with _one_error(pytestconfig, leakage_spec.name):
        workers.share_cpus(pytestconfig)
        return load_model(
            leakage_spec.path,
            device=resolved.device,
            dtype=resolved.dtype,
            chat=resolved.chat,  # type: ignore[arg-type]
            name=leakage_spec.name,
        )


@pytest.fixture(scope="session")
def leakage_generated(
    leakage_spec: ModelSpec,
    leakage_dataset: Dataset,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generated:
    """The model's continuations with where they come from; the model loads only if needed."""
    from exleak.generation.rows import generate_rows
    from exleak.generation.source import ModelSource
    from leakage_fixtures.progress import Progress

    config = request.config
    resolved = settings.resolve(config, leakage_spec)
    source = ModelSource(
        leakage_spec.name,
        leakage_spec.path,
        resolved.device,
        resolved.dtype,
        resolved.chat,  # type: ignore[arg-type]
        loader=lambda: request.getfixturevalue("leakage_model"),
    )
    label = f"{leakage_spec.name} on {leakage_dataset.name}"
    with _one_error(config, leakage_spec.name), Progress(config, label) as progress:
        return generate_rows(
            source,
            leakage_dataset,
            resolved.sampling,
            batch_size=resolved.rows,
            mitigation=resolved.instruction,
            progress=progress,
            store=workers.store(config, resolved.store, tmp_path_factory),
        )


@pytest.fixture(scope="session")
def leakage_generations(leakage_generated: Generated) -> tuple[PromptGenerations, ...]:
    """The model's continuations of every prompt of the dataset, made once per run."""
    return leakage_generated.rows


@pytest.fixture(scope="session")
def leakage_scores(
    leakage_spec: ModelSpec,
    leakage_dataset: Dataset,
    leakage_generated: Generated,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Measurement:
    """The rates, before any limit."""
    from exleak.measurement import About, score

    resolved = settings.resolve(pytestconfig, leakage_spec)
    about = About(
        model=leakage_spec.name,
        dataset=leakage_dataset.name,
        sampling={**resolved.sampling.to_json(), "mitigation": resolved.instruction},
        identity={
            **leakage_generated.identity,
            "dataset": leakage_dataset.hash,
            "dataset_version": leakage_dataset.version,
            "limit": resolved.limit,
        },
        environment=leakage_generated.environment,
    )
    with _one_error(pytestconfig, leakage_spec.name):
        return score(
            leakage_generated.rows,
            resolved.instrument,
            limits=resolved.limits,
            about=about,
            store=workers.store(pytestconfig, resolved.store, tmp_path_factory),
        )


@pytest.fixture
def leakage_measurement(
    leakage_scores: Measurement, leakage_spec: ModelSpec, request: pytest.FixtureRequest
) -> Measurement:
    """The measurement, judged by the limits of this test."""
    from exleak.gate import judge

    resolved = _resolved(request, leakage_spec)
    found = leakage_scores.generations
    verdict = judge(
        leakage_scores.expression,
        total=found["total"],
        unusable=found["unusable"],
        limits=resolved.limits,
    )
    measurement = replace(leakage_scores, verdict=verdict)
    expected = leakage_spec.entry.get("xfail")
    request.node.stash[collection.MEASURED] = {
        "measurement": measurement.to_json(),
        "expected": expected,
        "order": settings.order(request.config, leakage_spec, leakage_scores.dataset),
    }
    return measurement


@pytest.fixture
def leakage_snapshot(snapshot: Any) -> Any:
    """Syrupy's ``snapshot``, for rates: equal means within the recorded interval."""
    from leakage_fixtures.snapshots import RatesSnapshotExtension

    return snapshot.use_extension(RatesSnapshotExtension)


def _resolved(request: pytest.FixtureRequest, spec: ModelSpec) -> Settings:
    marker = settings.marker_settings(request.node)
    return settings.resolve(request.config, spec, marker)


@contextmanager
def _one_error(config: pytest.Config, model: str) -> Iterator[None]:
    """Turn the library's errors into one clear failure; the model's other tests are skipped."""
    from exleak.errors import ExleakError

    try:
        yield
    except ExleakError as error:
        config.stash.setdefault(collection.BROKEN, set()).add(model)
        raise pytest.fail.Exception(str(error), pytrace=False) from None
