"""What a session says of each model in the end, in words of one place for every kind of CI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leakage_fixtures.guard import Guard
    from leakage_fixtures.summary import Entry, Summary

NOT_MEASURED = "not measured"
#: Words of outcomes, worst first, in the order of the exit statuses.
WORDS = ("fail", "unusable", NOT_MEASURED, "inconclusive", "pass", "reported only")


@dataclass(frozen=True)
class Standing:
    """What a session says of one model, on one dataset.

    Attributes:
        model: The model's name; empty if the whole session is meant.
        dataset: The dataset's name; empty if nothing was measured.
        outcome: One of :data:`WORDS`; a model that fails as expected passes.
        reason: Why.
        is_error: Whether the session fails for it.
    """

    model: str
    dataset: str
    outcome: str
    reason: str
    is_error: bool

    @property
    def is_remarkable(self) -> bool:
        """Whether a reader should be told."""
        return self.is_error or self.outcome in (NOT_MEASURED, "inconclusive")

    @property
    def title(self) -> str:
        """Name and outcome."""
        where = f" on {self.dataset}" if self.dataset else ""
        return f"{self.model}{where}: {self.outcome}" if self.model else self.outcome


def standings(summary: Summary | None, guard: Guard) -> list[Standing]:
    """What a session says of its models: first the measured ones, in the order given."""
    found = [_measured(entry) for entry in summary.ordered] if summary else []
    found += [Standing(name, "", NOT_MEASURED, why, True) for name, why in guard.broken.items()]
    found += [Standing(name, "", NOT_MEASURED, why, False) for name, why in guard.skipped.items()]
    if guard.problem is not None:
        found.append(Standing("", "", NOT_MEASURED, guard.problem, True))
    return found


def _measured(entry: Entry) -> Standing:
    found = entry.measurement
    verdict = found.verdict
    outcome, reason = verdict.outcome or "reported only", "; ".join(verdict.reasons)
    is_error = outcome in ("fail", "unusable") or (entry.strict and outcome == "inconclusive")
    if entry.expected and outcome == "fail":
        outcome, is_error = "pass", False
    elif entry.expected and outcome in ("pass", "inconclusive"):
        is_error = True
        outcome = "fail" if outcome == "pass" else outcome
        reason = f"it is expected to fail ({entry.expected}), and does not: {reason}"
    return Standing(found.label, found.dataset, outcome, reason, is_error)


def worst(found: Sequence[Standing]) -> str:
    """The worst outcome of several; without any, nothing was measured."""
    return min((standing.outcome for standing in found), key=WORDS.index, default=NOT_MEASURED)
