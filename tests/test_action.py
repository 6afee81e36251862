"""``action.yml``: its steps, run here as GitHub runs them, and what is documented of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exleak.reports import write_report
from tests.helpers.actions import ROOT, Job, action
from tests.helpers.github import PULL, REPOSITORY, TOKEN, FakeGitHub
from tests.helpers.measurements import measurement

ENTRIES = """[models.tiny]
path = "reference-leaky"
device = "cpu"
"""
SHORT = "--leakage-limit=3 --leakage-generations=2 -p no:cacheprovider"


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    """A GitHub."""
    with FakeGitHub() as found:
        yield found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A training repository with one model."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_leakage.py").write_text(
        "from leakage_fixtures.suite import TestLeakage\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "leakage.toml").write_text(ENTRIES)
    return tmp_path


def job(repository: Path, fake: FakeGitHub, arguments: str, **given: str) -> Job:
    """A job for the pull request, with Python and exleak installed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Job(
        repository,
        github={
            "token": TOKEN,
            "event.pull_request.number": str(PULL),
            "event.pull_request.head.sha": "0123abc",
        },
        environment={
            "PATH": path,
            "GITHUB_API_URL": fake.url,
            "GITHUB_REPOSITORY": REPOSITORY,
        },
        given={"install": "false", "python-version": "", "arguments": arguments, **given},
    )


def test_two_runs_make_one_comment(repository: Path, fake: FakeGitHub) -> None:
    """The first fails and creates it; the second passes and updates it."""
    first = job(repository, fake, f"{SHORT} --leakage-significance 'require'")
    assert not first.run()
    (comment,) = fake.comments
    before = comment["body"]
    assert "### Expression leakage: 1 fail" in before
    assert "`0123abc`" in before
    annotation = (
        "::error file=leakage.toml,line=1,title=Expression leakage%3A tiny on hexl%3A fail::"
    )
    assert annotation in first.log
    assert first.log.index(annotation) > max(
        m.end() for m in re.finditer("\n::[0-9a-f]{32}::", first.log)
    )
    outputs = first.action_outputs()
    assert (outputs["outcome"], outputs["status"]) == ("fail", "1")
    assert json.loads(outputs["failed"]) == ["tiny"]
    assert outputs["worst-model"] == "tiny"
    assert 0 <= float(outputs["worst-rate"]) <= 1
    assert json.loads(Path(outputs["report"]).read_text())["measurements"][0]["model"] == "tiny"

    second = job(repository, fake, f"{SHORT} --leakage-max-rate=1")
    assert second.run()
    (comment,) = fake.comments
    assert "### Expression leakage: 1 pass" in comment["body"]
    assert "::error" not in second.log
    assert second.action_outputs()["outcome"] == "pass"
    assert json.loads(second.action_outputs()["failed"]) == []
    assert TOKEN not in first.log + second.log
    (kept,) = [step for step in second.used if "upload-artifact" in step["uses"]]
    assert {file.name for file in Path(kept["with"]["path"]).iterdir()} == {
        "leakage.json", "leakage.md", "leakage.html", "leakage.xml",
    }  # fmt: skip


def test_a_run_that_ends_before_measuring_leaves_no_old_result(
    repository: Path, fake: FakeGitHub
) -> None:
    """Not in the folder of reports, and not in the comment."""
    (repository / "leakage-report").mkdir()
    for name in ("leakage.json", "leakage.xml"):
        (repository / "leakage-report" / name).write_text("of an earlier run")
    found = job(repository, fake, "--leakage-max-rate=low")
    assert not found.run()
    assert found.action_outputs() | {"headline": ""} == {
        "outcome": "not measured", "headline": "", "failed": "[]", "worst-rate": "",
        "worst-model": "", "report": "", "status": "4",
    }  # fmt: skip
    assert list((repository / "leakage-report").iterdir()) == []
    assert "not measured" in fake.comments[0]["body"]
    assert "its log says why" in fake.comments[0]["body"]


