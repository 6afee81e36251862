"""Starting a server, sharing it, and its end."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import time
from pathlib import Path

import pytest

import exleak
from exleak import ModelError, Sampling, Template, load_dataset
from exleak.generation.endpoint import kinds, launch, running
from exleak.generation.endpoint.launch import Launch, Order, Servers
from exleak.generation.endpoint.launched import LaunchedSource
from exleak.sources import source_of
from tests.helpers import checkpoints
from tests.helpers.served import COMMAND, are_gone, starts

DATA = load_dataset("hexl", limit=2)
SETTINGS = Sampling(generations=2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stubborn server is killed soon."""
    monkeypatch.setattr(running, "GRACE", 1.0)
    monkeypatch.setattr(running, "_NOTICED", 0.5)


def order(traces: Path, *arguments: str, timeout: float = 20) -> Order:
    """A fake server's."""
    words = [*kinds.words(COMMAND, ""), "--traces", str(traces), *arguments]
    return Order("the fake", lambda port: [*words, f"--port={port}"], "health", timeout)


def test_the_last_user_ends_a_server(tmp_path: Path) -> None:
    """Two processes of a session; here, they are one."""
    one, other = Servers(tmp_path / "s"), Servers(tmp_path / "s")
    first, second = one.get(order(tmp_path)), other.get(order(tmp_path))
    assert (first.url, starts(tmp_path)) == (second.url, 1)
    one.close()
    assert second.is_alive()
    other.close()
    assert not second.is_alive()
    assert are_gone(tmp_path, 0)
    assert one.get(order(tmp_path)).url != first.url
    one.close()
    assert (starts(tmp_path), are_gone(tmp_path, 0)) == (2, True)


def test_a_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Also its child that is in a session of its own."""
    servers = Servers(tmp_path / "s")
    servers.get(order(tmp_path, "--stubborn"))
    began = time.monotonic()
    servers.close()
    assert 1 <= time.monotonic() - began < 5
    assert are_gone(tmp_path, 0)


def test_a_forked_child_does_not_keep_a_server(tmp_path: Path) -> None:
    """Such as a data loader's, which outlives its parent."""
    servers = Servers(tmp_path / "s")
    servers.get(order(tmp_path))
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    try:
        servers.close()
        assert are_gone(tmp_path, 0)
    finally:
        child.kill()


def test_a_failed_start_is_told_to_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The processes of a session do not try one after the other."""
    said = r"(?s)the fake could not be .*status 3.*\nthe fake server starts\nno memory is left$"
    for _ in range(2):
        with pytest.raises(ModelError, match=said):
            Servers(tmp_path / "s").get(order(tmp_path, "--fails"))
    assert (starts(tmp_path), are_gone(tmp_path, 0)) == (1, True)
    assert "starting the fake; its log is" in caplog.text


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    """Is said as well."""
    wrong = Order("it", lambda _: [str(tmp_path)], "health", 20)
    with pytest.raises(ModelError, match=r"(?s)status 127.*cannot be run: .*Permission"):
        Servers(tmp_path / "s").get(wrong)


def test_what_is_awaited_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the last line of the server's log."""
    monkeypatch.setattr(launch, "_SAID_AGAIN", 0.5)
    with pytest.raises(ModelError, match="was not ready after 2 s"):
        Servers(tmp_path / "s").get(order(tmp_path, "--hangs", timeout=2))
    assert "waiting for the fake: 1 of at most 2 s: the fake server starts" in caplog.text
    assert are_gone(tmp_path, 0)


def test_measure_starts_and_ends_a_server(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without pytest; the checkpoint's content is its identity."""
    caplog.set_level(logging.ERROR)
    server = Launch("vllm", COMMAND, f"--traces {tmp_path}")
    found = exleak.measure(
        str(llama), DATA, sampling=SETTINGS, server=server, store=tmp_path / "store"
    )
    assert found.identity["server"] == "vllm"
    assert len(found.identity["checkpoint"]) == 64
    assert (starts(tmp_path), are_gone(tmp_path, 0)) == (1, True)


def test_the_key_in_the_store(llama: Path, tmp_path: Path) -> None:
    """Content, kind, arguments and settings; neither place nor port nor command."""
    store = exleak.store.Store(tmp_path)
    about = LaunchedSource("m", str(llama), Launch("vllm", "x", "--a 'b c'")).about(SETTINGS, store)
    assert set(about) == {"checkpoint", "server", "arguments", "chat", "sampling"}
    assert about["arguments"] == ["--a", "b c"]
    file = tmp_path / "m.gguf"
    hashes = set()
    for content in ("one", "two"):
        file.write_text(content)
        source = LaunchedSource("m", str(file), Launch("llama.cpp"))
        hashes.add(source.about(SETTINGS, store)["checkpoint"])
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [
        ("llama.cpp", "two", "serves a .gguf file, and this folder holds 2 of them"),
        ("llama.cpp", "two/a.txt", "llama.cpp serves a .gguf file"),
        ("transformers", "two/a.txt", "transformers serves a checkpoint's folder"),
        ("vllm", "two", "needs the whole checkpoint on this machine"),
        ("vllm", "one", "no config.json in this folder"),
        ("vllm", "no/such", "there is no such folder"),
        ("vllm", "a/name", "needs the whole checkpoint on this machine"),
    ],
)
def test_what_cannot_be_served(kind: str, path: str, said: str, tmp_path: Path) -> None:
    """One error, before anything is started."""
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    for name in ("a.gguf", "b.gguf", "a.txt"):
        (tmp_path / "two" / name).touch()
    with pytest.raises(ModelError, match=said):
        source_of(path if path == "a/name" else str(tmp_path / path), server=kind).check()


def test_an_adapter_is_not_served(llama: Path, tmp_path: Path) -> None:
    """Without its base model; the way out is told."""
    (tmp_path / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{llama}"}}')
    (tmp_path / "adapter_model.safetensors").touch()
    with pytest.raises(ModelError, match="this is an adapter; merge it"):
        source_of(tmp_path, server="vllm")


def test_a_revision_is_served(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder that it has in the hub's cache."""
    checkpoints.use_cache(tmp_path, monkeypatch)
    folder = checkpoints.snapshot(tmp_path, "org/name", "v2")
    shutil.copytree(llama, folder, dirs_exist_ok=True)
    source = source_of("org/name@v2", server="vllm")
    assert isinstance(source, LaunchedSource)
    assert source.checkpoint == folder


def test_a_system_prompt_reaches_a_started_server(llama: Path, tmp_path: Path) -> None:
    """And its key."""
    server, template = Launch("vllm", COMMAND, f"--traces {tmp_path}"), Template("Be calm.")
    found = exleak.measure(
        str(llama), DATA, sampling=SETTINGS, server=server, template=template, store=tmp_path / "s"
    )
    assert found.identity["template"] == {"system": "Be calm."}
    assert "system prompt: Be calm." in found.notes
