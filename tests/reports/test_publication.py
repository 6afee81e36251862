"""Records for other people's collections of results: their formats, and the report's numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import huggingface_hub
import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from exleak import SettingsError
from exleak.cli import main
from exleak.errors import ReportError
from exleak.gate.limits import METRICS, Metric
from exleak.records import NO_RATE, Measurement
from exleak.reports import KINDS, Publication, render, write_report
from exleak.reports.columns import COLUMNS, lookup
from exleak.reports.publication import RATES
from exleak.surrogates import replace_surrogates
from tests.helpers.measurements import HOSTILE, measurement, mitigated

RECORDS = ("eval-results", "model-card", "eee")
ABOUT = Publication(
    model_id="me/model",
    dataset_id="me/sentences",
    organization="Me",
    relationship="first_party",
)
#: What Every Eval Ever's schema asks of the parts that a record has: required fields and types.
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*required],
        "properties": {**required, **others},
        "additionalProperties": False,
    }


TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
OUTLINE = _object(
    {
        "schema_version": {"const": "0.3.0"},
        "evaluation_id": TEXT,
        "retrieved_timestamp": {"type": "string", "pattern": "^[0-9]+$"},
        "source_metadata": _object(
            {
                "source_type": {"const": "evaluation_run"},
                "source_organization_name": TEXT,
                "evaluator_relationship": {"const": "first_party"},
            },
            source_name=TEXT,
            additional_details=_TEXTS,
        ),
        "eval_library": _object({"name": TEXT, "version": TEXT}),
        "model_info": _object(
            {
                "name": TEXT,
                "id": TEXT,
                "additional_details": {
                    **_TEXTS,
                    "required": ["deployment_type", "model_availability"],
                },
            }
        ),
        "evaluation_results": {
            "type": "array",
            "items": _object(
                {
                    "evaluation_name": TEXT,
                    "source_data": _object(
                        {"dataset_name": TEXT, "source_type": {"enum": ["hf_dataset", "other"]}},
                        hf_repo=TEXT,
                        additional_details=_TEXTS,
                    ),
                    "metric_config": _object(
                        {
                            "lower_is_better": {"type": "boolean"},
                            "score_type": {"const": "continuous"},
                            "min_score": NUMBER,
                            "max_score": NUMBER,
                        },
                        **dict.fromkeys(
                            ("evaluation_description", "metric_id", "metric_name", "metric_unit"),
                            TEXT,
                        ),
                    ),
                    "score_details": _object(
                        {"score": NUMBER},
                        details=_TEXTS,
                        uncertainty=_object(
                            {"num_samples": WHOLE},
                            standard_error=_object({"value": NUMBER}, method=TEXT),
                            confidence_interval=_object(
                                {"lower": NUMBER, "upper": NUMBER},
                                confidence_level={"const": 0.95},
                                method=TEXT,
                            ),
                        ),
                    ),
                },
                evaluation_result_id=TEXT,
                generation_config=_object(
                    {
                        "generation_args": _object(
                            {}, temperature=NUMBER, top_p=NUMBER, top_k=NUMBER, max_tokens=WHOLE
                        ),
                        "additional_details": _TEXTS,
                    }
                ),
            ),
        },
    },
    evaluation_timestamp=TEXT,
)


def undefined() -> Measurement:
    """A measurement without a residual and a semantic rate."""
    found = measurement()
    semantic = replace(found.semantic, instance=NO_RATE)
    expression = replace(found.expression, residual=None, standard_error=None, interval=None)
    return replace(found, semantic=semantic, expression=expression)


def test_eval_results_are_what_the_hub_reads() -> None:
    """The hub's own reader finds value, dataset, task, date and source, and writes the same."""
    about = replace(
        ABOUT, revision="ab12", date="2026-01-31", source_url="https://x.example", source_org="me",
        notes="greedy",
    )  # fmt: skip
    found = measurement()
    text = yaml.safe_load(render("eval-results", [found, measurement(dataset="aexl")], about))
    entries = huggingface_hub.parse_eval_result_entries(text)
    assert huggingface_hub.eval_result_entries_to_yaml(entries) == text
    first = entries[0]
    assert first.value == found.expression.rate
    assert [entry.task_id for entry in entries] == ["hexl", "aexl"]
    assert (first.dataset_id, first.dataset_revision) == ("me/sentences", "ab12")
    assert (first.date, first.source_url, first.source_org) == (
        "2026-01-31", "https://x.example", "me",
    )  # fmt: skip
    assert first.notes is not None
    assert first.notes.startswith("greedy; μ_EL: 95% interval 0.66 to 0.97; n = 30")


