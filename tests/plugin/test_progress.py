"""The progress line of a measurement."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from exleak.generation.dataset import Done
from leakage_fixtures.progress import Progress


class Screen:
    """A terminal reporter that keeps what it is given."""

    verbosity = 0

    def __init__(self, isatty: bool) -> None:
        self.isatty, self.text = isatty, ""
        self._tw = SimpleNamespace(fullwidth=70)

    def write(self, text: str, flush: bool) -> None:
        """Keep the text."""
        self.text += text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that stands still until told."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(
        "leakage_fixtures.progress.time", SimpleNamespace(monotonic=lambda: clock.now)
    )
    return clock


def line(screen: Screen | None) -> Progress:
    """A progress line on a screen."""
    plugins = {"terminalreporter": screen}
    return Progress(SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=plugins.get)), "m")  # type: ignore[arg-type]


def test_a_terminal_shows_one_line_that_is_wiped(clock: SimpleNamespace) -> None:
    """Prompts done, sentences a second, time left; rewritten in place, no more than needed."""
    screen = Screen(isatty=True)
    with line(screen) as shown:
        clock.now += 0.1
        shown(Done(1, 240, 10, 2400))
        assert screen.text == ""
        clock.now += 1.9
        shown(Done(20, 240, 200, 2400))
        shown(Done(21, 240, 210, 2400))
        assert screen.text.strip() == "m: 20 of 240 prompts, 100 sentences/s, 22 s left"
        assert screen.text.startswith("\r")
    assert screen.text.endswith("\r" + " " * 69 + "\r")


def test_a_log_gets_a_line_now_and_then(clock: SimpleNamespace) -> None:
    """No carriage returns, a line each half minute."""
    screen = Screen(isatty=False)
    with line(screen) as shown:
        for prompts in range(1, 13):
            clock.now += 10
            shown(Done(prompts, 240, 10 * prompts, 2400))
    assert "\r" not in screen.text
    assert [text for text in screen.text.splitlines() if text] == [
        f"m: {prompts} of 240 prompts, 1 sentences/s, {2400 - 10 * prompts} s left"
        for prompts in (3, 6, 9, 12)
    ]


def test_workers_and_quiet_runs_show_nothing(clock: SimpleNamespace) -> None:
    """A worker of pytest-xdist has no terminal; -q asks for silence."""
    quiet = Screen(isatty=True)
    quiet.verbosity = -1
    for screen in (None, quiet):
        shown = line(screen)
        clock.now += 60
        shown(Done(1, 240, 10, 2400))
    assert quiet.text == ""
