"""The folder in which pytest looks for leakage.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.config.findpaths import determine_setup

from exleak.errors import SettingsError
from exleak.starting.root import check_root, pytest_root

PLACES = {
    "nothing": {},
    "an ini file above": {"pytest.ini": ""},
    "settings above a pyproject": {"tox.ini": "[pytest]\n", "a/b/pyproject.toml": ""},
    "a pyproject without settings": {"a/pyproject.toml": "", "setup.py": ""},
    "settings in a pyproject": {"a/pyproject.toml": "[tool.pytest.ini_options]\n"},
    "a setup.py": {"a/setup.py": ""},
    "a setup.cfg for others": {"setup.cfg": "[metadata]\n"},
    "here": {"a/b/pytest.ini": "", "pytest.ini": ""},
}


@pytest.mark.parametrize("files", PLACES.values(), ids=PLACES)
def test_it_is_that_of_pytest(files: dict[str, str], tmp_path: Path) -> None:
    """As pytest itself determines it for the test file of ``exleak init``."""
    here = tmp_path / "a" / "b"
    (here / "tests").mkdir(parents=True)
    (here / "tests" / "test_leakage.py").touch()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    expected = determine_setup(
        inifile=None,
        override_ini=None,
        args=[str(here / "tests" / "test_leakage.py")],
        rootdir_cmd_arg=None,
        invocation_dir=here,
    )[0]
    assert pytest_root(here) == expected
    if expected == here:
        check_root(here)
    else:
        with pytest.raises(SettingsError, match=f"takes {expected} for its root folder"):
            check_root(here)
