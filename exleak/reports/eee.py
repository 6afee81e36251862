"""A record of aggregate results for Every Eval Ever.

Format: ``eval.schema.json`` of github.com/evaleval/every_eval_ever (MIT), version 0.3.0; records
also keep to its versions 0.2.1 and 0.2.2. Details in it are texts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from exleak.environment import version
from exleak.records import Measurement, Rate, to_json
from exleak.reports.publication import (
    RELATIONSHIPS,
    Publication,
    Published,
    check_one_model,
    published_rates,
)

#: The version of the schema that records are written for.
VERSION = "0.3.0"
_KIND = "eee"
_ERROR = "clustered on the control prompt, and on the injected sentence where it is reused"
_INTERVAL = (
    "the wider of Student's t and Wilson's, with that error; exact binomial without variance"
)
#: Arguments of the sampling, by their names in a report.
_ARGUMENTS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_new_tokens": "max_tokens",
}


def render(measurements: Sequence[Measurement], about: Publication) -> str:
    """Render the record, with every defined rate and its interval.

    Raises:
        ReportError: The measurements are of several models.
        SettingsError: ``model_id``, ``organization`` or ``relationship`` is missing.
    """
    check_one_model(measurements, _KIND)
    model = about.required("model_id", _KIND, "the model's id, as in meta-llama/Llama-3.1-8B")
    now = str(int(time.time()))
    record: dict[str, Any] = {
        "schema_version": VERSION,
        "evaluation_id": f"exleak/{model.replace('/', '_')}/{now}",
        "retrieved_timestamp": now,
        "source_metadata": _source(about),
        "eval_library": {
            "name": "exleak",
            "version": measurements[0].environment.get("packages", {}).get("exleak", version()),
        },
        "model_info": _model(measurements[0], model),
        "evaluation_results": [
            _result(measurement, item, rate, about)
            for measurement in measurements
            for item, rate in published_rates(measurement)
        ],
    }
    if about.date:
        record["evaluation_timestamp"] = about.date
    return json.dumps(to_json(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _source(about: Publication) -> dict[str, Any]:
    relations = ", ".join(RELATIONSHIPS)
    source: dict[str, Any] = {
        "source_name": about.source_name or "exleak",
        "source_type": "evaluation_run",
        "source_organization_name": about.required("organization", _KIND, "who evaluated"),
        "evaluator_relationship": about.required(
            "relationship", _KIND, f"what the evaluator is to the model, one of {relations}"
        ),
    }
    details = {"source_url": about.source_url, "notes": about.notes}
    if found := _texts(details):
        source["additional_details"] = found
    return source


def _model(measurement: Measurement, model: str) -> dict[str, Any]:
    # Which of these it is, a report cannot know.
    kinds = {"deployment_type": "unknown", "model_availability": "unknown"}
    content = {"checkpoint": measurement.identity.get("checkpoint")}
    return {
        "name": measurement.model or model,
        "id": model,
        "additional_details": {**kinds, **_texts(content)},
    }


def _result(
    measurement: Measurement, item: Published, rate: Rate, about: Publication
) -> dict[str, Any]:
    variant = ", with mitigation" if measurement.is_mitigated else ""
    return {
        "evaluation_result_id": f"{measurement.dataset}{variant}/{item.id}",
        "evaluation_name": f"{measurement.dataset}{variant}",
        "source_data": _dataset(measurement, about),
        "metric_config": {
            "evaluation_description": item.about,
            "metric_id": f"exleak.{item.id}",
            "metric_name": item.name,
            "metric_unit": "proportion",
            "lower_is_better": True,
            "score_type": "continuous",
            "min_score": 0,
            "max_score": 1,
        },
        "score_details": _score(rate, measurement),
        "generation_config": _generation(measurement),
    }


def _score(rate: Rate, measurement: Measurement) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {"num_samples": rate.n}
    if rate.standard_error is not None:
        uncertainty["standard_error"] = {"value": rate.standard_error, "method": _ERROR}
    if rate.interval is not None:
        low, high = rate.interval
        uncertainty["confidence_interval"] = {
            "lower": low,
            "upper": high,
            "confidence_level": 0.95,
            "method": _INTERVAL,
        }
    details = {
        "p_value": rate.p_value,
        "instrument": measurement.instrument,
        "instrument_hash": measurement.identity.get("instrument"),
    }
    return {"score": rate.rate, "details": _texts(details), "uncertainty": uncertainty}


def _dataset(measurement: Measurement, about: Publication) -> dict[str, Any]:
    identity = measurement.identity
    details = _texts(
        {
            "version": identity.get("dataset_version"),
            "hash": identity.get("dataset"),
            "samples": len({pair.control for pair in measurement.pairs}),
            "revision": about.revision,
        }
    )
    source: dict[str, Any] = {"dataset_name": measurement.dataset or "unnamed"}
    if about.dataset_id:
        source |= {"source_type": "hf_dataset", "hf_repo": about.dataset_id}
    else:
        source["source_type"] = "other"
    return {**source, "additional_details": details}


def _generation(measurement: Measurement) -> dict[str, Any]:
    sampling = measurement.sampling
    arguments = {
        name: sampling[key] for key, name in _ARGUMENTS.items() if sampling.get(key) is not None
    }
    others = {key: value for key, value in sampling.items() if key not in _ARGUMENTS}
    return {"generation_args": arguments, "additional_details": _texts(others)}


def _texts(details: dict[str, Any]) -> dict[str, str]:
    """Details that are known, as texts."""
    return {key: str(value) for key, value in details.items() if value is not None}
