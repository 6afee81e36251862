"""Reading reports: every value is checked against ``schema.json``, and named if it does not fit.

Only those keywords of JSON Schema are known here that the file uses; the tests hold this reading
against the library ``jsonschema``, which nobody needs to install.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from exleak.errors import ReportError

#: Version of the report's format.
SCHEMA = 1

_FILE = Path(__file__).with_name("schema.json")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
#: What a report of an earlier version may lack.
_DEFAULTS: dict[str, Any] = {
    "identity": {}, "pairs": [], "worst": [], "by_control": {}, "residual_by_control": {},
    "series": None, "prompts": [], "notes": [],
}  # fmt: skip


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of reports."""
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a report and check it.

    Args:
        path: A JSON report of ``--leakage-report``, ``exleak score --json`` or
            :func:`exleak.reports.write_report`.

    Returns:
        The whole report; ``["measurements"]`` is a list of what
        :meth:`exleak.Measurement.to_json` gives. Optional keys that an older report lacks are
        there, and empty.

    Raises:
        ReportError: The file cannot be read, is no JSON, is of another version, or a value is
            missing or none that may be there; the message names the place in the file.
    """
    report = _load(Path(path))
    if not isinstance(report, dict) or "schema" not in report:
        raise ReportError(f"{path}: not an exleak report: it has no 'schema'")
    if report["schema"] != SCHEMA:
        raise ReportError(
            f"{path}: schema {report['schema']!r} is not {SCHEMA}, which this version of exleak "
            f"reads; the report was written by exleak {report.get('exleak', 'unknown')}"
        )
    if problem := next(problems(report), None):
        raise ReportError(f"{path}: {problem}")
    for measurement in report["measurements"]:
        for key, value in _DEFAULTS.items():
            measurement.setdefault(key, type(value)())
        measurement["expression"].setdefault("placebo", {})
        measurement["expression"].setdefault("carry_over", None)
        measurement["expression"].setdefault("residual", None)
        measurement["verdict"].setdefault("adjusted_p_value", None)
        measurement["verdict"].setdefault("comparison", None)
    return report


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: not UTF-8 text ({error}); give a JSON report") from None
    try:
        return json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not JSON ({error}); give a JSON report") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant:.40} is no finite number")


def _finite(text: str) -> float:
    """A number; one like 1e999, which a float cannot hold, is refused like NaN."""
    return value if math.isfinite(value := float(text)) else _refuse(text)


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def problems(report: Any) -> Iterator[str]:
    """What does not fit the schema, each with its place, in the order of the file."""
    return _problems(report, schema(), "")


def _problems(value: Any, rule: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in rule:
        yield from _problems(value, schema()["$defs"][rule["$ref"].rpartition("/")[2]], where)
        return
    if problem := _own_problem(value, rule):
        yield f"{where or 'the report'}: {problem}"
    elif isinstance(value, dict):
        properties, others = rule.get("properties", {}), rule.get("additionalProperties", {})
        for key, item in value.items():
            place = f"{where}.{key}" if where else key
            yield from _problems(item, properties.get(key, others), place)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _problems(item, rule.get("items", {}), f"{where}[{number}]")


def _own_problem(value: Any, rule: dict[str, Any]) -> str | None:
    """What is wrong with a value itself, apart from what it holds."""
    if "const" in rule and (value != rule["const"] or isinstance(value, bool)):
        return f"{value!r} is not {rule['const']!r}"
    if "enum" in rule and value not in rule["enum"]:
        return f"{value!r:.60} is not one of {', '.join(map(str, rule['enum']))}"
    names = rule.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(_is(value, name) for name in names):
        return f"{value!r:.60} is not of type {' or '.join(names)}"
    if isinstance(value, dict):
        missing = [key for key in rule.get("required", ()) if key not in value]
        return f"{missing[0]!r} is missing" if missing else None
    if isinstance(value, list):
        low, high = rule.get("minItems", 0), rule.get("maxItems", len(value))
        return None if low <= len(value) <= high else f"{len(value)} items where {low} belong"
    if _is(value, "number"):
        low, high = rule.get("minimum", value), rule.get("maximum", value)
        return None if low <= value <= high else f"{value} is out of range"
    return None


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    # JSON knows one kind of number: 1.0 is an integer.
    whole = name == "integer" and isinstance(value, float) and value.is_integer()
    return isinstance(value, _TYPES[name]) or whole
