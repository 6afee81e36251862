"""Commands of the servers that exleak can start."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from exleak.errors import ModelError, SettingsError
from exleak.generation.endpoint import kinds
from leakage_fixtures.options import SERVERS


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("vllm", "/v/bin/vllm", "/v/bin/vllm serve /c --served-model-name model"),
        ("vllm", "/v/bin/python3.12", "/v/bin/python3.12 -m vllm.entrypoints.openai.api_server "
                                      "--model /c --served-model-name model"),
        ("sglang", "python", "python -m sglang.launch_server --model-path /c "
                             "--served-model-name model"),
        ("llama.cpp", "llama-server", "llama-server -m /c --alias model"),
        ("llama.cpp", "python3", "python3 -m llama_cpp.server --model /c --model_alias model"),
        ("transformers", "transformers", "transformers serve /c"),
    ],
)  # fmt: skip
def test_the_command_line_of_each_server(name: str, command: str, expected: str) -> None:
    """On loopback alone; the user's arguments come last."""
    found = kinds.full_command(name, [command], Path("/c"), 80, ["--x", "a b"])
    assert found == [*expected.split(), "--host", "127.0.0.1", "--port", "80", "--x", "a b"]


def test_the_plugin_offers_every_kind() -> None:
    """Its options import nothing of the library that is heavy."""
    assert tuple(kinds.KINDS) == SERVERS
    with pytest.raises(SettingsError, match=r"'ollama' is unknown; use one of vllm, sglang"):
        kinds.kind_of("ollama")


def test_a_command_line_is_split_as_a_shell_does(tmp_path: Path) -> None:
    """But the path of a file may hold spaces."""
    spaced = tmp_path / "my vllm"
    spaced.touch()
    assert kinds.words(str(spaced), "x") == [str(spaced)]
    assert kinds.words("uv run 'a b'", "x") == ["uv", "run", "a b"]
    assert kinds.words(None, "x") == []


def test_a_command_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the path, then beside this Python; a given one must exist."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelError, match="llama-server is not installed in this environment"):
        kinds.command_for("llama.cpp", [])
    (tmp_path / "llama-server").touch(mode=0o755)
    assert kinds.command_for("llama.cpp", []) == [str(tmp_path / "llama-server")]
    assert kinds.command_for("vllm", [sys.executable, "x.py"]) == [sys.executable, "x.py"]
    with pytest.raises(ModelError, match=r"--leakage-server-command \./vllm: there is no such"):
        kinds.command_for("vllm", ["./vllm"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    shutil.copy(tmp_path / "llama-server", tmp_path / "vllm")
    monkeypatch.setenv("PATH", "")
    assert kinds.command_for("vllm", []) == [str(tmp_path / "vllm")]


def test_the_version_is_that_of_the_commands_environment(tmp_path: Path) -> None:
    """It is read from the names of folders; a binary has none."""
    (tmp_path / "lib/python3.12/site-packages/vllm-0.11.0+cpu.dist-info").mkdir(parents=True)
    assert kinds.version_of("vllm", [str(tmp_path / "bin/vllm")]) == {"vllm": "0.11.0+cpu"}
    assert kinds.version_of("sglang", [str(tmp_path / "bin/sglang")]) == {}
