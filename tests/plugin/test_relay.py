"""The progress of xdist's workers on the controller's terminal."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leakage_fixtures.relay import Relay, writer
from tests.plugin.conftest import Run


class Terminal:
    """A terminal reporter that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def ensure_newline(self) -> None:
        """Dots may stand before."""
        self.lines.append("")

    def write_line(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)


def config(terminal: Terminal | None = None, **workerinput: str) -> Any:
    """The config of a controller or, with an input, of a worker."""
    plugins = SimpleNamespace(get_plugin={"terminalreporter": terminal}.get)
    found = SimpleNamespace(pluginmanager=plugins)
    if workerinput:
        found.workerinput = workerinput
    return found


def test_lines_of_workers_are_shown_once_and_whole() -> None:
    """With the worker's name; blank ones are left out, and the rest of a line comes later."""
    terminal = Terminal()
    relay = Relay(config(terminal))
    nodes = [SimpleNamespace(workerinput={"workerid": name}) for name in ("gw1", "gw0")]
    for node in nodes:
        relay.pytest_configure_node(node)
    one, two = (writer(config(**node.workerinput)) for node in nodes)
    assert one is not None
    assert two is not None
    one("m on hexl: half, 5 µs left\n\nno memory\nm on")
    two("k: half\n")
    relay.show()
    assert terminal.lines == ["", "[gw0] k: half", "", "[gw1] m on hexl: half, 5 µs left",
                              "", "[gw1] no memory"]  # fmt: skip
    one(" hexl: all\n")
    finish = relay.pytest_sessionfinish()
    next(finish)
    assert terminal.lines[6:] == ["", "[gw1] m on hexl: all"]
    one("lost, but no error\n")
    assert relay.folder is not None
    assert not Path(relay.folder.name).exists()
    assert not relay.thread.is_alive()


def test_a_worker_without_the_folder_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on another machine, or its controller shows nothing; nor does a single process."""
    (tmp_path / "-").mkdir()
    monkeypatch.chdir(tmp_path)
    elsewhere = str(tmp_path / "gone")
    assert writer(config()) is None
    assert writer(config(workerid="gw0")) is None
    assert writer(config(workerid="gw0", leakage_progress=elsewhere)) is None


@pytest.mark.parametrize("quiet", [False, True])
def test_a_session_shows_how_far_its_workers_are(
    quiet: bool, measure: Run, llama: Path, pytester: pytest.Pytester
) -> None:
    """Lines of both workers, among the dots; none with -q."""
    (pytester.path / "b").symlink_to(llama)
    pytester.makeconftest(
        """
        import exleak.progress_line

        def pytest_configure(config):
            if hasattr(config, "workerinput"):  # this process has other tests to run
                exleak.progress_line._LOG_SECONDS = 0.0
        """
    )
    options = ("--leakage-max-rate=1", "--leakage-store=.exleak", "-n2", *["-q"] * quiet)
    models = (f"--leakage-model={path}" for path in (llama, pytester.path / "b"))
    result = measure(*models, *options)
    result.assert_outcomes(passed=4)
    lines = [line for line in result.outlines if re.match(r"\[gw[01]\] .* on hexl: ", line)]
    assert any("generating" in line for line in lines) != quiet
    assert {line[:5] for line in lines} == (set() if quiet else {"[gw0]", "[gw1]"})
