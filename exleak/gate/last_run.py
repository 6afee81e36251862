"""The last run of a model, which its rate is held against where no baseline is given.

Every run leaves its measurement, without sentences, beside its generations file in the store. The
newest one of the same model with comparable settings is its last run. Nothing is judged by it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from exleak.errors import ReportError
from exleak.gate.comparison import by_control, difference, mean, settings
from exleak.records import LastRun, Measurement, from_json
from exleak.store.generations import run_path, write_into
from exleak.store.report import as_report, read_report
from exleak.store.store import Store

_KIND = ".json"


def keep(store: Store, measurement: Measurement, entry: str) -> Path | None:
    """Keep a measurement as the last run with its settings; an unusable one is not kept.

    Args:
        store: The store.
        measurement: The measurement.
        entry: What was measured, by more than its name in reports: a path, or a server's address.

    Returns:
        The file; ``None`` if it is not kept, or (with a warning) cannot be written.
    """
    if measurement.verdict.outcome == "unusable" or not measurement.by_control:
        return None
    kept = replace(measurement, prompts=(), worst=(), pairs=(), series=None, last_run=None)
    key = json.dumps([entry, settings(measurement)], sort_keys=True, default=str)
    saved = {"entry": entry, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    text = json.dumps({**as_report([kept]), "saved": saved}, allow_nan=False)
    return write_into(store, run_path(store, _name(measurement), key, _KIND), f"{text}\n")


def compared(
    store: Store, measurement: Measurement, entry: str
) -> tuple[LastRun | None, str | None]:
    """A measurement against the last comparable run of the same model.

    Args:
        store: The store.
        measurement: The measurement.
        entry: As for :func:`keep`.

    Returns:
        The comparison; if there is none, the reason that the newest run is not comparable, or
        ``None`` where there was no run.
    """
    why = None
    for when, last in sorted(_runs(store, measurement, entry), key=itemgetter(0), reverse=True):
        if (reason := difference(measurement, last)) is not None:
            why = why or reason
            continue
        mine, theirs = (by_control(one, "directional") for one in (measurement, last))
        deltas = [mine[key] - theirs[key] for key in mine if key in theirs]
        if deltas:
            return LastRun(mean(deltas), len(deltas), when), None
    return None, why


def _runs(store: Store, measurement: Measurement, entry: str) -> Iterator[tuple[str, Measurement]]:
    """The kept runs of a model on a dataset, each with its time."""
    pattern = run_path(store, _name(measurement), "", _KIND)
    for path in store.runs.glob(f"{pattern.stem[:-8]}*{_KIND}"):
        try:
            report: dict[str, Any] = read_report(path)
            saved = report["saved"]
            kept = from_json(Measurement, report["measurements"][0])
            when, of = str(saved["time"]), saved["entry"]
        except (ReportError, LookupError, TypeError):  # a report of the user's
            continue
        if (of, kept.model, kept.dataset) == (entry, measurement.model, measurement.dataset):
            yield when, kept


def _name(measurement: Measurement) -> str:
    return f"{measurement.model}-{measurement.dataset}"
