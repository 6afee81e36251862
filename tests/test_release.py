"""What a release says of itself agrees with what it is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

import exleak

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def text(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    """Versions by package in a file of constraints."""
    lines = (line for line in text(name).splitlines() if "==" in line and line[0] != "#")
    return {package.lower(): version for package, _, version in (x.partition("==") for x in lines)}


def test_the_table_of_versions_is_that_of_the_constraints() -> None:
    """And what is allowed is what pyproject.toml allows."""
    allowed = {(r := Requirement(line)).name: str(r.specifier) for line in PROJECT["dependencies"]}
    lowest, newest = pins("constraints-lowest.txt"), pins("constraints.txt")
    table = text("docs/versions.md").partition("## Supported")[2].partition("## ")[0]
    for name in ("torch", "transformers", "pytest"):
        assert f"| {name} | {allowed[name]} | {lowest[name]} | {newest[name]} |" in table
    python = re.search(r"--python-version (\S+)", text("constraints-lowest.txt"))
    assert python
    assert f"| Python | {PROJECT['requires-python']} | {python[1]} |" in table


def test_all_has_every_extra_but_those_of_development() -> None:
    """``pip install 'exleak[all]'`` leaves nothing out that a user may need."""
    extras = PROJECT["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(extras) - {"all", "docs", "test"}


def test_pre_commit_runs_what_ci_runs() -> None:
    """The same commands, on the versions of constraints.txt."""
    (local,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    newest = pins("constraints.txt")
    for hook in local["hooks"]:
        assert re.search(rf"^{hook['entry']}\b", text(".ci/run"), flags=re.M)
        for pin in hook.get("additional_dependencies", ()):
            package, _, version = pin.partition("==")
            assert version == newest[package]
    assert [hook["entry"] for hook in local["hooks"]] == [
        "ruff check", "ruff format --check", "mypy",
    ]  # fmt: skip


def test_the_citation_is_of_this_release() -> None:
    """Its version, licence and authors; and the paper's title as in docs/sources.md."""
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["title"] == PROJECT["name"] == exleak.__name__
    assert citation["authors"] == PROJECT["authors"]
    (paper,) = citation["references"]
    assert f"*{paper['title']}*" in text("docs/sources.md")
    assert text("CHANGELOG.md").count(f"\n## {PROJECT['version']} ") == 1


def test_forms_of_issues_can_be_read() -> None:
    """GitHub ignores those that lack a name, a description or a body, or repeat an id."""
    forms = [*(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    assert len(forms) == 4
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        if form.name == "config.yml":
            continue
        assert content["name"]
        assert content["description"]
        ids = [field["id"] for field in content["body"]]
        assert len(ids) == len(set(ids)) > 0


def test_every_command_is_in_the_readme() -> None:
    """In its table."""
    from exleak.cli import COMMANDS

    table = text("README.md").partition("## Commands")[2].partition("## ")[0]
    for command in COMMANDS:
        assert f"`exleak {command.__name__.rpartition('.')[2]}" in table
