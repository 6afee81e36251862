"""``exleak comment``: one comment in a pull request, found again by its mark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exleak.cli import main
from exleak.errors import PullRequestError, SettingsError
from exleak.pulls.api import GitHub
from exleak.pulls.comment import MOST, body, mark, write
from exleak.reports import write_report
from tests.helpers.github import BOT, PULL, REPOSITORY, TOKEN, Answer, FakeGitHub
from tests.helpers.measurements import measurement, mitigated

SOMEBODY = {"login": "somebody", "type": "User"}
ELSEWHERE = {"login": "another[bot]", "type": "Bot"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A GitHub, with the environment of a job for its pull request."""
    with FakeGitHub() as found:
        for name, value in {
            "GITHUB_API_URL": found.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_REF": f"refs/pull/{PULL}/merge",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_RUN_ID": "99",
        }.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def report(tmp_path: Path) -> str:
    """A report of one model."""
    path = tmp_path / "report.json"
    write_report(path, [measurement()])
    return str(path)


def client(fake: FakeGitHub) -> GitHub:
    """A client that does not wait before it tries again."""
    return GitHub(fake.url, REPOSITORY, TOKEN, waits=(0.0, 0.0))


def test_two_runs_make_one_comment(
    fake: FakeGitHub, report: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first creates it, the second replaces its text; others' comments stay."""
    fake.add("Looks good!", SOMEBODY)
    assert main(["comment", report, "--commit", "a" * 40]) == 0
    first = fake.comments[1]["body"]
    other = tmp_path / "other.json"
    write_report(other, [measurement("runs/step-200", seed=3)])
    assert main(["comment", str(other)]) == 0
    assert [comment["body"] for comment in fake.comments[:1]] == ["Looks good!"]
    (_, ours) = fake.comments
    assert first.startswith(mark("leakage"))
    assert "`runs/step-100`" in first
    assert "a" * 40 in first
    assert "https://github.example/owner/name/actions/runs/99" in first
    assert "`runs/step-200`" in ours["body"]
    assert "step-100" not in ours["body"]
    said = capsys.readouterr().out
    assert f"comment created: {ours['html_url']}\ncomment updated: {ours['html_url']}\n" == said
    assert TOKEN not in said


def test_the_comment_is_found_on_a_later_page(fake: FakeGitHub) -> None:
    """Behind a hundred others, of which some have no text or no author any more."""
    for number in range(120):
        fake.add(None if number % 3 == 0 else f"comment {number}", None)
    fake.add(f"{mark('leakage')}\nold")
    for _ in range(90):
        fake.add("later", SOMEBODY)
    written = write(client(fake), PULL, f"{mark('leakage')}\nnew")
    assert (written.is_new, written.comment.id) == (False, 121)
    assert len(fake.comments) == 211
    assert fake.comments[120]["body"].endswith("new")


@pytest.mark.parametrize(
    ("user", "author", "is_updated"),
    [
        (None, BOT, True),
        (None, SOMEBODY, False),
        (SOMEBODY, SOMEBODY, True),
        (SOMEBODY, BOT, False),
    ],
    ids=["ours", "copied by a user", "of the token's user", "of another user"],
)
def test_only_ones_own_comment_is_updated(
    user: dict[str, str] | None, author: dict[str, str], is_updated: bool, fake: FakeGitHub
) -> None:
    """Anybody may write the mark; their words stay theirs."""
    fake.user = user
    fake.add(f"{mark('leakage')}\nold", author)
    written = write(client(fake), PULL, f"{mark('leakage')}\nnew")
    assert written.is_new != is_updated
    assert fake.comments[0]["body"].endswith("new" if is_updated else "old")


@pytest.mark.parametrize(
    "text", ["see <!-- exleak comment: leakage -->", "<!-- exleak comment: nightly -->\nold"]
)
def test_another_mark_is_another_comment(text: str, fake: FakeGitHub) -> None:
    """Also one that is quoted in a text."""
    fake.add(text)
    assert write(client(fake), PULL, f"{mark('leakage')}\nnew").is_new
    assert fake.comments[0]["body"] == text


def test_copies_are_told(fake: FakeGitHub, report: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs at once may have created one each: the first is updated."""
    for _ in range(2):
        fake.add(f"{mark('leakage')}\nold")
    assert main(["comment", report]) == 0
    assert [c["body"].endswith("old") for c in fake.comments] == [False, True]
    assert "1 more comments have the same mark" in capsys.readouterr().out


def test_a_dry_run_sends_nothing(
    fake: FakeGitHub, report: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the text."""
    assert main(["comment", report, "--dry-run", "--mark", "nightly"]) == 0
    assert capsys.readouterr().out.startswith(f"{mark('nightly')}\n### Expression leakage:")
    assert fake.requests == []


def test_a_run_without_a_measurement_replaces_the_last_result(fake: FakeGitHub) -> None:
    """A comment that stayed would look like the result of this run."""
    fake.add(f"{mark('leakage')}\n### Expression leakage: 1 pass")
    assert main(["comment", "--note", "The log says why."]) == 0
    (comment,) = fake.comments
    assert "not measured" in comment["body"]
    assert "The log says why." in comment["body"]
    assert "1 pass" not in comment["body"]


def _refused(status: int, message: str, **headers: str) -> list[Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [(status, {"message": message}, named)] * 3


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"GET": _refused(401, "Bad credentials")}, "look at GITHUB_TOKEN"),
        ({"POST": _refused(403, "Resource not accessible")}, "pull-requests: write"),
        ({"POST": _refused(403, "Resource not accessible")}, "from a fork"),
        ({"GET": _refused(404, "Not Found")}, "owner/name has no such pull request"),
        ({"GET": _refused(403, "limit", X_RateLimit_Remaining="0", X_RateLimit_Reset="3600")},
         "try again after 01:00 UTC"),
        ({"POST": _refused(403, "secondary limit", Retry_After="60")}, "try again in 60 seconds"),
        ({"GET": _refused(429, "slow")}, "try again later"),
        ({"POST": _refused(422, f"bad {TOKEN}\x1b[31m")}, "HTTP 422, bad … [31m"),
        ({"GET": [(502, b"<html>", {})] * 3}, "HTTP 502, Bad Gateway"),
        ({"GET": [(200, b"<html>", {})] * 3}, "the answer is not JSON"),
        ({"GET": [(200, {}, {})] * 2}, "a list of comments is expected"),
        ({"GET": [(200, [], {}), (200, [{"id": 1}], {})]}, "the answer is no comment"),
        ({"POST": [(200, [], {})]}, "the answer is no comment"),
    ],
)  # fmt: skip
def test_a_refusal_is_one_clear_error(
    faults: dict[str, list[Answer]], said: str, fake: FakeGitHub
) -> None:
    """What was wrong and what to do, without the token."""
    fake.faults = faults
    with pytest.raises(PullRequestError) as error:
        write(client(fake), PULL, mark("leakage"))
    assert said in str(error.value)
    assert TOKEN not in str(error.value)
    assert str(error.value).isprintable()


