"""``exleak view``: the newest run, or any report, as a page in the browser."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.cli.progress import measuring
from exleak.cli.shared import add_instrument, add_store, origin

if TYPE_CHECKING:
    from exleak.records import Measurement
    from exleak.store import Store

_VIEW = """Make one page of reports or runs and open it in the browser: each continuation beside
that of the control prompt, what restates the injected sentence marked, searchable. The page is one
file that loads nothing. Runs are scored again, which takes no time where the scores are stored."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``view``."""
    parser = commands.add_parser("view", help="read a run in the browser", description=_VIEW)
    parser.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="JSON reports, generations files or logs (default: the newest run of the store)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="the page (default: view.html in the store)",
    )
    parser.add_argument("--no-open", action="store_true", help="only write the page")
    add_instrument(parser, "scores runs")
    add_store(parser, "scores, and look for runs")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.files import check_file, write_text
    from exleak.reports import render
    from exleak.store import Store

    store = None if options.store == "none" else Store(options.store)
    files = options.files or [_newest(store)]
    output = options.output or (store.root if store else Path()) / "view.html"
    check_file(output)
    found = [one for file in files for one in _measurements(file, options.instrument, store)]
    write_text(output, render("html", found))
    print(f"page: {output}")
    if not options.no_open and not webbrowser.open(output.resolve().as_uri()):
        print("no browser was found here: open the page in one", file=sys.stderr)
    return 0


def _newest(store: Store | None) -> Path:
    """The store's newest generations file.

    Raises:
        SettingsError: There is none.
    """
    from exleak.errors import SettingsError

    found = list(store.runs.glob("*.jsonl")) if store else []
    if not found:
        place = f"no run in {store.runs}" if store else "without a store there are no runs"
        raise SettingsError(f"{place}: measure a model first, or give a report or a file")
    return max(found, key=lambda path: path.stat().st_mtime)


def _measurements(path: Path, instrument: str, store: Store | None) -> tuple[Measurement, ...]:
    from exleak.logs import read_log
    from exleak.logs.records import head_of
    from exleak.measurement import score
    from exleak.reports import read_measurements

    head = head_of(path)
    if head.is_report:
        return read_measurements(path)
    log = read_log(head)
    about = origin(log, log.model or path.stem, "stored run")
    with measuring(path.name) as progress:
        return (score(log.rows, instrument, about=about, store=store, progress=progress),)
