"""Models on a server, measured by the suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.server import Fake, Handler
from tests.plugin.conftest import Run


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server that ignores top-k."""
    with Fake(ignores=frozenset({"top_k"})) as server:
        yield server


def test_a_served_model_is_measured(measure: Run, fake: Fake) -> None:
    """By the name that the server knows; what it ignores is said at the end."""
    result = measure(f"--leakage-endpoint={fake.url}", "--leakage-model=m", "--leakage-report-only")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["m *hexl *", "m on hexl: the server ignores top_k 50*"])


def test_a_clear_case_on_a_server_ends_early(
    measure: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no look needs is not asked for."""
    arguments = (f"--leakage-endpoint={fake.url}", "--leakage-model=m", "--leakage-max-rate=1",
                 "--leakage-limit=8", "--leakage-adaptive")  # fmt: skip
    # Of the fake server's texts some have no English word.
    monkeypatch.setattr("exleak.gate.rules.unusable_because", lambda *given: None)
    measure(*arguments).stdout.fnmatch_lines(["m *hexl *pass, 2 of 8 samples"])


def test_unusable_continuations_end_no_look(
    measure: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole run is unusable then, as without looks."""
    monkeypatch.setattr("exleak.gate.rules.unusable_because", lambda *given: "nonsense")
    result = measure(f"--leakage-endpoint={fake.url}", "--leakage-model=m", "--leakage-max-rate=1",
                     "--leakage-limit=8", "--leakage-adaptive")  # fmt: skip
    result.stdout.fnmatch_lines(["m *hexl *unusable, 8 of 8 samples"])


def test_waiting_for_a_server_is_said(measure: Run, fake: Fake) -> None:
    """On the terminal while it lasts, although pytest captures logs."""
    busy = [True]

    def fault(handler: Handler, body: dict[str, Any]) -> None:
        if busy.pop() if busy else False:
            handler.send({"error": "loading"}, 503, Retry_After="3")
        else:
            status, answer = fake.answer(handler.path, body)
            handler.send(answer, status)

    fake.fault = fault
    result = measure(f"--leakage-endpoint={fake.url}", "--leakage-model=m", "--leakage-report-only")
    result.stdout.fnmatch_lines(["*model m: HTTP 503: loading; trying again for up to*"])


def test_an_entry_names_its_server(measure: Run, toy: pytest.Pytester, fake: Fake) -> None:
    """Leakage.toml: the path is the server's name of the model; no GPU is needed here."""
    entry = f'[models.mine]\npath = "m"\nendpoint = "{fake.url}"\nmax_rate = 1.0'
    (toy.path / "leakage.toml").write_text(entry)
    (toy.path / "m").mkdir()
    measure().stdout.fnmatch_lines(["mine *hexl *1 *pass"])
    assert fake.asked[0]["model"] == "m"


def test_the_ini_twin_is_read(measure: Run, toy: pytest.Pytester, fake: Fake) -> None:
    """Endpoint and time-out."""
    toy.makeini(
        f"[pytest]\nleakage_endpoint = {fake.url}\nleakage_endpoint_timeout = 9\n"
        "leakage_model = m\nleakage_max_rate = 1"
    )
    assert measure().parseoutcomes()["passed"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--leakage-endpoint=localhost:1"],
        ["--leakage-endpoint=http://h", "--leakage-endpoint-timeout=0"],
    ],
)
def test_a_bad_address_is_a_usage_error(arguments: list[str], measure: Run) -> None:
    """Before anything is collected."""
    result = measure("--leakage-model=m", "--leakage-max-rate=1", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*leakage settings: endpoint*"])


def test_a_dead_server_is_one_failure(measure: Run) -> None:
    """The other tests of the model are skipped."""
    result = measure("--leakage-endpoint=http://127.0.0.1:9", "--leakage-model=m",
                     "--leakage-max-rate=1")  # fmt: skip
    outcomes = result.parseoutcomes()
    assert (outcomes.get("errors"), outcomes.get("passed")) == (1, None)
    result.stdout.fnmatch_lines(["*endpoint http://127.0.0.1:9/v1, model m: *is the server up?*"])


def test_a_served_model_cannot_be_loaded(toy: pytest.Pytester, measure: Run, fake: Fake) -> None:
    """The fixture says what to use instead."""
    toy.makepyfile(test_leakage="def test_it(leakage_model): pass")
    result = measure(f"--leakage-endpoint={fake.url}", "--leakage-model=m")
    result.stdout.fnmatch_lines(["*m is on a server and cannot be loaded*"])
