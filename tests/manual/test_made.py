"""What the manual says of options, commands, statuses and names is what the code has."""

from __future__ import annotations

import pytest

import exleak
from exleak import cli
from leakage_fixtures.options import OPTIONS
from tests.helpers.manual import DOCS, options, python, statuses
from tests.helpers.manual.made import made


@pytest.mark.parametrize("place", made())
def test_a_made_page_is_that_of_today(place: str) -> None:
    """``python -m tests.helpers.manual`` writes it anew."""
    assert (DOCS / place).read_text(encoding="utf-8") == made()[place]


def test_every_option_has_its_place() -> None:
    """Each once, in one group."""
    placed = [name for names in options.GROUPS.values() for name in names]
    assert sorted(placed) == sorted(option.name for option in OPTIONS)


def test_every_public_name_has_its_place() -> None:
    """Each name of ``exleak`` in one group, and nothing that is not there."""
    placed = [name for names in python.GROUPS.values() for name in names]
    assert len(placed) == len(set(placed))
    assert {f"exleak.{name}" for name in exleak.__all__} <= set(placed)
    for name in placed:
        python.find(name)


@pytest.mark.parametrize("module", cli.COMMANDS, ids=lambda module: module.__name__)
def test_every_status_of_a_command_is_told(module: object) -> None:
    """Those that its source returns, beside those that every command has."""
    name = module.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    told = set(statuses.COMMANDS.get(name, ()))
    assert statuses.of_command(module) - set(statuses.COMMON) == told - set(statuses.COMMON)  # type: ignore[arg-type]


def test_a_new_status_would_be_found() -> None:
    """Also one that only a helper of the command returns."""
    assert statuses.of_command(cli.gate) == {0, 1, 10, 11}
    assert statuses.of_command(cli.selfcheck) == {0, 1}


def test_every_status_of_pytest_is_told() -> None:
    """Pytest's own, and those of the plugin."""
    assert {int(code) for code in pytest.ExitCode} <= set(statuses.PYTEST)
