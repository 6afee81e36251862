"""``.eval_results/*.yaml`` of a model's repository on the Hugging Face hub.

Format: huggingface.co/docs/hub/eval-results, with the specification ``eval_results.yaml`` of
github.com/huggingface/hub-docs. An entry has one number; :class:`Publication` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exleak.errors import ReportError
from exleak.gate.limits import METRICS
from exleak.records import Measurement, Rate
from exleak.reports.columns import lookup
from exleak.reports.publication import PLACES, Publication, as_yaml, check_one_model, setup

_KIND = "eval-results"
#: Fields of the source, by their names in a :class:`Publication`.
_SOURCE = {
    "url": "source_url",
    "name": "source_name",
    "user": "source_user",
    "org": "source_org",
}


def render(measurements: Sequence[Measurement], about: Publication) -> str:
    """Render the entries, one for each measurement of the model.

    Without ``task_id``, a task has the name of the dataset in the report, such as ``hexl``.

    Raises:
        ReportError: They are of several models, the rate is undefined, or entries would share a
            task.
        SettingsError: ``dataset_id`` is missing.
    """
    check_one_model(measurements, _KIND)
    entries = [_entry(measurement, about) for measurement in measurements]
    tasks = [entry["dataset"]["task_id"] for entry in entries]
    for task in tasks:
        if tasks.count(task) > 1:
            raise ReportError(
                f"{tasks.count(task)} results for the task {task!r}: write one file for each, from "
                "a report of its own"
            )
    return as_yaml(entries)


def _entry(measurement: Measurement, about: Publication) -> dict[str, Any]:
    rate = lookup(measurement, PLACES[about.metric])
    if not isinstance(rate, Rate) or rate.rate is None:
        raise ReportError(f"{measurement.title}: {METRICS[about.metric]} is undefined")
    dataset = {
        "id": about.required("dataset_id", _KIND, "the hub's dataset that has the leaderboard"),
        "task_id": about.task_id or measurement.dataset,
    }
    if about.revision:
        dataset["revision"] = about.revision
    entry: dict[str, Any] = {"dataset": dataset, "value": rate.rate}
    if about.date:
        entry["date"] = about.date
    if about.source_url:
        source = {key: getattr(about, name) for key, name in _SOURCE.items()}
        entry["source"] = {key: value for key, value in source.items() if value}
    notes = (about.notes, f"{METRICS[about.metric]}: {setup(measurement, rate)}")
    entry["notes"] = "; ".join(note for note in notes if note)
    return entry