def test_eval_results_have_the_metric_that_is_asked_for() -> None:
    """Every one that a limit may apply to."""
    expression = measurement().expression
    assert expression.residual is not None
    expected: dict[Metric, float | None] = {
        "rate": expression.rate,
        "directional": expression.directional.rate,
        "residual": expression.residual.directional.rate,
    }
    for metric in METRICS:
        text = render("eval-results", [measurement()], replace(ABOUT, metric=metric))
        assert yaml.safe_load(text)[0]["value"] == expected[metric]


def test_a_model_card_is_what_the_hub_reads() -> None:
    """The hub's own reader finds every defined rate."""
    found = [undefined(), mitigated()]
    card = huggingface_hub.ModelCard(render("model-card", found, ABOUT))
    data: Any = card.data
    assert data.model_name == "me/model"
    values = {(one.dataset_name, one.metric_type): one.metric_value
              for one in data.eval_results}  # fmt: skip
    names = ("hexl", "hexl, with mitigation")
    expected = {
        (name, rate.id): value.rate
        for name, one in zip(names, found, strict=True)
        for rate in RATES
        if (value := lookup(one, rate.place)) is not None and value.rate is not None
    }
    assert values == expected
    assert ("hexl", "mu_l_instance") not in values
    assert ("hexl, with mitigation", "mu_l_instance") in values


def test_eee_has_the_form_of_its_schema_and_the_numbers_of_the_report() -> None:
    """Of every defined rate, with its interval and standard error; what is undefined is absent."""
    found = [undefined(), mitigated()]
    text = render("eee", found, replace(ABOUT, date="2026-01-31", notes="N"))
    record = json.loads(text)
    jsonschema.Draft7Validator(OUTLINE).validate(record)
    assert record["model_info"]["id"] == "me/model"
    results = {item["evaluation_result_id"]: item for item in record["evaluation_results"]}
    assert "hexl/residual_directional" not in results
    assert "hexl/mu_l_instance" not in results
    assert "uncertainty" in results["hexl/mu_el"]["score_details"]
    assert {*results["hexl/mu_el"]["score_details"]["uncertainty"]} == {"num_samples"}
    for rate in RATES:
        value = lookup(found[1], rate.place)
        details = results[f"hexl, with mitigation/{rate.id}"]["score_details"]
        bounds = details["uncertainty"]["confidence_interval"]
        assert details["score"] == value.rate
        assert (bounds["lower"], bounds["upper"]) == value.interval
        assert details["uncertainty"]["standard_error"]["value"] == value.standard_error
        assert details["uncertainty"]["num_samples"] == value.n


def test_without_a_dataset_on_the_hub_none_is_named() -> None:
    """The hub's dataset is an option, not made up."""
    record = json.loads(render("eee", [measurement()], replace(ABOUT, dataset_id=None)))
    jsonschema.Draft7Validator(OUTLINE).validate(record)
    assert {item["source_data"]["source_type"] for item in record["evaluation_results"]} == {
        "other"
    }
    card = yaml.safe_load(
        render("model-card", [measurement()], Publication()).strip("-\n")
    )["model-index"][0]  # fmt: skip
    assert card["name"] == "runs/step-100"
    assert card["results"][0]["dataset"] == {"type": "hexl", "name": "hexl"}


