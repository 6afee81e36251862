"""Measures a model: generates and scores its continuations once per dataset.

Under xdist one worker generates; the others wait and read the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from leakage_fixtures import collection, models, settings, workers
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.session import session_of

if TYPE_CHECKING:
    from exleak.adaptive import Looks
    from exleak.generation.dataset import Generated
    from exleak.generation.endpoint.launch import Servers
    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Source
    from exleak.records import Dataset, Measurement


def generate(
    config: pytest.Config,
    spec: ModelSpec,
    dataset: Dataset,
    temporary: pytest.TempPathFactory,
    source: Source,
    *,
    is_part: bool = False,
) -> Generated:
    """Generate a model's continuations of a dataset, or read them from the store.

    Args:
        config: The session's config.
        spec: The model.
        dataset: The dataset whose prompts are continued.
        temporary: Factory of the folder for a temporary store.
        source: The model's :func:`source`.
        is_part: Whether the dataset is a part of one.
    """
    from exleak.generation.dataset import generate_rows
    from exleak.measurement import check_instrument
    from leakage_fixtures.announcement import label
    from leakage_fixtures.progress import Progress

    resolved = settings.resolve(config, spec)
    check_instrument(resolved.instrument, dataset)
    with Progress(config, label(spec.name, dataset.name)):
        return generate_rows(
            source,
            dataset,
            resolved.sampling,
            batch_size=resolved.rows,
            mitigation=resolved.instruction,
            store=workers.store(config, resolved.store, temporary),
            is_part=is_part,
        )


def source(
    config: pytest.Config,
    spec: ModelSpec,
    temporary: pytest.TempPathFactory,
    loader: Callable[[], LocalModel] | None = None,
) -> Source:
    """Where a model's continuations come from; nothing is loaded, started or asked yet.

    Args:
        config: The session's config.
        spec: The model.
        temporary: Factory of the folder for what a session's processes share.
        loader: Returns the loaded model, if a fixture holds it.
    """
    resolved = settings.resolve(config, spec)
    return models.source(spec, resolved, loader, _servers(config, resolved, temporary))


def _servers(
    config: pytest.Config, resolved: Settings, temporary: pytest.TempPathFactory
) -> Servers | None:
    """The servers of this session, which end with it; ``None`` if none is to be started."""
    if resolved.server is None:
        return None
    from exleak.generation.endpoint.launch import Servers

    session = session_of(config)
    if session.servers is None:
        session.servers = Servers(workers.shared_folder(config, temporary) / "leakage-servers")
        config.add_cleanup(session.servers.close)
    return session.servers


def score(
    config: pytest.Config,
    spec: ModelSpec,
    dataset: Dataset,
    generated: Generated,
    temporary: pytest.TempPathFactory,
    level: float | None = None,
) -> Measurement:
    """Score a model's continuations and compute its rates, without judging them.

    Args:
        config: The session's config.
        spec: The model.
        dataset: The dataset.
        generated: The continuations.
        temporary: Factory of the folder for a temporary store.
        level: One-sided confidence level of the bounds; by default that of the session.
    """
    from exleak.gate.limits import Limits
    from exleak.measurement import About
    from exleak.measurement import score as rate
    from leakage_fixtures.announcement import label
    from leakage_fixtures.progress import Progress

    resolved = settings.resolve(config, spec)
    about = About.of(
        spec.name,
        dataset,
        resolved.sampling,
        generated,
        mitigation=resolved.instruction,
        limit=resolved.limit,
    )
    with Progress(config, label(spec.name, dataset.name)):
        return rate(
            generated.rows,
            resolved.instrument,
            limits=Limits(level=level or resolved.confidence),  # each test applies its own limits
            about=about,
            store=workers.store(config, resolved.store, temporary),
        )


def looks(
    config: pytest.Config,
    spec: ModelSpec,
    dataset: Dataset,
    temporary: pytest.TempPathFactory,
    loader: Callable[[], LocalModel],
) -> Looks:
    """The looks at a model with ``--leakage-adaptive`` or ``--leakage-extend``.

    Args:
        config: The session's config.
        spec: The model.
        dataset: The dataset, perhaps cut by ``--leakage-limit``.
        temporary: Factory of the folder for a temporary store.
        loader: Returns the loaded model.
    """
    from exleak.adaptive import Looks

    resolved, known = settings.resolve(config, spec), session_of(config).looks
    key = (spec.name, dataset.name)
    if key not in known:
        model = source(config, spec, temporary, loader)  # probed once for all looks
        known[key] = Looks(
            dataset,
            resolved.limits,
            lambda part: generate(config, spec, part, temporary, model, is_part=True),
            lambda generated, level: score(config, spec, dataset, generated, temporary, level),
            seed=resolved.seed,
            adaptive=resolved.adaptive,
            extended_by=collection.extension(config, spec, dataset),
            store=workers.store(config, resolved.store, temporary),
        )
    return known[key]


def measure_apart(
    request: pytest.FixtureRequest, spec: ModelSpec, dataset: str
) -> Measurement | None:
    """The rates of another model of this run; ``None`` if it cannot be measured.

    The tests of that model report the error.

    Args:
        request: The request of the test that needs the rates.
        spec: The other model.
        dataset: Dataset name or file.
    """
    from exleak.datasets import load_dataset
    from exleak.errors import ExleakError

    config, known = request.config, session_of(request.config).scores
    key = (spec.name, collection.name_of(dataset))
    if key not in known:
        temporary = request.getfixturevalue("tmp_path_factory")
        data = load_dataset(dataset, limit=settings.resolve(config).limit)
        try:
            model = source(config, spec, temporary)
            generated = generate(config, spec, data, temporary, model)
            known[key] = score(config, spec, data, generated, temporary)
        except ExleakError:
            return None
    return known[key]


@contextmanager
def one_error(config: pytest.Config, model: str) -> Iterator[None]:
    """Turn a library error into a test failure; the model's remaining tests are then skipped."""
    from exleak.errors import ExleakError
    from exleak.remarks import heard

    try:
        with heard(session_of(config).remarks.append):
            yield
    except ExleakError as error:
        session_of(config).broken.add(model)
        raise pytest.fail.Exception(str(error), pytrace=False) from None
