"""``exleak view``: what it shows, and that nothing is opened where nothing should be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from exleak.cli import main
from exleak.datasets import load_dataset
from exleak.reports import read_measurements, write_report
from exleak.store import Store, write_generations
from tests.helpers.measurements import measurement, random_rows


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was asked to open."""
    found: list[str] = []

    def opens(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", opens)
    return found


def run(store: Path, name: str, seed: int, age: int = 0) -> Path:
    """A generations file in a store, so many seconds old."""
    path = Store(store).runs / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_generations(path, random_rows(2, seed))
    time = path.stat().st_mtime - age
    os.utime(path, (time, time))
    return path


def test_the_newest_run_is_shown(tmp_path: Path, opened: list[str]) -> None:
    """As one page, which is opened; its texts are those of the run."""
    run(tmp_path, "older-hexl-1", 1, age=60)
    run(tmp_path, "newest-hexl-2", 2)
    run(tmp_path, "oldest-hexl-3", 3, age=120)
    assert main(["view", "--store", str(tmp_path)]) == 0
    page = tmp_path / "view.html"
    assert opened == [page.resolve().as_uri()]
    text = page.read_text(encoding="utf-8")
    assert "newest-hexl-2" in text
    assert "older-hexl-1" not in text
    of_newest, of_older = (
        {word for row in random_rows(2, seed) for one in row.generations for word in one.split()}
        for seed in (2, 1)
    )
    assert any(word in text for word in of_newest - of_older)


def test_reports_and_runs_are_one_page(tmp_path: Path, opened: list[str]) -> None:
    """In the order given; with --no-open nothing is opened."""
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    write_report(report, [measurement("of-a-report")])
    path = run(tmp_path, "of-a-run", 1)
    options = ["--no-open", "-o", str(page), "--store", "none"]
    assert main(["view", str(report), str(path), *options]) == 0
    text = page.read_text(encoding="utf-8")
    assert 0 < text.index("of-a-report") < text.index("of-a-run")
    assert opened == []


def test_a_log_is_opened_once_and_known_by_its_dataset(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each command that reads generations; what it is of is said alike."""
    log = Path(__file__).parents[1] / "logs" / "data" / "samples_plain.jsonl"
    opens, page, report = [], tmp_path / "page.html", tmp_path / "report.json"
    plain = Path.open

    def counting(self: Path, *how: Any, **more: Any) -> Any:
        opens.extend([self] * (self == log))
        return plain(self, *how, **more)

    monkeypatch.setattr(Path, "open", counting)
    assert main(["score", str(log), "--json", str(report)]) == 0
    assert main(["view", str(log), "--no-open", "-o", str(page), "--store", "none"]) == 0
    assert len(opens) == 2
    (measured,) = read_measurements(report)
    assert measured.dataset == "hexl"
    hexl = load_dataset("hexl")
    assert measured.identity["dataset"] == hexl.hash
    assert measured.identity["dataset_version"] == hexl.version
    assert hexl.hash in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("store", "said"), [("none", "without a store there are no runs"), ("empty", "no run in ")]
)
def test_without_a_run_it_says_so(
    store: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    opened: list[str], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """And what to do."""
    monkeypatch.chdir(tmp_path)
    assert main(["view", "--store", store]) == 2
    assert f"{said}" in (text := capsys.readouterr().err)
    assert "measure a model first, or give a report or a file" in text
    assert not list(tmp_path.rglob("*.html"))


def test_without_a_browser_the_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a server."""
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    run(tmp_path, "a-run", 1)
    assert main(["view", "--store", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert f"page: {tmp_path / 'view.html'}" in shown.out
    assert "no browser was found here" in shown.err
