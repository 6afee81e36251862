"""What this session knows: everything is resolved, measured and judged once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from exleak.records import Measurement, Verdict
    from leakage_fixtures.options import ModelSpec, Settings


@dataclass
class Session:
    """The state of a session, in each of its processes.

    Attributes:
        settings: What was resolved, by model and marker.
        models: The models to measure, once they are known.
        left_out: What a pattern found and is no checkpoint, with the reason.
        family: Model and dataset, as asked for, of every significance test: adjusted together.
        scores: Rates by model and dataset, before any limit.
        verdicts: What was judged, by everything that a verdict depends on.
        baselines: The runs of each baseline that was read.
        broken: Models that could not be measured; one error tells why, their other tests are
            skipped.
        remarks: What the library had to say, until a test's report takes it along.
    """

    settings: dict[tuple[tuple[str, str] | None, str], Settings] = field(default_factory=dict)
    models: tuple[ModelSpec, ...] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    family: list[tuple[ModelSpec, str]] = field(default_factory=list)
    scores: dict[tuple[str, str], Measurement] = field(default_factory=dict)
    verdicts: dict[tuple[Any, ...], Verdict] = field(default_factory=dict)
    baselines: dict[tuple[Path, str], list[tuple[Measurement, ...]]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)


_SESSION = pytest.StashKey[Session]()


def session_of(config: pytest.Config) -> Session:
    """The state of the session with this configuration."""
    return config.stash.setdefault(_SESSION, Session())
