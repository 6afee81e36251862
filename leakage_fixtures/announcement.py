"""The line before the first measurement: what is to be generated, and how long it took before.

Seconds come from earlier sessions, which leave them in pytest's cache: no model is loaded for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from exleak.progress import Done
from exleak.progress_line import duration
from leakage_fixtures import models, settings
from leakage_fixtures.options import ModelSpec

if TYPE_CHECKING:
    from exleak.records import Dataset

_CACHE = "leakage/seconds"
#: Continuations from which on their time says something about the next run.
_TELLING = 100


def line(config: pytest.Config, ids: Collection[str]) -> str | None:
    """Models, prompts, continuations and seconds of a session; ``None`` if it measures nothing.

    Args:
        config: The session's config.
        ids: The ids of its tests.
    """
    known = _seconds(config)
    found = [(spec.name, dataset, k) for spec, dataset, k in _measured(config, ids)]
    if not found:
        return None
    prompts = sum(len(dataset.prompts) for _, dataset, _ in found)
    wanted = {label(name, dataset.name): len(dataset.prompts) * k for name, dataset, k in found}
    names = len({name for name, _, _ in found})
    most = "at most " if settings.resolve(config).adaptive else ""
    text = (
        f"leakage: {_count(names, 'model')}, {most}{_count(prompts, 'prompt')}, "
        f"{_count(sum(wanted.values()), 'continuation')}"
    )
    timed = {key: known[key] * count for key, count in wanted.items() if key in known}
    if not timed:
        return f"{text}; what is stored is not generated again"
    of = "" if len(timed) == len(wanted) else f" for {len(timed)} of {len(wanted)} measurements"
    return (
        f"{text}; about {duration(sum(timed.values()))}{of}, by earlier runs, less for what is "
        "stored"
    )


def label(model: str, dataset: str) -> str:
    """The name of a measurement, in the progress line and in the cache."""
    return f"{model} on {dataset}"


def remember(config: pytest.Config, measurement: str, seconds: float, done: Done) -> None:
    """Keep how long the continuations of a measurement took, with the loading of the model.

    Args:
        config: The session's config.
        measurement: The measurement's :func:`label`.
        seconds: What they took.
        done: How many they were.
    """
    cache: Any = getattr(config, "cache", None)
    if cache is not None and done.count >= _TELLING:
        cache.set(_CACHE, {**_seconds(config), measurement: seconds / done.count})


def _seconds(config: pytest.Config) -> dict[str, float]:
    """Seconds of a continuation, by measurement."""
    cache: Any = getattr(config, "cache", None)
    found = cache.get(_CACHE, None) if cache is not None else None
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, float)}


def _measured(
    config: pytest.Config, ids: Collection[str]
) -> Iterator[tuple[ModelSpec, Dataset, int]]:
    """Model, dataset and continuations per prompt of every measurement that a test asks for."""
    from exleak.datasets import load_dataset

    session = settings.resolve(config)
    asked = {parameters for name in ids if (parameters := name.partition("[")[2])}
    for name in session.dataset if asked else ():
        for spec in models.models(config):
            own = f"{spec.name}-{name}"
            if any(parameters.startswith((f"{own}]", f"{own}-")) for parameters in asked):
                dataset = load_dataset(name, limit=session.limit)
                yield spec, dataset, settings.resolve(config, spec).sampling.generations


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