def test_what_a_test_prints_is_no_command(repository: Path, fake: FakeGitHub) -> None:
    """The runner takes none until pytest has ended; it resumes with a word that nobody knows."""
    (repository / "tests" / "test_own.py").write_text(
        "def test_own(): print('\\n::error::forged\\n::set-output name=outcome::pass')"
    )
    found = job(repository, fake, "-s", tests="tests/test_own.py", comment="false")
    assert found.run()
    (token,) = re.findall(r"^::stop-commands::([0-9a-f]{32})$", found.log, flags=re.M)
    inside = found.log.partition(f"::stop-commands::{token}\n")[2].partition(f"\n::{token}::\n")[0]
    assert "::error::forged" in inside
    assert found.log.count("::error") == 1
    assert fake.requests == []


def test_a_comment_that_cannot_be_written_changes_no_result(
    repository: Path, fake: FakeGitHub
) -> None:
    """As in a pull request from a fork: a warning, and the log says what to do."""
    (repository / "tests" / "test_own.py").write_text("def test_own(): pass")
    fake.faults = {"POST": [(403, {"message": "Resource not accessible by integration"}, {})]}
    found = job(repository, fake, "", tests="tests/test_own.py")
    assert found.run()
    assert "pull-requests: write" in found.log
    assert "::warning title=Expression leakage::The comment was not written" in found.log
    assert TOKEN not in found.log


def test_without_a_pull_request_nothing_is_commented(repository: Path, fake: FakeGitHub) -> None:
    """On a push, say."""
    (repository / "tests" / "test_own.py").write_text("def test_own(): pass")
    found = job(repository, fake, "", tests="tests/test_own.py", artifact="")
    found.github = {"token": TOKEN}
    assert found.run()
    assert fake.requests == []
    assert found.used == []
    assert "::warning" not in found.log


def test_arguments_are_split_but_never_expanded(repository: Path, fake: FakeGitHub) -> None:
    """Quotes group; what a shell would run is text."""
    (repository / "tests" / "test_own.py").write_text(
        "import sys\ndef test_own(): print(sys.argv[-3:])"
    )
    given = "-s '-k test_own' --tb=\"$(touch evil)\""
    found = job(repository, fake, given, tests="tests/test_own.py", comment="false")
    assert not found.run()
    assert not (repository / "evil").exists()
    assert "$(touch evil)" in found.log
    found = job(repository, fake, "'open", comment="false")
    assert not found.run()
    assert "::error title=Expression leakage::The input arguments cannot be split" in found.log


