"""The repository that ``exleak init`` prepares, measured by the command that it prints."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from exleak.cli import main

SMALL = ("--leakage-limit=3", "--leakage-generations=2", "-p", "no:cacheprovider")


@pytest.mark.parametrize("name", ["", "my run/checkpoint-7", 'ü "7"\\n', "it's [a-b]:c@d.e"])
def test_its_command_gives_a_table(
    name: str, pytester: pytest.Pytester, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the checkpoint's name is; without one, the reference model is measured."""
    if name:
        shutil.copytree(llama, pytester.path / name)
    assert main(["init"]) == 0
    command = capsys.readouterr().out.splitlines()[-2]
    program, *arguments = shlex.split(command)
    assert program == "pytest"
    result = pytester.runpytest_inprocess(*arguments, *SMALL)
    assert result.ret == 0
    assert "reported only" in result.stdout.str()
    assert (name or "reference-clean") in result.stdout.str()
