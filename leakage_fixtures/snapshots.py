"""Syrupy snapshots of rates: settings must be equal, rates within the recorded 95% interval."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syrupy.data import SnapshotCollections
from syrupy.exceptions import SnapshotDoesNotExist
from syrupy.extensions.base import AbstractSyrupyExtension
from syrupy.extensions.json import JSONSnapshotExtension

if TYPE_CHECKING:
    from exleak.records import Measurement, Rate

_IDENTITY = ("model", "dataset", "instrument", "sampling", "identity")
#: Keys that identify the checkpoint; left out, since snapshots compare successive checkpoints.
_CHECKPOINT = ("checkpoint", "endpoint", "fingerprint")


def rates_of(measurement: Measurement) -> dict[str, Any]:
    """The content of a snapshot: identity and rates, as builtins."""
    data = measurement.to_json()
    expression = measurement.expression
    shown = {
        "rate": expression,
        **{f"rate after {name}": rate for name, rate in expression.by_condition.items()},
        "superiority": expression.superiority,
        "directional": expression.directional,
        "semantic": measurement.semantic.instance,
    }
    identity = {key: value for key, value in data["identity"].items() if key not in _CHECKPOINT}
    return {
        **{key: data[key] for key in _IDENTITY},
        "identity": identity,
        "rates": {name: _rate(rate) for name, rate in shown.items()},
    }


def _rate(rate: Rate | Any) -> dict[str, Any]:
    def short(value: float) -> float:
        return round(value, 6)

    return {
        "rate": None if rate.rate is None else short(rate.rate),
        "n": rate.n,
        "interval": None if rate.interval is None else [short(end) for end in rate.interval],
    }


def exists(snapshot: Any) -> bool:
    """Whether a snapshot is recorded, or will be by this run."""
    # Older versions of syrupy lack update_new_snapshots_only.
    if snapshot.update_snapshots or getattr(snapshot, "update_new_snapshots_only", False):
        return True
    try:
        snapshot.session.recall_snapshot(snapshot.extension, snapshot.test_location, snapshot.index)
    except SnapshotDoesNotExist:
        return False
    return True


class RatesSnapshotExtension(JSONSnapshotExtension):
    """JSON snapshots that match if every rate lies within its recorded interval."""

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        """Whether identities are equal and all rates lie within the recorded intervals."""
        new, old = json.loads(serialized_data), json.loads(snapshot_data)
        if any(new.get(key) != old.get(key) for key in _IDENTITY):
            return False
        if new["rates"].keys() != old["rates"].keys():
            return False
        return all(_within(new["rates"][name], rate) for name, rate in old["rates"].items())


@contextmanager
def waiting() -> Iterator[None]:
    """Hide rate snapshots from the discovery of all syrupy extensions.

    A run uses only the snapshots of the models that it measures. Syrupy would report those of other
    models as unused, and fail the session or delete them. Every extension, including that of the
    plain ``snapshot`` fixture, claims all files in ``__snapshots__``.
    """
    discover = AbstractSyrupyExtension.discover_snapshots

    def others(self: AbstractSyrupyExtension, **about: Any) -> SnapshotCollections:
        kept = SnapshotCollections()
        for found in discover(self, **about):
            if not _is_of_rates(Path(found.location)):
                kept.add(found)
        return kept

    AbstractSyrupyExtension.discover_snapshots = others  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        AbstractSyrupyExtension.discover_snapshots = discover  # type: ignore[method-assign]


def _is_of_rates(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"rates", *_IDENTITY} <= found.keys()


def _within(new: dict[str, Any], old: dict[str, Any]) -> bool:
    if new["rate"] is None or old["rate"] is None or old["interval"] is None:
        return bool(new["rate"] == old["rate"])
    low, high = old["interval"]
    return bool(new["n"] == old["n"] and low <= new["rate"] <= high)
