"""``--leakage-log``: rates and worst pairs of a session, sent to experiment trackers.

The process that shows the summary logs, once, at the end. A tracker that fails changes no verdict.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leakage_fixtures import settings
from leakage_fixtures.options import destination
from leakage_fixtures.rootdir import root

if TYPE_CHECKING:
    import pytest

    from leakage_fixtures.summary import Entry, Summary

#: TensorBoard's folder without a target, relative to pytest's root folder.
FOLDER = "runs/leakage"


class Curve(NamedTuple):
    """Measurements that one run of a tracker shows, each at its training step."""

    title: str
    points: list[tuple[int, Entry]]


def folder(config: pytest.Config, value: str) -> Path | None:
    """The folder that a value of the option writes to; ``None`` if the tracker has its own."""
    name, target = destination(value)
    return root(config) / (target or FOLDER) if name == "tensorboard" else None


def log(config: pytest.Config, summary: Summary) -> list[str]:
    """Log all measurements; what was logged becomes a remark of the summary.

    Returns:
        What could not be logged, with the reason.
    """
    from exleak.errors import TrackerError, one_line

    problems = []
    shown = curves(summary.ordered)
    for value in dict.fromkeys(settings.resolve(config).log):
        left = [curve.title for curve in shown]
        try:
            for curve in shown:
                _log(config, value, curve)
                left.remove(curve.title)
        except (Exception, SystemExit) as error:
            reason = str(error) if isinstance(error, TrackerError) else one_line(error)
            problems.append(f"NOT LOGGED to {value}: {', '.join(left)} ({reason})")
        if len(left) < len(shown):
            summary.remarks.append(f"logged to {value}: {len(shown) - len(left)} of {len(shown)}")
    return problems


def curves(entries: Sequence[Entry]) -> list[Curve]:
    """A curve for each series of checkpoints on a dataset, and for every other measurement.

    Checkpoints whose steps are unknown or equal are no series: they would hide each other.
    """
    from exleak.checkpoints import step_of

    groups: dict[tuple[str, str], list[tuple[int | None, Entry]]] = {}
    for entry in entries:
        key = (entry.series or "", entry.measurement.dataset)
        groups.setdefault(key, []).append((step_of(Path(entry.measurement.model)), entry))
    found = []
    for (series, dataset), group in groups.items():
        steps = {step for step, _ in group}
        points = [(step or 0, entry) for step, entry in group]
        if series and None not in steps and len(steps) == len(group) > 1:
            found.append(Curve(f"{series} on {dataset}", points))
        else:
            found += [Curve(entry.measurement.title, [(at, entry)]) for at, entry in points]
    return found


def _log(config: pytest.Config, value: str, curve: Curve) -> None:
    from exleak.integrations.metrics import flat
    from exleak.integrations.trackers import OwnRun, trackers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a filter of the session would turn them into errors
        name, target = destination(value)
        run = OwnRun(curve.title, target)
        (tracker,) = trackers([name], folder(config, value) or root(config), run)
        try:
            for step, entry in curve.points:
                series = entry.measurement.series
                metrics = flat(entry.measurement, increase=series.delta if series else None)
                tracker.log(metrics, step, entry.measurement.worst)
        except BaseException:
            with suppress(Exception):  # the first error says more
                tracker.close()
            raise
        tracker.close()
