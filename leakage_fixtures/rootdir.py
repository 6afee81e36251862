"""Which folder the settings, the store and baselines belong to, as pytest sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from leakage_fixtures.options import OPTIONS

TOML = "leakage.toml"
#: Files that pytest reads its settings from, and what makes them one.
_INI_FILES = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}


def root(config: pytest.Config) -> Path:
    """The folder that ``leakage.toml``, the store and baselines belong to.

    That is pytest's root; where pytest found no ini file, and may have taken an option's value for
    a test folder, it is the folder that pytest was started in.
    """
    if config.inipath is None and any(path.exists() for _, path in _apart(config)):
        return config.invocation_params.dir
    return config.rootpath


def check_root(config: pytest.Config) -> None:
    """Refuse an option's value that leads pytest to the settings of another folder.

    pytest looks for its ini file before it knows the options of plugins. It takes what stands
    behind ``--leakage-store`` for a test folder, if there is one of that name; not so what stands
    behind ``--leakage-store=``. The same command is refused whether or not the folder is there yet;
    where there is no ini file at all, none is missed.

    Raises:
        pytest.UsageError: A path outside the repository stands apart from its option.
    """
    known = getattr(config, "known_args_namespace", None)
    if getattr(known, "inifilename", None) or getattr(known, "rootdir", None):
        return
    here = config.invocation_params.dir
    if config.inipath is None and not any(map(_has_settings, (here, *here.parents))):
        return
    inside = [here, *([config.inipath.parent] if config.inipath else ())]
    for spelling, path in _apart(config):
        if not any(path.is_relative_to(folder) for folder in inside):
            raise pytest.UsageError(
                f"{spelling} {path}: pytest takes a path outside the repository for a test folder "
                f"there, and would look for its settings beside it; write {spelling}={path}"
            )


def _has_settings(folder: Path) -> bool:
    """Whether pytest would take one of a folder's files for its ini file."""
    for name, section in _INI_FILES.items():
        try:
            if section in (folder / name).read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False


def _apart(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """Values that do not stand behind an equals sign: their option, and where they would be."""
    spellings = {option.spelling for option in OPTIONS if not option.flag and not option.constant}
    arguments = [str(argument) for argument in config.invocation_params.args]
    for spelling, value in pairwise(arguments):
        if spelling in spellings and not value.startswith("-"):
            place = config.invocation_params.dir / Path(value).expanduser()
            yield spelling, Path(os.path.normpath(place))
