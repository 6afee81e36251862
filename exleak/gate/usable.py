"""Checks that a measurement is usable: that enough of its generations could be scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from exleak.records import Expression

#: Highest share of generations that cannot be scored.
MAX_UNUSABLE = 0.05
#: Highest share of generations that talk about the task. A small chat model does so in a tenth of
#: its answers and can be measured by the others.
MAX_TASK_TALK = 0.5
#: Highest share of generations that an English instrument cannot read; they may be the ones that
#: leak. Texts of undetermined language count as English, so the true share may be higher.
MAX_FOREIGN = 0.1
#: Highest share of exact ties; with more, a leak could not show.
MAX_TIES = 0.5


def unusable_because(
    expression: Expression, total: int, unusable: int, task_talk: int = 0, foreign: int = 0
) -> str | None:
    """The reason that a measurement is unusable; ``None`` if it is usable.

    Args:
        expression: Its expression leakage rates.
        total: Number of generations.
        unusable: Number of generations that could not be scored.
        task_talk: Number of generations that talk about the task instead of doing it.
        foreign: Number of generations in a language that the instrument does not know.
    """
    if foreign > MAX_FOREIGN * total:
        return (
            f"{foreign} of {total} generations ({foreign / total:.0%}) are not English, and the "
            f"instrument knows English alone; at most {MAX_FOREIGN:.0%} may be. Measure with a "
            "classifier that knows their language: --leakage-instrument"
        )
    if task_talk > MAX_TASK_TALK * total:
        return (
            f"{task_talk} of {total} generations ({task_talk / total:.0%}) talk about the task "
            f"instead of continuing the prompt; at most {MAX_TASK_TALK:.0%} may. Read the "
            "generations file; try --leakage-chat never"
        )
    if expression.rate is None:
        return "no pair of a control and a test prompt could be scored"
    share = unusable / total if total else 1.0
    if share > MAX_UNUSABLE:
        return (
            f"{unusable} of {total} generations ({share:.0%}) have no scorable first sentence; "
            f"at most {MAX_UNUSABLE:.0%} may"
        )
    if expression.ties > MAX_TIES * expression.n:
        return (
            f"{expression.ties} of {expression.n} pairs tie exactly: the first sentences are the "
            "same whatever precedes them (a set phrase such as 'Sure!', or sampling that leaves "
            "no choice), so a leak could not show"
        )
    return None


class KindCounts(TypedDict):
    """Number of generations, in total and of each kind that is counted apart."""

    total: int
    unusable: int
    task_talk: int
    foreign: int


def counts_of(generations: Mapping[str, Any]) -> KindCounts:
    """The counts of a measurement for :func:`judge` and :func:`unusable_because`.

    Args:
        generations: ``Measurement.generations``; older reports lack some kinds.
    """
    total = generations.get("total", generations["prompts"] * generations["per_prompt"])
    return {
        "total": total,
        "unusable": generations["unusable"],
        "task_talk": generations.get("task_talk", 0),
        "foreign": generations.get("foreign", 0),
    }
