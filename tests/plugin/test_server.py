"""Servers that the session starts: one for each model, and none afterwards, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.served import COMMAND, are_gone, given, starts
from tests.plugin.conftest import Run

REQUESTS = 3 * 4


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Where the fake server leaves its process ids."""
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store for each test: a server is started only if something is missing."""
    return tmp_path / "store"


def options(model: Path, traces: Path, *arguments: str) -> list[str]:
    """Serve a checkpoint with the fake server."""
    return [
        f"--leakage-model={model}",
        "--leakage-report-only",
        "--leakage-server=vllm",
        f"--leakage-server-command={COMMAND}",
        f"--leakage-server-args=--traces {traces} {' '.join(arguments)}",
    ]


def test_a_server_is_started_and_ended(measure: Run, llama: Path, traces: Path) -> None:
    """With all its processes; what is awaited is said, and the report names the server."""
    result = measure(*options(llama, traces), "--leakage-report=out.json")
    assert result.parseoutcomes()["passed"] == 1
    assert starts(traces) == 1
    assert are_gone(traces, 0)
    result.stdout.fnmatch_lines(
        ["*starting vllm on llama; its log is *", "vllm on llama is ready*"]
    )
    found = json.loads(Path("out.json").read_text())["measurements"][0]
    assert found["identity"]["server"] == "vllm"
    assert found["environment"]["server"].startswith("vllm --traces")


def test_with_everything_stored_no_server_is_started(
    measure: Run, llama: Path, traces: Path
) -> None:
    """Not even its command has to be there; what the server ignored is still said."""
    arguments = options(llama, traces, "--ignores top_k")
    first = measure(*arguments)
    arguments[3] = "--leakage-server-command=/not/here"
    second = measure(*arguments)
    assert second.parseoutcomes()["passed"] == 1
    assert starts(traces) == 1
    second.stdout.fnmatch_lines(["llama on hexl: the server ignores top_k 50*"])
    rows = [
        [line.split() for line in result.outlines if line.startswith("llama")]
        for result in (first, second)
    ]
    # The second has a column more: the difference to the first.
    assert rows[1][0].pop(-3) == "same"
    assert rows[0] == rows[1]


def test_a_server_that_cannot_start_shows_its_log(measure: Run, llama: Path, traces: Path) -> None:
    """One error, with the exit status and the log's path."""
    result = measure(*options(llama, traces, "--fails"))
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(
        [
            "*could not be started*ended with status 3; the whole log is *.log*",
            "*no memory is left*",
        ]
    )
    assert (starts(traces), are_gone(traces, 0)) == (1, True)


def test_a_server_that_takes_too_long_is_ended(measure: Run, llama: Path, traces: Path) -> None:
    """After --leakage-server-timeout."""
    result = measure(*options(llama, traces, "--hangs"), "--leakage-server-timeout=1.5")
    result.stdout.fnmatch_lines(["*was not ready after 2 s (--leakage-server-timeout)*"])
    assert are_gone(traces, 0)


def test_a_server_that_dies_shows_its_log(
    measure: Run, llama: Path, traces: Path, tmp_path: Path
) -> None:
    """Soon, and the next run asks for the rest only."""
    fatal = tmp_path / "fatal"
    fatal.touch()
    arguments = options(llama, traces, f"--dies {fatal}")
    began = time.monotonic()
    result = measure(*arguments, "--leakage-batch-size=2")
    assert time.monotonic() - began < 30
    result.stdout.fnmatch_lines(["*cannot be talked to*", "*ended with status 9*",
                                 "*a kernel was lost*"])  # fmt: skip
    assert are_gone(traces, 0)
    assert measure(*arguments).parseoutcomes()["passed"] == 1
    assert given(traces) == [5, REQUESTS - 5]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(("workers", "delay"), [(0, 0.4), (2, 2)])
