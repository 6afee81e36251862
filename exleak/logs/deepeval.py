"""Test runs of deepeval: the cases of a run with the same input are generations of a prompt."""

from __future__ import annotations

from pathlib import Path

from exleak.logs.chat import wordings
from exleak.logs.node import Node, whole
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "test runs of deepeval (.json)"

_RUN, _CASES = "testRunData", "testCases"


def recognises(head: Head) -> bool:
    """A test run, or the file that holds the latest one."""
    run = head.value.get(_RUN, head.value)
    return isinstance(run, dict) and _CASES in run


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read a test run.

    Raises:
        DatasetError: It is damaged, or its cases are conversations.
    """
    run = whole(head.text, str(path))
    cases = (run.get(_RUN) or run)[_CASES].items()
    return Answers(tuple(map(_asked, cases)))


def _asked(case: Node) -> Asked:
    where = f"{case.where}, {case.name}"
    output, name = case.get("actualOutput"), case.get("name")
    return Asked(
        where,
        wordings(case["input"].text(), where),
        (None if output is None else output.text(),),
        None if name is None else name.text(),
    )
