"""The page of the exit statuses: docs/reference/exit-statuses.md.

What a status means is written here; which there are is read from the code (:func:`of_command`).
"""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

import pytest

from exleak import cli
from exleak.cli.gate import EXIT, STRICT_INCONCLUSIVE
from leakage_fixtures.guard import INCONCLUSIVE, NOT_MEASURED
from tests.helpers.manual import MADE, table

#: Of every command, beside its own.
COMMON = {
    0: "done",
    2: "wrong usage: an unknown option, a file that cannot be read, settings that contradict",
    cli._INTERRUPTED: "interrupted (Ctrl-C)",
    cli._CLOSED_PIPE: "the reader of the output is gone, as with `exleak … | head`",
}  # fmt: skip

#: What the statuses of a command mean, if it has more than the common ones.
COMMANDS = {
    "gate": {
        EXIT["pass"]: "every measurement passes; also inconclusive ones, without `--strict`",
        EXIT["fail"]: "leakage failed: a limit, the significance rule or a baseline",
        EXIT["unusable"]: "a measurement is unusable, or the reports hold none",
        STRICT_INCONCLUSIVE: "inconclusive, with `--strict`",
    },
    "watch": {
        EXIT["pass"]: "no checkpoint is marked, none fails the limit",
        EXIT["fail"]: "a checkpoint is marked, or fails the limit",
        EXIT["unusable"]: "a checkpoint could not be measured, or there was none",
    },
    "paper": {0: "every model was measured", 1: "a model could not be measured and is left out"},
    "selfcheck": {0: "the instrument is sound here", 1: "it is not: a problem was printed"},
    "store": {0: "done; `verify`: every file can be used", 1: "`verify`: a file cannot be used"},
    "compare": {
        0: "at least two reports were compared",
        2: "wrong usage, or nothing could be compared",
    },
}

PYTEST = {
    int(pytest.ExitCode.OK): "every test passed; inconclusive too, without `--leakage-strict`",
    int(pytest.ExitCode.TESTS_FAILED): "leakage failed, or another test did",
    int(pytest.ExitCode.INTERRUPTED): "interrupted (Ctrl-C), or tests could not be collected",
    int(pytest.ExitCode.INTERNAL_ERROR): "an internal error of pytest or a plugin",
    int(pytest.ExitCode.USAGE_ERROR): "wrong usage; also leakage without a limit, rule or baseline",
    int(pytest.ExitCode.NO_TESTS_COLLECTED): "no test was selected, and no leakage was asked for",
    6: "too many warnings (`--max-warnings` of newer versions of pytest)",
    NOT_MEASURED: "leakage was asked for and not measured, or what was measured is unusable",
    INCONCLUSIVE: "inconclusive, with `--leakage-strict`",
}  # fmt: skip


def of_command(module: ModuleType) -> set[int]:
    """The statuses that a command's module returns, read from its source."""
    found: set[int] = set()
    tree = ast.parse(inspect.getsource(module))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        if isinstance(function.returns, ast.Name) and function.returns.id == "int":
            for node in ast.walk(function):
                if isinstance(node, ast.Return) and node.value is not None:
                    found |= _values(node.value)
    if "exit_status" in vars(module):
        found |= {*EXIT.values()} | ({STRICT_INCONCLUSIVE} if module is cli.gate else set())
    return found


def _values(node: ast.expr) -> set[int]:
    if isinstance(node, ast.IfExp):
        return _values(node.body) | _values(node.orelse)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return {node.value}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return {EXIT[str(node.slice.value)]}
    return set()


_HEAD = f"""# Exit statuses

{MADE}

Every status but 0 stops a CI job. Green means measured: a run that was asked for leakage and has no
verdict does not end with 0."""


def page() -> str:
    """The text of the page."""
    head = ("status", "what it says")
    lines = [_HEAD, "", "## pytest", "", *table(head, _rows(PYTEST)), ""]
    lines += ["If several hold: 1 goes before 10, and 10 before 11.", ""]
    lines += ["## exleak", "", "Of every command:", "", *table(head, _rows(COMMON)), ""]
    for name, meanings in COMMANDS.items():
        lines += [f"### `exleak {name}`", "", *table(head, _rows(meanings)), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(meanings: dict[int, str]) -> list[tuple[str, ...]]:
    return [(f"`{status}`", meanings[status]) for status in sorted(meanings)]