def test_a_passing_fault_is_tried_again(fake: FakeGitHub) -> None:
    """But nothing that could write a second comment."""
    fake.faults = {"GET": [(503, b"", {}), (200, b"half a li", {})]}
    assert write(client(fake), PULL, f"{mark('leakage')}\nfirst").is_new
    fake.faults = {"POST": [(502, b"", {})], "PATCH": [(502, b"", {})]}
    assert not write(client(fake), PULL, f"{mark('leakage')}\nsecond").is_new
    with pytest.raises(PullRequestError, match="502"):
        client(fake).create(PULL, "third")
    assert len(fake.comments) == 1


def test_no_server_is_one_clear_error() -> None:
    """Not a traceback of urllib."""
    with FakeGitHub() as gone:
        pass
    with pytest.raises(PullRequestError, match="no answer"):
        write(client(gone), PULL, mark("leakage"))


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {"GITHUB_REF": "refs/heads/main"}, "GITHUB_REF is refs/heads/main: give --pull N"),
        ([], {"GITHUB_REF": ""}, "GITHUB_REF is not set: give --pull N"),
        (["--pull", "0"], {}, "--pull 0"),
        (["--repository", "name"], {}, "OWNER/NAME is expected"),
        (["--repository", "../../user"], {}, "OWNER/NAME is expected"),
        (["--mark", "a-->b"], {}, "--mark 'a-->b'"),
        (["--mark", "a b"], {}, "--mark 'a b'"),
        (["--link", "https://h/)[x](y"], {}, "--link"),
        (["--link", "javascript:x"], {}, "--link"),
        ([], {"GITHUB_TOKEN": ""}, "set GITHUB_TOKEN"),
        ([], {"GITHUB_TOKEN": "a\nb"}, "characters that no HTTP header can carry"),
        ([], {"GITHUB_API_URL": "http://api.example"}, "only over https"),
        ([], {"GITHUB_API_URL": "api.example"}, "GITHUB_API_URL"),
    ],
)  # fmt: skip
def test_bad_settings_are_one_usage_error(
    arguments: list[str],
    environment: dict[str, str],
    said: str,
    fake: FakeGitHub,
    report: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Status 2, and nothing is sent."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["comment", report, *arguments]) == 2
    assert said in capsys.readouterr().err
    assert fake.requests == []


def test_a_damaged_report_is_refused(
    fake: FakeGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is sent; so is no report without a reason."""
    path = tmp_path / "report.json"
    path.write_text('{"schema": 1, "measurements": [{}]}')
    assert main(["comment", str(path)]) == 2
    assert str(path) in capsys.readouterr().err
    assert main(["comment"]) == 2
    assert "say why with --note" in capsys.readouterr().err
    assert fake.requests == []


@pytest.mark.parametrize("link", [None, "https://github.example/run"])
def test_a_long_report_is_cut_between_parts(link: str | None) -> None:
    """Whole rows and whole folded parts stay, and the comment says where the rest is."""
    found = [replace(measurement(hostile=True), model=f"model-{n}-😀") for n in range(60)]
    text = body(found, "leakage", link=link, commit="abc")
    assert len(text.encode("utf-16-le")) // 2 <= MOST
    assert len(text) > MOST * 0.8
    assert text.count("<details>") == text.count("</details>") > 2
    assert text.count("| `model-") == len(found)
    assert "Cut here: a comment has 65,536 characters" in text
    assert (f"the artifacts of [the run]({link})" if link else "in the run's report") in text
    assert text.endswith(f"commit `abc`, [run]({link})\n" if link else "commit `abc`\n")


def test_a_table_that_is_too_long_is_cut_between_rows() -> None:
    """A thousand models; no row is halved."""
    found = [replace(measurement(), model=f"model-{n}") for n in range(1000)]
    text = body(found, "leakage")
    assert len(text) <= MOST
    assert "Cut here" in text
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("| ")}) == 1


def test_a_report_that_fits_is_whole() -> None:
    """Nothing is said about cutting."""
    assert "Cut here" not in body([measurement(), mitigated()], "leakage")


def test_hostile_names_notify_nobody() -> None:
    """GitHub looks for mentions in what the entities mean: a zero-width space ends them."""
    sign = mark("leakage")
    evil = f"@team #1 {sign} </details> <b>"
    found = measurement()
    verdict = replace(found.verdict, reasons=(f"worse than {evil}",))
    text = body([replace(found, model=evil, notes=(evil,), verdict=verdict)], "leakage", note=evil)
    assert text.count(sign) == 1 + text.count(f"`{evil}`") + text.count(f"`{evil} on")
    prose = re.sub(r"`[^`]*`|<code>.*?</code>", "", text)
    assert "@" not in prose
    assert prose.count("&#64;&#8203;team") == 3
    assert prose.count("&#35;&#8203;1") == 3
    assert "<b>" not in prose


def test_a_token_is_not_part_of_a_client_as_text(fake: FakeGitHub) -> None:
    """As in a traceback."""
    assert TOKEN not in repr(client(fake))
    with pytest.raises(SettingsError) as error:
        GitHub(fake.url, "name", TOKEN)
    assert TOKEN not in str(error.value)
