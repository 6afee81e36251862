"""``exleak comment``: results in a pull request on GitHub, in one comment that is updated."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

_COMMENT = """Write a report into a pull request on GitHub as a comment, or update the comment of
the run before, which a hidden mark finds again. The token is read from GITHUB_TOKEN, the address of
the API from GITHUB_API_URL. Exit status: 0 written, 2 not written."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``comment``."""
    parser = commands.add_parser("comment", help="results in a pull request", description=_COMMENT)
    parser.add_argument("files", type=Path, nargs="*", metavar="REPORT", help="JSON reports")
    parser.add_argument(
        "--pull", type=int, metavar="N", help="the pull request (default: that of GITHUB_REF)"
    )
    parser.add_argument(
        "--repository", metavar="OWNER/NAME", help="its repository (default: GITHUB_REPOSITORY)"
    )
    parser.add_argument(
        "--mark",
        default="leakage",
        metavar="NAME",
        help="tells comments of several jobs apart (default: leakage)",
    )
    parser.add_argument("--note", metavar="TEXT", help="a remark, also where no report is")
    parser.add_argument("--commit", metavar="SHA", help="the commit that was measured")
    parser.add_argument(
        "--link", metavar="URL", help="where the whole report is (default: the workflow's run)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the comment, send nothing")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.gate.families import without_copies
    from exleak.pulls.api import GitHub
    from exleak.pulls.comment import body, write
    from exleak.store.report import read_measurements

    found = [one for file in options.files for one in read_measurements(file)]
    measurements, notes = without_copies(found)
    for note in notes:
        print(f"exleak comment: {note}", file=sys.stderr)
    text = body(
        measurements,
        options.mark,
        note=options.note,
        commit=options.commit,
        link=options.link or _run_address(),
    )
    if options.dry_run:
        print(text, end="")
        return 0
    pull = _pull(options.pull)
    url = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
    repository = options.repository or os.environ.get("GITHUB_REPOSITORY", "")
    github = GitHub(url, repository, os.environ.get("GITHUB_TOKEN", "").strip())
    written = write(github, pull, text)
    print(f"comment {'created' if written.is_new else 'updated'}: {written.comment.url}")
    if written.copies:
        print(f"{written.copies} more comments have the same mark; delete them by hand")
    return 0


def _pull(given: int | None) -> int:
    """The number of the pull request.

    Raises:
        SettingsError: None was given, and this is no run for a pull request.
    """
    from exleak.errors import SettingsError

    ref = os.environ.get("GITHUB_REF", "")
    found = re.fullmatch(r"refs/pull/([0-9]+)/(?:merge|head)", ref)
    number = int(found[1]) if given is None and found else given
    if number is None:
        said = f"GITHUB_REF is {ref}" if ref else "GITHUB_REF is not set"
        raise SettingsError(f"which pull request? {said}: give --pull N")
    if number < 1:
        raise SettingsError(f"--pull {number}: a number from 1 on is expected")
    return number


def _run_address() -> str | None:
    """Where the run of this workflow is shown; ``None`` outside of one."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name) for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None
