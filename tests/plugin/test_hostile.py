"""Hostile model output through a whole session: terminal, JUnit, every report, and workers."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exleak import read_generations, write_generations
from exleak.cli import main
from exleak.reports import read_report
from exleak.store import Store
from tests.helpers.measurements import HOSTILE, hostile_rows
from tests.plugin.conftest import Run

#: What a terminal or a reader would obey; a report may hold no such thing.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture
def hostile(toy: pytest.Pytester) -> pytest.Pytester:
    """A repository whose model continues every prompt with hostile texts."""
    write_generations(toy.path / "run.jsonl", hostile_rows())
    toy.makeconftest(
        """
        import pytest
        from exleak import read_generations
        from exleak.generation.dataset import Generated

        @pytest.fixture(scope="session")
        def leakage_generated():
            return Generated(read_generations("run.jsonl"), {"model": "\\ud800"}, {})
        """
    )
    return toy


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=("one process", "a worker"))
def test_hostile_output_is_shown_harmlessly(
    workers: tuple[str, ...], hostile: pytest.Pytester, measure: Run, llama: Path
) -> None:
    """A failing test: nothing crashes, every file is written, no text is obeyed."""
    result = measure(
        *workers,
        f"--leakage-model={llama}",
        "--leakage-max-rate=0.01",
        "--leakage-report=out.json",
        "--leakage-report=out.md",
        "--leakage-report=out.html",
        "--junitxml=out.xml",
        "--color=no",
    )
    assert result.parseoutcomes()["failed"] == 2
    result.stdout.fnmatch_lines(["*leak*", "report: out.html"])
    assert not OBEYED.search(result.stdout.str())
    assert "x" * 200 not in result.stdout.str()
    (found,) = read_report(hostile.path / "out.json")["measurements"]
    assert found["worst"]
    for name in ("out.md", "out.html"):
        assert not OBEYED.search((hostile.path / name).read_text(encoding="utf-8"))
    suite = ElementTree.parse(hostile.path / "out.xml")
    failures = [case.get("message", "") for case in suite.iter("failure")]
    assert failures
    assert not any(map(OBEYED.search, failures))


def test_hostile_output_is_scored_from_a_file(
    hostile: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """``exleak score`` and ``exleak report`` print it harmlessly, cleaned or raw."""
    for raw in ((), ("--raw",)):
        assert main(["score", "run.jsonl", *raw, "--json", "out.json"]) != 2
        for kind in ("md", "html", "latex", "csv"):
            assert main(["report", "out.json", "--to", kind]) == 0
    printed = capsys.readouterr().out.replace("\r\n", "\n")
    assert not OBEYED.search(printed)


def test_hostile_output_is_stored_as_it_is(tmp_path: Path) -> None:
    """A generations file and the store give back every character."""
    write_generations(tmp_path / "run.jsonl", hostile_rows())
    assert read_generations(tmp_path / "run.jsonl") == hostile_rows()
    segments = Store(tmp_path / "store").generations({"model": "m"})
    segments.append({"key": list(HOSTILE)})
    assert segments.read() == {"key": list(HOSTILE)}
