"""GitLab's code-quality report: one issue for each rule that a model does not pass.

The format is GitLab's: a list of issues with ``description``, ``check_name``, ``fingerprint``,
``severity`` and ``location``. A merge request shows the issues that its target branch does not
have, by fingerprint; so a fingerprint depends on what was measured and on the outcome, and not on
rates.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from exleak.model_names import TOML
from exleak.records import Measurement, Outcome
from exleak.reports.formatting import printable
from exleak.reports.places import Place, place_of

#: GitLab's severities of the outcomes that are issues.
SEVERITIES: dict[Outcome, str] = {
    "unusable": "blocker",
    "fail": "critical",
    "inconclusive": "minor",
}
#: Where GitLab, which demands a place, shows a model without an entry in leakage.toml.
_NOWHERE = Place(TOML, 1)
_WIDTH = 1000


def render(measurements: Sequence[Measurement]) -> str:
    """Render the report; places are those of the leakage.toml in the current folder."""
    issues = [issue for measurement in measurements for issue in _issues(measurement)]
    return json.dumps(issues, indent=1, ensure_ascii=False) + "\n"


def _issues(measurement: Measurement) -> Iterator[dict[str, Any]]:
    top = Path(os.environ.get("CI_PROJECT_DIR") or Path.cwd())
    place = place_of(measurement.model, Path.cwd() / TOML, top) or _NOWHERE
    for rule, outcome, reason in _findings(measurement):
        if outcome in SEVERITIES:
            text = f"{measurement.label} on {measurement.dataset}: {outcome}: {reason}"
            yield {
                "description": printable(" ".join(text.split()), _WIDTH),
                "check_name": f"expression-leakage/{rule}",
                "fingerprint": _fingerprint(measurement, rule, outcome),
                "severity": SEVERITIES[outcome],
                "location": {"path": place.path, "lines": {"begin": place.line}},
            }


def _findings(measurement: Measurement) -> list[tuple[str, Outcome, str]]:
    """Rule, outcome and reason; a report of an earlier version has only the verdict."""
    verdict = measurement.verdict
    if verdict.findings or verdict.outcome is None:
        return [(found.rule, found.outcome, found.reason) for found in verdict.findings]
    return [("verdict", verdict.outcome, "; ".join(verdict.reasons))]


def _fingerprint(measurement: Measurement, rule: str, outcome: str) -> str:
    about = [measurement.label, measurement.dataset, measurement.instrument, measurement.sampling]
    text = json.dumps([*about, rule, outcome], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
