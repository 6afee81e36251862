"""What models are called: the same on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from exleak.model_names import Spelling, short_names, spelled


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four folders, two and two of one name."""
    for name in ("a/x/step-1", "b/x/step-1", "b/y/step-1", "a/x/step-2"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def test_a_folder_is_called_by_its_last_part(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is spelled."""
    monkeypatch.chdir(runs / "a" / "x" / "step-1")
    monkeypatch.setenv("HOME", str(runs))
    spellings = [str(runs / "a/x/step-1"), f"{runs}/a/x/step-1/", f"{runs}/a/./x/../x/step-1",
                 ".", "../step-1", "~/a/x/step-1"]  # fmt: skip
    assert short_names(spellings) == ["step-1"] * len(spellings)
    for path in spellings:
        assert short_names([path]) == ["step-1"]


def test_equal_names_get_as_much_more_as_tells_them_apart(runs: Path) -> None:
    """And the others no more than they need."""
    paths = [str(runs / name) for name in ("a/x/step-1", "b/x/step-1", "b/y/step-1", "a/x/step-2")]
    assert short_names(paths) == ["a/x/step-1", "b/x/step-1", "y/step-1", "step-2"]


def test_a_link_keeps_its_name(runs: Path) -> None:
    """It is what the user chose to call it; what it leads to is told by its content."""
    (runs / "latest").symlink_to(runs / "a/x/step-1")
    assert short_names([str(runs / "latest")]) == ["latest"]


def test_what_is_no_folder_keeps_its_name(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hub names and reference models, also where a folder of that name is another model."""
    monkeypatch.chdir(runs)
    (runs / "reference-leaky").mkdir()
    names = ["reference-leaky", "org/step-1", str(runs / "gone" / "model"), ""]
    assert short_names(names) == names
    both = short_names(["reference-leaky", str(runs / "reference-leaky")])
    assert both == ["reference-leaky", f"{runs.name}/reference-leaky"]


def test_an_adapter_and_its_base_are_both_shortened(runs: Path) -> None:
    """The name is the same on every machine."""
    assert short_names([f"{runs}/a/x/step-1:{runs}/a/x/step-2"]) == ["step-1:step-2"]
    assert short_names([f"org/base@v1:{runs}/a/x/step-2"]) == ["org/base@v1:step-2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/name", (Spelling("org/name"), None)),
        ("org/name@v1", (Spelling("org/name", "v1"), None)),
        ("a:b", (Spelling("a:b"), None)),
        ("org/a@x:lora@y", (Spelling("org/a", "x"), Spelling("lora", "y"))),
        ("C:/models/a", (Spelling("C:/models/a"), None)),
        ("@v1", (Spelling("@v1"), None)),
        ("org/name:", (Spelling("org/name:"), None)),
    ],
)
def test_the_parts_of_a_name(name: str, expected: object) -> None:
    """Base, adapter and revisions; a drive's letter is no base."""
    assert spelled(name) == expected


def test_what_exists_is_meant(tmp_path: Path) -> None:
    """Whatever signs its name has."""
    odd = tmp_path / "a:b@c"
    odd.mkdir()
    assert spelled(str(odd)) == (Spelling(str(odd)), None)
