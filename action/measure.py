"""The step of ``action.yml`` that measures: pytest with reports, then its annotations.

Model output is untrusted, and a line of it could be a command to the runner. So the runner takes
no commands while pytest runs; the plugin leaves its annotations in a file, printed afterwards.
Reads TESTS, ARGUMENTS and REPORTS; ends with the exit status of pytest.
"""

from __future__ import annotations

import io
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

#: Reports, by the option that asks pytest for them.
REPORTS = (
    ("--leakage-report", "leakage.json"),
    ("--leakage-report", "leakage.md"),
    ("--leakage-report", "leakage.html"),
    ("--junitxml", "leakage.xml"),
)


def main() -> int:
    """Measure; return the exit status of pytest, as a shell would have it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        given = [*_words("TESTS"), *_words("ARGUMENTS")]
    except ValueError as error:
        print(f"::error title=Expression leakage::{error}")
        return 4
    folder = Path(os.environ["REPORTS"] or ".").resolve()
    _set(outcome="not measured", failed="[]", reports=str(folder))
    for _, name in REPORTS:  # what an earlier run left is no result of this one
        (folder / name).unlink(missing_ok=True)
    options = [f"{option}={folder / name}" for option, name in REPORTS]
    status = _run([sys.executable, "-m", "pytest", *options, *given])
    _set(status=str(status))
    return status


def _words(variable: str) -> list[str]:
    """The arguments in a variable, split as a shell does.

    Raises:
        ValueError: A quotation mark is not closed.
    """
    try:
        return shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        raise ValueError(f"The input {variable.lower()} cannot be split: {error}.") from None


def _run(command: list[str]) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        annotations = Path(temporary) / "annotations"
        annotations.touch()
        token = secrets.token_hex(16)
        print(f"::stop-commands::{token}", flush=True)
        try:
            environment = {**os.environ, "EXLEAK_ANNOTATIONS": str(annotations)}
            status = subprocess.run(command, check=False, env=environment).returncode
        finally:
            print(f"\n::{token}::", flush=True)
        print(annotations.read_text(encoding="utf-8"), end="", flush=True)
    return 128 - status if status < 0 else status  # ended by a signal


def _set(**outputs: str) -> None:
    """Set outputs of the step; a value is one line."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in outputs.items())


if __name__ == "__main__":
    sys.exit(main())
