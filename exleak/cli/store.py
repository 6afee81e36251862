"""``exleak store list|verify|prune``: inspect and clean the store."""

from __future__ import annotations

import argparse
import contextlib
import time
import warnings
from pathlib import Path
from typing import Any

from exleak.errors import SettingsError
from exleak.store.store import Store

_DAY, _HOUR = 86_400.0, 3_600.0


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser("store", help="list, verify or prune what is kept on disk")
    parser.add_argument("--dir", type=Path, default=Path(".exleak"), metavar="DIR",
                        help="the store (default: .exleak)")  # fmt: skip
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what is kept").set_defaults(run=_list)
    actions.add_parser("verify", help="check every file").set_defaults(run=_verify)
    prune = actions.add_parser("prune", help="remove what is torn, and what is old")
    prune.add_argument("--older-than", type=float, metavar="DAYS",
                       help="also remove what was last written before so many days")  # fmt: skip
    prune.set_defaults(run=_prune)


def _open(options: argparse.Namespace) -> Store:
    if not options.dir.is_dir():
        raise SettingsError(f"{options.dir}: there is no store; give its folder with --dir")
    store = Store(options.dir)
    if not store.is_one():
        raise SettingsError(
            f"{options.dir}: not a store (it has no .gitignore of exleak's); give its folder "
            "with --dir"
        )
    return store


def _list(options: argparse.Namespace) -> int:
    store = _open(options)
    for kind, segments, about in store.all():
        paths = segments.paths()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entries = len(segments.read())
        print(f"{kind:11} {segments.folder.name[:12]}  {entries:7} entries  "
              f"{_size(*paths)}  {_day(*paths)}  {_about(about)}")  # fmt: skip
    for path in _runs(store):
        print(f"run         {_size(path)}  {_day(path)}  {path}")
    return 0


def _runs(store: Store) -> list[Path]:
    if not store.owns(store.runs):
        return []
    return sorted([*store.runs.glob("*.jsonl"), *store.runs.glob("*.json")])


def _about(about: dict[str, Any] | None) -> str:
    if about is None:
        return "cannot be read; exleak store prune removes it"
    if "instrument" in about:
        return f"instrument {about['instrument'][:12]}"
    of = f"seed {about['sampling']['seed']}, chat {about['chat']}"
    if "fingerprint" in about:
        return f"{about['model']} at {about.get('endpoint', 'several addresses')}, {of}"
    if "server" in about:
        return f"checkpoint {about['checkpoint'][:12]} on {about['server']}, {of}"
    return f"checkpoint {about['checkpoint'][:12]}, {about['device']} {about['dtype']}, {of}"


def _size(*paths: Path) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:7.1f} MB"


def _day(*paths: Path) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(_written(*paths)))


def _written(*paths: Path) -> float:
    return max((path.stat().st_mtime for path in paths), default=0.0)


def _verify(options: argparse.Namespace) -> int:
    checked = broken = 0
    for _, segments, _ in _open(options).all():
        for path in segments.paths():
            checked += 1
            if problem := segments.problem(path):
                broken += 1
                print(f"{path}: {problem}")
    print(f"{checked} files checked, {broken} cannot be used")
    return 1 if broken else 0


def _prune(options: argparse.Namespace) -> int:
    store = _open(options)
    before = 0.0
    if options.older_than is not None:
        before = time.time() - options.older_than * _DAY
    removed = [path for path in _runs(store) if _written(path) < before]
    for _, segments, about in store.all():
        paths = segments.paths()
        is_useless = about is None or _written(*paths) < before
        removed += paths if is_useless else filter(segments.problem, paths)
        # Temporary files are short-lived; the writer of one that is an hour old was killed.
        parts = segments.folder.glob(".tmp-*")
        removed += [part for part in parts if time.time() - _written(part) > _HOUR]
    for path in removed:
        path.unlink(missing_ok=True)
    for _, segments, _ in store.all():
        with contextlib.suppress(OSError):  # not empty
            segments.folder.rmdir()
    print(f"{len(removed)} files removed")
    return 0
