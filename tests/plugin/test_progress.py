"""The progress of a measurement on pytest's terminal."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from exleak.progress import advance, phase
from leakage_fixtures.progress import Progress, shown


class Screen:
    """A terminal reporter that keeps what it is given."""

    def __init__(self, *, isatty: bool = True, verbosity: int = 0) -> None:
        self.isatty, self.verbosity, self.text = isatty, verbosity, ""
        self._tw = SimpleNamespace(
            fullwidth=70, hasmarkup=isatty, width_of_current_line=5, write_raw=self.write
        )

    def write(self, text: str, flush: bool) -> None:
        """Keep the text."""
        self.text += text


def config(screen: Screen | None) -> Any:
    """The config of a session with this reporter."""
    plugins = {"terminalreporter": screen}
    return SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=plugins.get))


def work() -> None:
    """Ten of twenty texts are scored, and exleak warns."""
    with phase("scoring", "texts", 20):
        advance(10)
        logging.getLogger("exleak").warning("no memory")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is shown."""
    monkeypatch.setattr("exleak.progress_line._TERMINAL_SECONDS", 0.0)
    monkeypatch.setattr("exleak.progress_line._LOG_SECONDS", 0.0)


def test_what_is_under_way_is_shown() -> None:
    """A line within the terminal's width; warnings stay."""
    screen, log = Screen(), Screen(isatty=False)
    for one in (screen, log):
        with Progress(config(one), "m on hexl"):
            work()
    assert f"\r{'m on hexl: scoring 10 of 20 texts':69}\nno memory\n" in screen.text
    assert screen.text.endswith("\r" + " " * 69 + "\r")
    assert log.text.startswith("\nm on hexl: scoring 20 texts, 0 s\n")
    assert "m on hexl: scoring 10 of 20 texts\n\nno memory\n" in log.text
    assert "\r" not in log.text


def test_the_dots_go_on_where_they_were() -> None:
    """Below the line of dots, and back to its end; where there is no way back, below it."""
    screen, plain = Screen(), Screen()
    plain._tw.hasmarkup = False
    for one in (screen, plain):
        with Progress(config(one), "m on hexl"), phase("scoring", "texts", 20):
            advance(10)
        assert one.text.startswith("\n\rm on hexl: scoring 20 texts, 0 s")
    assert screen.text.endswith("\r" + " " * 69 + "\r\x1b[A\x1b[6G")
    assert plain.text.endswith("\r" + " " * 69 + "\r")


def test_workers_and_quiet_runs_show_nothing() -> None:
    """A worker of pytest-xdist has no terminal; -q asks for silence."""
    quiet = Screen(verbosity=-1)
    for screen in (None, quiet):
        with Progress(config(screen), "m"):
            work()
    assert quiet.text == ""


def test_a_model_that_is_loaded_within_a_measurement_has_no_line_of_its_own() -> None:
    """One that a test loads by itself has."""
    outer, inner = Screen(), Screen()
    with Progress(config(outer), "m on hexl"), shown(config(inner), "m"):
        work()
    assert "m on hexl: scoring" in outer.text
    assert inner.text == ""
    with shown(config(inner), "m"):
        work()
    assert "m: scoring 10 of 20 texts" in inner.text
