"""From a model to its rates: generated and scored once for each dataset, in one process.

Other workers wait and read what the first one stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from leakage_fixtures import collection, settings, workers
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.session import session_of

if TYPE_CHECKING:
    from exleak.generation.dataset import Generated
    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Source
    from exleak.records import Dataset, Measurement


def generate(
    config: pytest.Config,
    spec: ModelSpec,
    dataset: Dataset,
    temporary: pytest.TempPathFactory,
    loader: Callable[[], LocalModel] | None = None,
) -> Generated:
    """Continue a dataset with a model, or read what is stored.

    Args:
        config: Of the session.
        spec: The model.
        dataset: What to continue.
        temporary: Where a store may be that is not kept.
        loader: Loads the model, where a fixture keeps it.
    """
    from exleak.generation.dataset import generate_rows
    from leakage_fixtures.progress import Progress

    resolved = settings.resolve(config, spec)
    with Progress(config, f"{spec.name} on {dataset.name}") as progress:
        return generate_rows(
            _source(spec, resolved, loader),
            dataset,
            resolved.sampling,
            batch_size=resolved.rows,
            mitigation=resolved.instruction,
            progress=progress,
            store=workers.store(config, resolved.store, temporary),
        )


def _source(spec: ModelSpec, resolved: Settings, loader: Callable[[], LocalModel] | None) -> Source:
    from exleak.sources import source_of

    return source_of(
        spec.path,
        name=spec.name,
        endpoint=resolved.endpoint,
        timeout=resolved.endpoint_timeout,
        device=resolved.device,
        dtype=resolved.dtype,
        chat=resolved.chat,  # type: ignore[arg-type]
        loader=loader,
    )


def score(
    config: pytest.Config,
    spec: ModelSpec,
    dataset: Dataset,
    generated: Generated,
    temporary: pytest.TempPathFactory,
) -> Measurement:
    """The rates of a model's continuations, before any limit."""
    from exleak.gate.limits import Limits
    from exleak.measurement import About
    from exleak.measurement import score as rate

    resolved = settings.resolve(config, spec)
    about = About(
        model=spec.name,
        dataset=dataset.name,
        sampling={**resolved.sampling.to_json(), "mitigation": resolved.instruction},
        identity={
            **generated.identity,
            "dataset": dataset.hash,
            "dataset_version": dataset.version,
            "limit": resolved.limit,
        },
        environment=generated.environment,
        notes=generated.notes,
    )
    return rate(
        generated.rows,
        resolved.instrument,
        limits=Limits(level=resolved.limits.level),  # each test judges by limits of its own
        about=about,
        store=workers.store(config, resolved.store, temporary),
    )


def measure_apart(
    request: pytest.FixtureRequest, spec: ModelSpec, dataset: str
) -> Measurement | None:
    """The rates of another model of this run; ``None`` where it cannot be measured.

    Its own tests say why it cannot.

    Args:
        request: Of the test that wants to know.
        spec: The other model.
        dataset: Name or file.
    """
    from exleak.datasets import load_dataset
    from exleak.errors import ExleakError

    config, known = request.config, session_of(request.config).scores
    key = (spec.name, collection.name_of(dataset))
    if key not in known:
        temporary = request.getfixturevalue("tmp_path_factory")
        data = load_dataset(dataset, limit=settings.resolve(config).limit)
        try:
            generated = generate(config, spec, data, temporary)
            known[key] = score(config, spec, data, generated, temporary)
        except ExleakError:
            return None
    return known[key]


@contextmanager
def one_error(config: pytest.Config, model: str) -> Iterator[None]:
    """Turn the library's errors into one clear failure; the model's other tests are skipped."""
    from exleak.errors import ExleakError
    from exleak.remarks import heard

    try:
        with heard(session_of(config).remarks.append):
            yield
    except ExleakError as error:
        session_of(config).broken.add(model)
        raise pytest.fail.Exception(str(error), pytrace=False) from None
