"""``exleak store list|verify|prune``."""

from __future__ import annotations

import argparse
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

from exleak.errors import SettingsError
from exleak.store.segments import Segments
from exleak.store.store import Store

_DAY = 86_400.0


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
    return Store(options.dir)


def _list(options: argparse.Namespace) -> int:
    for kind, segments, about in _open(options).all():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entries = len(segments.read())
        size = sum(path.stat().st_size for path in segments.paths())
        print(f"{kind:11} {segments.folder.name[:12]}  {entries:7} entries  {size / 1e6:7.1f} MB  "
              f"{_day(segments)}  {_about(about)}")  # fmt: skip
    return 0


def _about(about: dict[str, Any]) -> str:
    if "instrument" in about:
        return f"instrument {about['instrument'][:12]}"
    return (
        f"checkpoint {about['checkpoint'][:12]}, {about['device']} {about['dtype']}, "
        f"seed {about['sampling']['seed']}, chat {about['chat']}"
    )


def _day(segments: Segments) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(_written(segments)))


def _written(segments: Segments) -> float:
    return max((path.stat().st_mtime for path in segments.paths()), default=0.0)


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
    removed = 0
    for kind in ("generations", "scores"):
        known = {found.folder: found for name, found, _ in store.all() if name == kind}
        for folder in sorted((store.root / kind).glob("*")):
            removed += _prune_folder(folder, known.get(folder), options.older_than)
    print(f"{removed} files removed")
    return 0


def _prune_folder(folder: Path, segments: Segments | None, older_than: float | None) -> int:
    too_old = (
        segments is not None
        and older_than is not None
        and time.time() - _written(segments) > older_than * _DAY
    )
    if segments is None or too_old:
        count = len(list(folder.iterdir()))
        shutil.rmtree(folder)
        return count
    broken = [path for path in segments.paths() if segments.problem(path)]
    # A temporary file is there for an instant; an hour old, its writer was killed.
    broken += [p for p in folder.glob(".tmp-*") if time.time() - p.stat().st_mtime > 3600]
    for path in broken:
        path.unlink(missing_ok=True)
    return len(broken)
