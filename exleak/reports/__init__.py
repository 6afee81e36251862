"""Reports of measurements, with a registry of report kinds; JSON is the published format.

A new kind is a module with ``render(measurements) -> str``, and a line in :data:`KINDS`. Records
for other people's collections of results also take a :class:`Publication`; a kind of single
continuations is made of these, not of measurements, and is bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from exleak.errors import ReportError
from exleak.files import write_text
from exleak.records import Measurement
from exleak.reports.publication import Publication
from exleak.store.report import SCHEMA, as_report, read_measurements, read_report

__all__ = [
    "KINDS",
    "SCHEMA",
    "Kind",
    "Publication",
    "as_report",
    "kind_of",
    "kind_of_measurements",
    "read_measurements",
    "read_report",
    "render",
    "write_report",
]


class Kind(NamedTuple):
    """A kind of report.

    Attributes:
        suffix: The suffix of its files; ``None`` if it does not tell them from another kind's.
        module: The module that renders it.
        takes: The fields of a :class:`Publication` that it takes.
        is_of_continuations: Whether it is made of scored continuations.
    """

    suffix: str | None
    module: str
    takes: tuple[str, ...] = ()
    is_of_continuations: bool = False


_DATASET = ("dataset_id", "revision")
_SOURCE = ("source_url", "source_name")
KINDS: dict[str, Kind] = {
    "json": Kind(".json", "exleak.store.report"),
    "md": Kind(".md", "exleak.reports.markdown"),
    "html": Kind(".html", "exleak.reports.html"),
    "csv": Kind(".csv", "exleak.reports.csv"),
    "latex": Kind(".tex", "exleak.reports.latex"),
    "gitlab": Kind(".codequality.json", "exleak.reports.gitlab"),
    "parquet": Kind(".parquet", "exleak.reports.parquet", is_of_continuations=True),
    "eval-results": Kind(
        None,
        "exleak.reports.eval_results",
        (*_DATASET, "task_id", "date", *_SOURCE, "source_user", "source_org", "notes", "metric"),
    ),
    "model-card": Kind(None, "exleak.reports.model_card", ("model_id", *_DATASET, *_SOURCE)),
    "eee": Kind(
        None,
        "exleak.reports.eee",
        ("model_id", *_DATASET, "date", *_SOURCE, "organization", "relationship", "notes"),
    ),
}


def render(kind: str, measurements: Sequence[Measurement], about: Publication | None = None) -> str:
    """Render a report of one of the :data:`KINDS` as text.

    Args:
        kind: A kind that is made of measurements.
        measurements: The measurements.
        about: What a record for other people's collections says besides.

    Raises:
        ReportError: The kind is not made of measurements, or cannot hold these.
        SettingsError: The kind needs a field of ``about`` that is not given.
    """
    found = KINDS[kind]
    if found.is_of_continuations:
        raise ReportError(f"a report of kind {kind} {_OF_CONTINUATIONS}")
    module = import_module(found.module)
    given = (measurements, about or Publication()) if found.takes else (measurements,)
    text: str = module.render(*given)
    return text


def kind_of(path: Path) -> str:
    """The kind of a report, from its suffix, of which the longest known one counts.

    Raises:
        ReportError: The suffix is unknown.
    """
    fitting = [
        (len(kind.suffix), name)
        for name, kind in KINDS.items()
        if kind.suffix and path.suffix and path.name.endswith(kind.suffix)
    ]
    if fitting:
        return max(fitting)[1]
    known = ", ".join(kind.suffix for kind in KINDS.values() if kind.suffix)
    raise ReportError(f"report {path}: the suffix must be one of {known}")


def kind_of_measurements(path: Path) -> str:
    """The kind of a report that is made of measurements, from its suffix.

    Raises:
        ReportError: The suffix is unknown, or of a kind that is made of single continuations.
    """
    kind = kind_of(path)
    if KINDS[kind].is_of_continuations:
        raise ReportError(f"report {path}: {kind} {_OF_CONTINUATIONS}")
    return kind


_OF_CONTINUATIONS = (
    "holds every continuation, which a measurement does not have: exleak report RUN.jsonl -o "
    "OUT.parquet makes it of a run's generations file, which is in .exleak/runs"
)


def write_report(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write a report atomically; the suffix selects its kind.

    Raises:
        ReportError: As :func:`kind_of_measurements`.
    """
    write_text(path, render(kind_of_measurements(path), measurements))
