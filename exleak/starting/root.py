"""Finds the folder in which pytest looks for ``leakage.toml``: its root folder."""

from __future__ import annotations

from pathlib import Path

from exleak.errors import SettingsError

#: Configuration files of pytest, and the text that marks a file as one.
INI_FILES = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}


def has_settings(folder: Path) -> bool:
    """Whether a folder contains a file that pytest would use as its ini file."""
    for name, section in INI_FILES.items():
        try:
            if section in (folder / name).read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False


def pytest_root(folder: Path) -> Path:
    """The root folder of a pytest session that is started in a folder.

    It is the nearest one with pytest's settings, else with a pyproject.toml, else with a setup.py,
    each above the folder or there; without any, it is the folder.

    Args:
        folder: The folder, absolute.
    """
    places = (folder, *folder.parents)
    for is_root in (
        has_settings,
        lambda place: (place / "pyproject.toml").is_file(),
        lambda place: (place / "setup.py").is_file(),
    ):
        if (found := next(filter(is_root, places), None)) is not None:
            return found
    return folder


def check_root(folder: Path) -> None:
    """Refuse a folder that is not pytest's root folder.

    Args:
        folder: The folder, absolute.

    Raises:
        SettingsError: It is not; the message says which one is.
    """
    if (root := pytest_root(folder)) != folder:
        raise SettingsError(
            f"{folder}: pytest, started here, takes {root} for its root folder, for the settings "
            "that are there, and reads leakage.toml there; name that folder, or make this one the "
            "root by an empty file pytest.ini"
        )