def test_names_of_rates_are_those_of_the_csv() -> None:
    """One name for one number."""
    names = {column.place: column.name for column in COLUMNS}
    assert {rate.id: names[f"{rate.place}.rate"] for rate in RATES} == {
        rate.id: rate.id for rate in RATES
    }


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_text(kind: str, name: str) -> None:
    """Whatever a model and its dataset are called; halves of characters are replaced."""
    found = replace(measurement(), model=name, dataset=name)
    text = render(kind, [found], ABOUT)
    record = yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n"))
    name = replace_surrogates(name)
    if kind == "eval-results":
        assert record[0]["dataset"]["task_id"] == name
    elif kind == "model-card":
        assert record["model-index"][0]["results"][0]["dataset"]["name"] == name
    else:
        assert json.loads(text)["model_info"]["name"] == name


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "there is none"),
        ([measurement(), measurement("other")], "these are 2: runs/step-100, other"),
        ([measurement(), measurement(seed=1)], "2 measurements with different results"),
    ],
    ids=("none", "two models", "twice"),
)
def test_a_record_is_of_one_model(kind: str, found: list[Measurement], message: str) -> None:
    """Nor are two results called the same."""
    with pytest.raises(ReportError, match=message):
        render(kind, found, ABOUT)


def test_two_results_of_a_task_are_refused() -> None:
    """Which of them would the leaderboard show?"""
    found = [measurement(), mitigated()]
    with pytest.raises(ReportError, match="2 results for the task 'hexl'"):
        render("eval-results", found, ABOUT)


def test_an_undefined_rate_is_not_published() -> None:
    """The entry has no other number."""
    with pytest.raises(ReportError, match="residual directional rate is undefined"):
        render("eval-results", [undefined()], replace(ABOUT, metric="residual"))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("eval-results", "dataset_id"),
        ("eee", "model_id"),
        ("eee", "organization"),
        ("eee", "relationship"),
    ],
)
def test_what_a_measurement_cannot_know_must_be_given(kind: str, missing: str) -> None:
    """The message names the field and the option."""
    option = "--" + missing.replace("_", "-")
    with pytest.raises(SettingsError, match=rf"{kind} needs {missing} \({option}\)"):
        render(kind, [measurement()], Publication(**{**asdict(ABOUT), missing: None}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("source_name", "logs", "source_name needs source_url"),
        ("date", "31.1.2026", "not in ISO 8601"),
        ("relationship", "friend", "none of first_party"),
        ("metric", "mu", "metric must be one of rate"),
    ],
)
def test_a_malformed_field_is_refused(field: str, value: Any, message: str) -> None:
    """Before anything is rendered."""
    with pytest.raises(SettingsError, match=message):
        Publication(**{field: value})


def test_the_command_writes_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the hub's folder; an option without a place in the kind is refused."""
    write_report(tmp_path / "out.json", [measurement()])
    report, out = str(tmp_path / "out.json"), tmp_path / ".eval_results" / "hexl.yaml"
    command = ["report", report, "--to", "eval-results", "--dataset-id=me/sentences"]
    assert main([*command, "--task-id=directional", "--metric=directional", f"-o{out}"]) == 0
    (entry,) = yaml.safe_load(out.read_text(encoding="utf-8"))
    assert entry["dataset"] == {"id": "me/sentences", "task_id": "directional"}
    assert entry["value"] == measurement().expression.directional.rate
    capsys.readouterr()
    assert main(["report", report, "--to=md", "--dataset-id=x"]) == 2
    error = capsys.readouterr().err
    assert "--dataset-id is for eval-results, model-card, eee; md has no place for it" in error


def test_every_field_has_an_option_and_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """None is forgotten when one is added."""
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    text = capsys.readouterr().out
    taken = {name for kind in KINDS.values() for name in kind.takes}
    assert taken == {*Publication.__dataclass_fields__}
    for name in taken:
        assert f"--{name.replace('_', '-')} " in text
