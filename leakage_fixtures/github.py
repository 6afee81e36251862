"""The job summary of GitHub Actions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leakage_fixtures.guard import Guard
    from leakage_fixtures.summary import Summary

_VARIABLE = "GITHUB_STEP_SUMMARY"


def write(summary: Summary | None, guard: Guard) -> str | None:
    """Append the results, and models that were not measured, to the job summary, if there is one.

    Returns:
        Why the summary could not be written; ``None`` if it was written or does not exist.
    """
    path = os.environ.get(_VARIABLE)
    if not path or (summary is None and guard.problem is None):
        return None
    parts = []
    if summary is not None:
        from exleak.reports import render

        parts.append(render("md", summary.measurements))
    if guard.skipped:
        parts.append(f"**Not measured, no CUDA here:** {', '.join(guard.skipped)}\n")
    if guard.problem is not None:
        parts.append(f"**Expression leakage was not measured:** {guard.problem}\n")
    try:
        with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(parts))
    except OSError as error:
        return f"the job summary {path} ({_VARIABLE}) cannot be written: {error.strerror}"
    return None
