"""Is a shown number the one in the report, rounded?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from exleak.records import Measurement


def at(report: Any, place: str) -> Any:
    """What stands at ``"0.expression.rate"`` in the JSON of a list of measurements."""
    index, _, place = place.partition(".")
    value = _as_json(report[int(index)]) if isinstance(report, list) else report[index]
    for key in place.split("."):
        value = value[int(key)] if isinstance(value, (list, tuple)) else value[key]
    return value


_JSON: dict[int, tuple[Any, Any]] = {}


def _as_json(measurement: Any) -> Any:
    """The JSON of a measurement, made once."""
    if not isinstance(measurement, Measurement):
        return measurement
    known = _JSON.setdefault(id(measurement), (measurement, measurement.to_json()))
    return known[1]


def is_rounded(shown: str, value: float) -> bool:
    """Whether ``shown`` has the digits of ``value``, up to half of its last one."""
    found = Decimal(shown)
    exponent = found.as_tuple().exponent
    assert isinstance(exponent, int)
    half = Decimal(5).scaleb(exponent - 1)
    return abs(found - Decimal(value)) <= half


def shows(text: str, value: Any) -> bool:
    """Whether a cell shows a value: a number, both ends of an interval, or a dash for null."""
    if value is None:
        return text == "-"
    if isinstance(value, (list, tuple)):
        ends = text.split(" to ")
        return len(ends) == 2 and all(map(is_rounded, ends, value))
    if isinstance(value, int):
        return text == str(value)
    return is_rounded(text, value)