def test_exleak_is_installed_in_the_version_of_the_action(
    repository: Path, fake: FakeGitHub
) -> None:
    """With the extras that are asked for; the Python is set up before."""
    (repository / "bin").mkdir()
    python = repository / "bin" / "python"
    python.write_text('#!/bin/sh\necho "python: $*"\n')
    python.chmod(0o755)
    found = job(repository, fake, "", install="true", extras="adapters,gguf", comment="false")
    found.given = {**found.given, "python-version": "3.13"}
    found.environment = {"PATH": f"{repository / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    assert found.run()
    assert f"python: -m pip install {ROOT}[adapters,gguf]\n" in found.log
    assert found.used[0]["with"] == {"python-version": "3.13"}
    found = job(repository, fake, "", install="true", comment="false")
    found.environment = {"PATH": f"{repository / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    assert found.run()
    assert f"python: -m pip install {ROOT}\n" in found.log


def test_no_input_becomes_part_of_a_script() -> None:
    """An expression in a script is pasted into it before a shell reads it."""
    steps = action()["runs"]["steps"]
    assert all("${{" not in step.get("run", "") for step in steps)
    assert all(step["shell"] == "bash" for step in steps if "run" in step)


@pytest.mark.parametrize(
    "name", ["action.yml", "docs/github-workflow.yml", "docs/github-fork-comment.yml"]
)
def test_other_actions_have_a_major_version(name: str) -> None:
    """Not a branch, which changes."""
    uses = re.findall(r"uses: (\S+)", (ROOT / name).read_text())
    assert uses
    assert all(re.fullmatch(r"[\w./-]+@v\d+|OWNER/exleak@COMMIT", used) for used in uses)


@pytest.mark.parametrize("kind", ["input", "output"])
def test_inputs_and_outputs_are_documented(kind: str) -> None:
    """All of them in the table, and no others; inputs with their defaults."""
    text = (ROOT / "docs" / "pull-requests.md").read_text(encoding="utf-8")
    (table,) = re.findall(rf"^\| {kind} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, flags=re.M)
    rows = [[cell.strip() for cell in row.split("|")[1:]] for row in table.splitlines()]
    known = action()[f"{kind}s"]
    assert [row[0].strip("`") for row in rows] == [*known]
    for row, about in zip(rows, known.values(), strict=True):
        assert about["description"]
        if kind == "input" and "github.token" not in about["default"]:
            assert row[1].strip("`") == about["default"]


def test_the_workflow_uses_what_the_action_has() -> None:
    """Inputs and outputs by their names."""
    workflow: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "github-workflow.yml").read_text())
    (steps,) = [found["steps"] for found in workflow["jobs"].values()]
    (ours,) = [step for step in steps if "exleak@" in step.get("uses", "")]
    assert set(ours["with"]) <= set(action()["inputs"])
    used = re.findall(r"steps\.leakage\.outputs\.([\w-]+)", str(steps))
    assert used
    assert set(used) <= set(action()["outputs"])
    assert workflow["permissions"]["pull-requests"] == "write"


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, which runners of GitHub have")
@pytest.mark.parametrize(
    ("is_measured", "sha", "said"),
    [
        (True, "b" * 40, "its own code wrote these numbers"),
        (False, "b" * 40, "ended without a measurement"),
        (True, "c" * 40, None),
    ],
    ids=["measured", "not measured", "not the head any more"],
)
def test_the_recipe_for_forks_comments_by_the_commit(
    is_measured: bool, sha: str, said: str | None, tmp_path: Path, fake: FakeGitHub
) -> None:
    """In the open pull request with that head, of several; in none if there is a newer commit."""
    recipe = yaml.safe_load((ROOT / "docs" / "github-fork-comment.yml").read_text())
    (script,) = [step["run"] for step in recipe["jobs"]["comment"]["steps"]
                 if "exleak comment" in step.get("run", "")]  # fmt: skip
    pages = [
        [{"number": 3, "head": {"sha": "a" * 40}}],
        [{"number": PULL, "head": {"sha": "b" * 40}}],
    ]
    gh, python = tmp_path / "gh", str(Path(sys.executable).parent)
    gh.write_text(f"#!/bin/sh\ncat <<'END'\n{''.join(map(json.dumps, pages))}\nEND\n")
    gh.chmod(0o755)
    if is_measured:
        (tmp_path / "report").mkdir()
        write_report(tmp_path / "report" / "leakage.json", [measurement(hostile=True)])
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path, check=False, capture_output=True, text=True,
        env={
            "PATH": os.pathsep.join([str(tmp_path), python, os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT), "GITHUB_API_URL": fake.url, "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN, "SHA": sha, "RUN": "https://github.example/runs/1",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bodies = [comment["body"] for comment in fake.comments]
    assert len(bodies) == (said is not None)
    assert said is None or (said in bodies[0] and sha in bodies[0])


def test_the_gitlab_recipe_keeps_what_it_writes() -> None:
    """Each report of GitLab is one that the script makes."""
    (found,) = yaml.safe_load((ROOT / "docs" / "gitlab-ci.yml").read_text()).values()
    script = " ".join(found["script"])
    reports = found["artifacts"]["reports"]
    assert f"--junitxml {reports['junit']}" in script
    assert f"--leakage-report {reports['codequality']}" in script
    assert found["artifacts"]["when"] == "always"
