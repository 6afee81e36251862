"""Finds the folder of ``leakage.toml``, the store and baselines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from exleak.starting.root import has_settings
from leakage_fixtures.options import OPTIONS


def root(config: pytest.Config) -> Path:
    """The folder that contains ``leakage.toml``, the store and baselines.

    It is pytest's root folder. If pytest found no ini file and may have mistaken an option's value
    for a test folder, it is the folder in which pytest was started.
    """
    if config.inipath is None and any(path.exists() for _, path in _apart(config)):
        return config.invocation_params.dir
    return config.rootpath


def check_root(config: pytest.Config) -> None:
    """Refuse an option value that makes pytest read another folder's configuration.

    pytest looks for its ini file before it knows the options of plugins. In ``--leakage-store DIR``
    it mistakes an existing DIR for a test folder; in ``--leakage-store=DIR`` it does not. The
    command is refused even if DIR does not exist yet, but only if there is an ini file to miss.

    Raises:
        pytest.UsageError: A path outside the repository is separated from its option by a space.
    """
    known = getattr(config, "known_args_namespace", None)
    if getattr(known, "inifilename", None) or getattr(known, "rootdir", None):
        return
    here = config.invocation_params.dir
    if config.inipath is None and not any(map(has_settings, (here, *here.parents))):
        return
    inside = [here, *([config.inipath.parent] if config.inipath else ())]
    for spelling, path in _apart(config):
        if not any(path.is_relative_to(folder) for folder in inside):
            raise pytest.UsageError(
                f"{spelling} {path}: pytest takes a path outside the repository for a test folder "
                f"there, and would look for its settings beside it; write {spelling}={path}"
            )


def _apart(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """Options whose value follows a space, not an equals sign, with the value as a path."""
    spellings = {option.spelling for option in OPTIONS if not option.flag and not option.constant}
    arguments = [str(argument) for argument in config.invocation_params.args]
    for spelling, value in pairwise(arguments):
        if spelling in spellings and not value.startswith("-"):
            place = config.invocation_params.dir / Path(value).expanduser()
            yield spelling, Path(os.path.normpath(place))
