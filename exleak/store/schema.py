"""Validation of reports against ``schema.json``.

Only the JSON Schema keywords that this file uses are implemented. The tests compare the results
with the library ``jsonschema``, which is not a dependency.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

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


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of reports."""
    content: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return content


def problems(report: Any) -> Iterator[str]:
    """Violations of the schema, each with its place, in the order of the file."""
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
    """The violation of a value itself, not of its items; ``None`` if there is none."""
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
    # JSON has one number type: 1.0 is an integer.
    whole = name == "integer" and isinstance(value, float) and value.is_integer()
    return isinstance(value, _TYPES[name]) or whole