def test_a_session_that_is_ended_ends_its_server(
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    traces: Path,
    store: Path,
    number: signal.Signals,
    workers: int,
    delay: float,
) -> None:
    """By Ctrl-C, or at once; the next session asks for the rest only.

    Workers go on for five seconds without their controller, then execnet ends them.
    """
    arguments = options(llama, traces, f"--delay={delay}")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"-n{workers}"]
    settings = ["--leakage-limit=3", "--leakage-generations=2", f"--leakage-store={store}"]
    with subprocess.Popen(
        [*command, *settings, *arguments, "--leakage-batch-size=2"],
        cwd=toy.path,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            _wait_for(lambda: sum(given(traces)) > 1)
            if number == signal.SIGINT:  # a terminal sends Ctrl-C to the workers, too
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
            process.wait(30)
        finally:
            process.kill()
    assert are_gone(traces)
    assert measure(*arguments).parseoutcomes()["passed"] == 1
    assert starts(traces) == 2
    assert given(traces)[0] < REQUESTS


def _wait_for(is_so: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_share_a_server(measure: Run, llama: Path, traces: Path) -> None:
    """Two datasets of one model, at the same time on two workers."""
    result = measure(
        *options(llama, traces, "--delay=0.2"),
        *("-n2", "--leakage-dataset=hexl", "--leakage-dataset=aexl"),
    )
    assert result.parseoutcomes()["passed"] == 2
    assert (starts(traces), are_gone(traces, 3)) == (1, True)


def test_models_are_served_one_after_the_other(
    measure: Run, llama: Path, traces: Path, toy: pytest.Pytester
) -> None:
    """Two models may not fit into the memory of one GPU."""
    (toy.path / "other.gguf").write_text("weights")
    (toy.path / "leakage.toml").write_text(
        f'[models.first]\npath = "{llama}"\nserver = "vllm"\ndevice = "cpu"\n'
        'server_command = "COMMAND"\nserver_args = "--traces TRACES --stubborn"\n'
        '[models.second]\npath = "other.gguf"\nserver = "llama.cpp"\ndevice = "cpu"\n'
        'server_command = "COMMAND"\nserver_args = "--traces TRACES"\n'
        .replace("COMMAND", COMMAND).replace("TRACES", str(traces))
    )  # fmt: skip
    toy.makeconftest(
        "import pytest\n"
        "from exleak.generation.endpoint import launch, running\n"
        "from tests.helpers.served import are_gone\n"
        "from pathlib import Path\n"
        "running.GRACE = 0.5\n"
        "start = launch._started\n"
        f"traces = Path({str(traces)!r})\n"
        "def started(*arguments):\n"
        "    assert not [*traces.iterdir()] or are_gone(traces, 0)\n"
        "    return start(*arguments)\n"
        "launch._started = started\n"
    )
    result = measure("--leakage-report-only")
    assert result.parseoutcomes()["passed"] == 2
    assert (starts(traces), are_gone(traces, 0)) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--leakage-server=vllm", "--leakage-endpoint=http://h"], "*not both"),
        (
            ["--leakage-server=vllm", "--leakage-server-args=--x '"],
            "*--leakage-server-args*closing*",
        ),
        (["--leakage-server-args=--x"], "*--leakage-server-args needs --leakage-server"),
        (
            ["--leakage-server=vllm", "--leakage-server-timeout=0"],
            "*--leakage-server-timeout must*",
        ),
        (["--leakage-server=vllm", "--leakage-dtype=float16"], "*dtype 'float16'*server-args*"),
        (["--leakage-server=llama.cpp"], "*llama.cpp serves a .gguf file*holds none*"),
    ],
)
def test_bad_settings_are_usage_errors(
    arguments: list[str], said: str, measure: Run, llama: Path
) -> None:
    """Before anything is collected."""
    result = measure(f"--leakage-model={llama}", "--leakage-report-only", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_a_missing_server_is_one_error(
    measure: Run, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what to install, and the option for another environment."""
    monkeypatch.setenv("PATH", "/nowhere")
    result = measure(f"--leakage-model={llama}", "--leakage-report-only", "--leakage-server=vllm")
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["*vllm is not installed*--leakage-server-command /path/to/vllm*"])


def test_a_served_checkpoint_is_not_loaded(
    toy: pytest.Pytester, measure: Run, llama: Path, traces: Path
) -> None:
    """The fixture says what to use instead."""
    toy.makepyfile(test_leakage="def test_it(leakage_model): pass")
    result = measure(*options(llama, traces))
    result.stdout.fnmatch_lines(["*llama is on a server and cannot be loaded*"])
