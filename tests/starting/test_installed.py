"""What a workflow installs: the exleak that wrote it."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from exleak.starting import installed
from exleak.starting.files import WORKFLOW, plan

COMMIT = {"vcs_info": {"vcs": "git", "commit_id": "abc123"}}


class Installed:
    """A distribution with this record of where it came from."""

    def __init__(self, record: str | None) -> None:
        self._record = record

    def read_text(self, name: str) -> str | None:
        """The record; no other file is known."""
        assert name == "direct_url.json"
        return self._record


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, ("exleak", True)),
        (
            json.dumps({"url": "https://git.example/us/exleak.git", **COMMIT}),
            ("exleak @ git+https://git.example/us/exleak.git@abc123", True),
        ),
        (
            json.dumps({"url": "https://files.example/exleak-0.1.0.whl", "archive_info": {}}),
            ("exleak @ https://files.example/exleak-0.1.0.whl", True),
        ),
        (json.dumps({"url": "file:///home/me/exleak", "dir_info": {}}), ("exleak", False)),
        (json.dumps({"url": "file:///home/me/exleak", **COMMIT}), ("exleak", False)),
        (json.dumps({"vcs_info": {}}), ("exleak", False)),
        (json.dumps({"url": "https://git.example/exleak", "vcs_info": "git"}), ("exleak", False)),
        ("[]", ("exleak", False)),
        ("{", ("exleak", False)),
    ],
)
def test_the_origin_is_read(
    record: str | None, expected: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the record of pip; damaged ones tell nothing."""
    monkeypatch.setattr(installed, "distribution", lambda name: Installed(record))
    assert installed.requirement() == expected


def test_a_clone_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no record."""

    def none(name: str) -> Installed:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "distribution", none)
    assert installed.requirement() == ("exleak", False)


@pytest.mark.parametrize(
    ("url", "is_noted"), [("https://a.example/e.whl", False), ("file:///e", True)]
)
def test_the_workflow_has_it(
    url: str, is_noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no other machine finds it, the reader is told."""
    record = json.dumps({"url": url})
    monkeypatch.setattr(installed, "distribution", lambda name: Installed(record))
    *_, file = plan(tmp_path, (), cuda=False)
    assert file.path == WORKFLOW
    wanted = "exleak" if is_noted else f"exleak @ {url}"
    assert file.text is not None
    assert f"      - run: pip install '{wanted}'\n" in file.text
    assert ("address" in file.note) is is_noted
