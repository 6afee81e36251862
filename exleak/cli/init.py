"""``exleak init``: write a training repository's first files."""

from __future__ import annotations

import argparse
import shlex
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.starting.files import File
    from exleak.starting.search import Search

_INIT = """Prepare a training repository for pytest: find its checkpoints, and write a test file, a
leakage.toml with an entry for each checkpoint or series, a line in .gitignore, and a workflow for
GitHub. Files that are there are never overwritten."""
#: Longer than any path: a command is never cut.
_WIDTH = 10_000


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "init", help="prepare a training repository: find checkpoints, write the first files",
        description=_INIT,
    )  # fmt: skip
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR",
                        help="the repository (default: this folder)")  # fmt: skip
    parser.add_argument("--depth", type=int, metavar="N",
                        help="folders deep to look for checkpoints (default: 4)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true",
                        help="print what would be written, and write nothing")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.generation.local.loading import has_cuda
    from exleak.starting.files import plan, write
    from exleak.starting.root import check_root
    from exleak.starting.search import DEPTH, search

    folder = options.folder.resolve()
    found = search(folder, DEPTH if options.depth is None else options.depth)
    check_root(folder)
    files = plan(folder, found.models, cuda=has_cuda())
    _print(_found(found))
    for file in files:
        if not options.dry_run:
            write(folder, file)
        _print(_file(file, options.dry_run))
    _print(_next(files, options))
    return 0


def _print(lines: Iterable[str]) -> None:
    from exleak.reports.formatting import printable

    for line in lines:
        print(printable(line, _WIDTH))


def _found(found: Search) -> Iterable[str]:
    if not found.models:
        yield "no checkpoint found; leakage.toml can name one anywhere, or on the hub"
    for model in found.models:
        series = f", the last of {model.count}: {model.series}" if model.series else ""
        yield f"found    {model.name} in {model.path}{series}"
    for path, reason in found.left_out.items():
        yield f"left out {path}: {reason}"


def _file(file: File, dry_run: bool) -> Iterable[str]:
    if file.text is None:
        yield f"kept     {file.path}, which {file.note}"
    else:
        verb = "to write " if dry_run else "wrote    "
        yield f"{verb}{file.path}{f': {file.note}' if file.note else ''}"
    shown = file.wanted or (file.text if dry_run else None) or ""
    yield from textwrap.indent(shown, "    ").splitlines()


def _next(files: Iterable[File], options: argparse.Namespace) -> Iterable[str]:
    from exleak.starting.files import TEST

    test = next(file for file in files if file.path == TEST)
    if test.wanted:
        yield f"add the line above to {TEST}, then run"
    else:
        yield "next, run"
    here = options.folder.resolve() == Path.cwd()
    place = "" if here else f"cd {shlex.quote(str(options.folder))} && "
    yield f"    {place}pytest {TEST} --leakage-report-only"
    yield "then set max_rate in leakage.toml, and leave --leakage-report-only out"
