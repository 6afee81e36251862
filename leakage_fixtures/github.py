"""What GitHub Actions shows of a session: job summary, step outputs and annotations.

Each is written if the variable of GitHub that belongs to it is set. docs/pull-requests.md
describes them.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leakage_fixtures.standing import NOT_MEASURED, Standing, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exleak.records import Measurement
    from leakage_fixtures.summary import Summary

#: A file that gets the annotations, which otherwise are printed.
_ANNOTATIONS = "EXLEAK_ANNOTATIONS"
#: Most annotations of one kind that GitHub shows of a step.
_MOST = 10
_WIDTH = 1500


def write(summary: Summary | None, found: Sequence[Standing], toml: Path) -> list[str]:
    """Write job summary and outputs, and the annotations if they go to a file.

    Args:
        summary: The session's measurements.
        found: What the session says of its models; if that is nothing, nothing is written.
        toml: The leakage.toml.

    Returns:
        What could not be written, and why.
    """
    if not found:
        return []
    texts: dict[str, Callable[[], str]] = {
        "GITHUB_STEP_SUMMARY": lambda: _job_summary(summary, found),
        "GITHUB_OUTPUT": lambda: _outputs(summary, found),
        _ANNOTATIONS: lambda: "".join(f"{line}\n" for line in commands(found, toml)),
    }
    problems = []
    for variable, text in texts.items():
        if not (path := os.environ.get(variable)):
            continue
        try:
            with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text())
        except OSError as error:
            problems.append(f"{path} ({variable}) cannot be written: {error.strerror}")
    return problems


def prints_annotations() -> bool:
    """Whether annotations are printed: in a job, unless they go to a file."""
    return os.environ.get("GITHUB_ACTIONS") == "true" and not os.environ.get(_ANNOTATIONS)


def commands(found: Sequence[Standing], toml: Path) -> list[str]:
    """Workflow commands that annotate the entries of models in leakage.toml.

    GitHub shows ten errors and ten warnings of a step; the tenth names all that are left.
    """
    errors = [one for one in found if one.is_remarkable and one.is_error]
    warnings = [one for one in found if one.is_remarkable and not one.is_error]
    return [*_commands("error", errors, toml), *_commands("warning", warnings, toml)]


def _commands(kind: str, found: Sequence[Standing], toml: Path) -> Iterable[str]:
    is_too_much = len(found) > _MOST
    shown = found[: _MOST - 1] if is_too_much else found
    for one in shown:
        yield _command(kind, f"Expression leakage: {one.title}", one.reason, one.model, toml)
    if is_too_much:
        rest = found[len(shown) :]
        names = ", ".join(one.title for one in rest)
        yield _command(kind, f"Expression leakage: {len(rest)} more models", names, "", toml)


def _command(kind: str, title: str, message: str, model: str, toml: Path) -> str:
    from exleak.reports.formatting import printable
    from exleak.reports.places import place_of

    top = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    place = place_of(model, toml, top) if model else None
    about = {"file": place.path, "line": str(place.line)} if place else {}
    about["title"] = printable(title, 200)
    properties = ",".join(f"{name}={_property(value)}" for name, value in about.items())
    said = "\n".join(printable(line, _WIDTH) for line in message.splitlines())
    return f"::{kind} {properties}::{_data(said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _job_summary(summary: Summary | None, found: Sequence[Standing]) -> str:
    from exleak.reports import render
    from exleak.reports.markdown import plain

    parts = [render("md", summary.measurements)] if summary is not None else []
    for one in found:
        if one.outcome == NOT_MEASURED:
            name = f"{plain(one.model)}: " if one.model else ""
            parts.append(f"**Expression leakage was not measured:** {name}{plain(one.reason)}\n")
    return "\n".join(parts)


def _outputs(summary: Summary | None, found: Sequence[Standing]) -> str:
    """Step outputs, each between delimiters that no value can hold."""
    from exleak.reports.columns import headline

    measurements = summary.measurements if summary is not None else []
    rate, model = _highest(measurements)
    failed = list(dict.fromkeys(one.model for one in found if one.is_error and one.model))
    reports = summary.reports if summary is not None else []
    outputs = {
        "outcome": worst(found),
        "headline": headline(measurements),
        "failed": json.dumps(failed),
        "worst-rate": str(rate),
        "worst-model": model,
        "report": next((path for path in reports if path.endswith(".json")), ""),
    }
    lines = []
    for name, value in outputs.items():
        end = f"exleak-{uuid.uuid4()}"
        lines.append(f"{name}<<{end}\n{value}\n{end}\n")
    return "".join(lines)


def _highest(measurements: Sequence[Measurement]) -> tuple[str, str]:
    """The highest rate that a limit applies to, and its model; empty texts without any."""
    from exleak.gate.rules import chosen

    found = []
    for one in measurements:
        metric: Any = one.verdict.metric
        rate = chosen(one.expression, metric).rate
        if rate is not None:
            found.append((rate, one.label))
    rate, model = max(found, default=(None, ""))
    return "" if rate is None else f"{rate:.6g}", model
