"""The state of a session: caches of settings, rates and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from exleak.adaptive import Looks
    from exleak.generation.endpoint.launch import Servers
    from exleak.records import Measurement, Verdict
    from leakage_fixtures.options import ModelSpec, Settings


@dataclass
class Session:
    """The state of a session; each process has its own.

    Attributes:
        settings: Resolved settings by model and marker.
        models: The models to measure; ``None`` until they are known.
        left_out: Paths that match a pattern but are no checkpoints, with the reason.
        family: Model and dataset, as given, of every significance test; their p-values are
            adjusted together.
        scores: Unjudged measurements by model and dataset.
        looks: Looks at a model and dataset, for adaptive and extended runs.
        verdicts: Verdicts by everything that they depend on.
        baselines: The runs of each baseline that was read.
        broken: Models that could not be measured; their remaining tests are skipped.
        remarks: Messages of the library that no test report has carried yet.
        servers: The servers that were started; ``None`` before the first.
    """

    settings: dict[tuple[tuple[str, str] | None, str], Settings] = field(default_factory=dict)
    models: tuple[ModelSpec, ...] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    family: list[tuple[ModelSpec, str]] = field(default_factory=list)
    scores: dict[tuple[str, str], Measurement] = field(default_factory=dict)
    looks: dict[tuple[str, str], Looks] = field(default_factory=dict)
    verdicts: dict[tuple[Any, ...], Verdict] = field(default_factory=dict)
    baselines: dict[tuple[Path, str], list[tuple[Measurement, ...]]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    servers: Servers | None = None


_SESSION = pytest.StashKey[Session]()


def session_of(config: pytest.Config) -> Session:
    """The state of the session with this config."""
    return config.stash.setdefault(_SESSION, Session())
