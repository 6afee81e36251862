"""The metadata ``model-index`` of a model card, as the front matter of a ``README.md``.

Format: ``modelcard.md`` of github.com/huggingface/hub-docs. It has no field for an interval, so
that of a rate is in its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exleak.records import Measurement
from exleak.reports.publication import (
    Publication,
    as_yaml,
    check_one_model,
    published_rates,
    setup,
)

_TASK = {"type": "text-generation", "name": "Text Generation"}


def render(measurements: Sequence[Measurement], about: Publication) -> str:
    """Render the front matter, with every defined rate.

    Without ``model_id``, the model is called as in the report; without ``dataset_id``, so is the
    dataset.

    Raises:
        ReportError: The measurements are of several models.
    """
    check_one_model(measurements, "model-card")
    index = {
        "name": about.model_id or measurements[0].model or "unnamed",
        "results": [_result(measurement, about) for measurement in measurements],
    }
    return f"---\n{as_yaml({'model-index': [index]})}---\n"


def _result(measurement: Measurement, about: Publication) -> dict[str, Any]:
    shown = measurement.dataset + (", with mitigation" if measurement.is_mitigated else "")
    dataset = {"type": about.dataset_id or measurement.dataset, "name": shown}
    if about.dataset_id:
        dataset["config"] = measurement.dataset
    if about.revision:
        dataset["revision"] = about.revision
    result: dict[str, Any] = {"task": dict(_TASK), "dataset": dataset}
    result["metrics"] = [
        {
            "type": item.id,
            "value": rate.rate,
            "name": f"{item.name} ({setup(measurement, rate)})",
        }
        for item, rate in published_rates(measurement)
    ]
    if about.source_url:
        result["source"] = {"name": about.source_name or "exleak", "url": about.source_url}
    return result
