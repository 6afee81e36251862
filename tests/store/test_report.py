"""The report's schema, and reading a report: what does not fit is named with its place."""

from __future__ import annotations

import copy
import dataclasses
import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exleak.errors import ReportError
from exleak.records import Measurement, Rate
from exleak.reports import as_report, read_measurements, read_report, write_report
from exleak.store.schema import problems, schema
from tests.helpers.measurements import compared, measurement

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture
def report() -> Any:
    """A report of three measurements: plain, of hostile texts, and compared with others."""
    return copy.deepcopy(
        as_report([measurement(), measurement(hostile=True, limit=None), compared()])
    )


def fits(report: Any) -> bool:
    """What the library says."""
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(report))


def test_reports_fit_the_schema(report: Any) -> None:
    """The library and our own reading agree that they do."""
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(report, schema())
    assert list(problems(report)) == []


def test_the_schema_knows_every_key(report: Any) -> None:
    """No key of a measurement goes without a description of its value."""
    assert list(_unknown(report, schema(), "")) == []


def _unknown(value: Any, rule: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    if isinstance(value, dict) and ("properties" in rule or "additionalProperties" in rule):
        known, others = rule.get("properties", {}), rule.get("additionalProperties")
        for key, item in value.items():
            if key not in known and others is None:
                yield f"{where}.{key}"
            yield from _unknown(item, known.get(key, others or {}), f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(item, rule.get("items", {}), f"{where}[]")


def test_the_schema_describes_the_records() -> None:
    """Field by field: the same names, and the kinds of values that the annotations allow."""
    assert list(_differences(Measurement, {"$ref": "#/$defs/measurement"}, "measurement")) == []


def test_a_field_without_a_description_is_noticed() -> None:
    """Also a description without a field, and another kind of value."""

    @dataclass(frozen=True)
    class Grown(Rate):
        more: int | None = None

    rule = {"$ref": "#/$defs/rate"}
    assert list(_differences(Grown, rule, "rate")) == ["rate.more: in the record alone"]
    assert "odd: is object, not float" in list(_differences(float, rule, "odd"))


#: What JSON calls the types of records' fields.
_NAMES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _differences(kind: Any, rule: dict[str, Any], where: str) -> Iterator[str]:
    """Where a type and its description in the schema are not the same."""
    while "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    names = rule.get("type", [])
    names = {names} if isinstance(names, str) else set(names)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (kind,) = [part for part in arguments if part is not type(None)]
        if "null" not in names and None not in rule.get("enum", ()):
            yield f"{where}: null is not described"
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        known, hints = rule.get("properties", {}), typing.get_type_hints(kind)
        yield from (f"{where}.{name}: in the record alone" for name in hints.keys() - known)
        yield from (f"{where}.{name}: in the schema alone" for name in known.keys() - hints)
        for name in hints.keys() & known:
            yield from _differences(hints[name], known[name], f"{where}.{name}")
    elif origin is typing.Literal:
        if set(arguments) != set(rule.get("enum", ())) - {None}:
            yield f"{where}: {arguments} are not {rule.get('enum')}"
    elif origin is tuple:
        yield from _differences(arguments[0], rule["items"], f"{where}[]")
    elif origin is dict:
        if isinstance(rule.get("additionalProperties"), dict):
            yield from _differences(arguments[1], rule["additionalProperties"], f"{where}.*")
    elif kind in _NAMES and _NAMES[kind] not in names and "enum" not in rule:
        yield f"{where}: is {' or '.join(sorted(names))}, not {kind.__name__}"


def test_a_report_reads_back_as_written(report: Any, tmp_path: Path) -> None:
    """Every number to the last digit."""
    made = [measurement(), measurement(hostile=True, limit=None), compared()]
    write_report(tmp_path / "r.json", made)
    assert read_report(tmp_path / "r.json") == json.loads(json.dumps(report))
    read = read_measurements(tmp_path / "r.json")
    assert [one.to_json() for one in read] == report["measurements"]
    assert (read[0], read[2]) == (made[0], made[2]), "without lone surrogates, the records too"


def _set(*path: Any) -> Any:
    *place, key, value = path

    def change(report: Any) -> None:
        for step in place:
            report = report[step]
        if value is ...:
            del report[key]
        else:
            report[key] = value

    return change


FIRST = ("measurements", 0)
CHANGES = {
    "measurements is not of type": _set("measurements", {}),
    "'measurements' is missing": _set("measurements", ...),
    "measurements[0]: 'model' is missing": _set(*FIRST, "model", ...),
    "measurements[0].model: 3": _set(*FIRST, "model", 3),
    "measurements[0].expression.rate: 1.5 is out of range": _set(*FIRST, "expression", "rate", 1.5),
    "measurements[0].expression.rate: True": _set(*FIRST, "expression", "rate", True),
    "measurements[0].expression.n: 1.5": _set(*FIRST, "expression", "n", 1.5),
    "measurements[0].expression.interval: 1 items": _set(*FIRST, "expression", "interval", [0.5]),
    "measurements[0].expression.interval[1]: 'x'": _set(
        *FIRST, "expression", "interval", [0.5, "x"]
    ),
    "by_condition: 'neutral' is missing": _set(
        *FIRST, "expression", "by_condition", "neutral", ...
    ),
    "by_condition.odd: 'rate' is missing": _set(*FIRST, "expression", "by_condition", "odd", {}),
    "verdict.outcome: 'perhaps' is not one of": _set(*FIRST, "verdict", "outcome", "perhaps"),
    "pairs[3]: 'control' is missing": _set(*FIRST, "pairs", 3, "control", ...),
    "prompts[0].typical: 'so'": _set(*FIRST, "prompts", 0, "typical", "so"),
    "measurements[0].by_control.s0:control: None is not of type": _set(
        *FIRST, "by_control", "s0:control", None
    ),
    "schema: True": _set("schema", True),
}  # fmt: skip


@pytest.mark.parametrize("message", CHANGES)
def test_what_does_not_fit_is_named(message: str, report: Any, tmp_path: Path) -> None:
    """The file and the place in it; the library refuses the same."""
    CHANGES[message](report)
    path = tmp_path / "r.json"
    path.write_text(json.dumps(report))
    with pytest.raises(ReportError) as caught:
        read_report(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message.split(" is not of type")[0] in str(caught.value)
    assert not fits(report)


@pytest.mark.parametrize(
    "change",
    [
        _set(*FIRST, "expression", "n", 12.0),
        _set(*FIRST, "expression", "rate", None),
        _set(*FIRST, "expression", "rate", 1),
        _set(*FIRST, "verdict", "later", {"keys": "are allowed"}),
    ],
    ids=("whole number", "null", "integer", "new key"),
)
def test_what_fits_is_read(change: Any, report: Any, tmp_path: Path) -> None:
    """A whole number with a point, null, and keys of later versions."""
    change(report)
    (tmp_path / "r.json").write_text(json.dumps(report))
    assert fits(report)
    read_report(tmp_path / "r.json")


def test_an_older_report_is_read(report: Any, tmp_path: Path) -> None:
    """Optional keys that it lacks are there, and empty."""
    for key in ("identity", "pairs", "worst", "prompts", "notes"):
        del report["measurements"][0][key]
    (tmp_path / "r.json").write_text(json.dumps(report))
    found = read_report(tmp_path / "r.json")["measurements"][0]
    assert [found[key] for key in ("identity", "pairs", "prompts", "notes")] == [{}, [], [], []]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema": 1, "x": NaN}', "NaN is no finite number"),
        (b'{"schema": 1, "x": -Infinity}', "-Infinity is no finite number"),
        (b'{"schema": 1, "x": 1e999}', "1e999 is no finite number"),
        (b'{"schema": 1, "x": [-1.5e400]}', "-1.5e400 is no finite number"),
        (b'{"schema": 1, "x": %d}' % 10**400, "10+ is no finite number"),
        (b"[]", "not an exleak report"),
        (b'{"id": "a"}', "not an exleak report"),
        (b'{"schema": 2, "exleak": "9.0"}', "schema 2 is not 1.*written by exleak 9.0"),
    ],
    ids=(
        "missing",
        "bytes",
        "broken",
        "deep",
        "nan",
        "inf",
        "huge",
        "low",
        "long",
        "list",
        "other",
        "newer",
    ),
)
def test_other_files_are_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    """Each with the reason."""
    path = tmp_path / "r.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportError, match=message):
        read_report(path)
