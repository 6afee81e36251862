"""Runs the steps of a composite action as the runner of GitHub does, as far as ours needs it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
#: Variables of a job that this process may be in itself.
_OURS = ("GITHUB_", "EXLEAK_", "PYTEST_", "RUNNER_")


def action() -> dict[str, Any]:
    """The action of this repository."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return found


@dataclass
class Job:
    """A job with one step, which uses the action.

    Attributes:
        folder: The repository that is checked out.
        github: The context ``github``, by the names in expressions.
        environment: Variables of the job.
        given: Inputs of the action.
        log: What the steps printed.
        used: The steps that use another action, and ran.
        outputs: Outputs of the steps, by ``steps.ID.outputs.NAME``.
    """

    folder: Path
    github: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    used: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def run(self) -> bool:
        """Run the steps; returns whether all succeeded."""
        is_well = True
        for step in action()["runs"]["steps"]:
            condition = str(step.get("if", "success()"))
            if not (is_well or "cancelled()" in condition) or not self._holds(condition):
                continue
            if "uses" in step:
                texts = {key: self.filled(str(text)) for key, text in step["with"].items()}
                self.used.append({**step, "with": texts})
            else:
                is_well = self._shell(step) == 0 and is_well
        return is_well

    def value(self, name: str) -> str:
        """What a name stands for in an expression; an output that was not set is empty."""
        place, _, rest = name.partition(".")
        if place == "inputs":
            about = action()["inputs"][rest]
            return self.given.get(rest, self.filled(str(about["default"])))
        if place == "github":
            return self.github.get(rest, "")
        assert place == "steps", name
        return self.outputs.get(name, "")

    def filled(self, text: str) -> str:
        """A text with its expressions replaced."""
        found = _EXPRESSION.sub(lambda match: self.value(match[1]), text)
        assert "${{" not in found, text
        return found

    def action_outputs(self) -> dict[str, str]:
        """The outputs of the action."""
        return {name: self.filled(about["value"]) for name, about in action()["outputs"].items()}

    def _holds(self, condition: str) -> bool:
        return all(self._part_holds(part.strip()) for part in condition.split("&&"))

    def _part_holds(self, part: str) -> bool:
        if part in ("success()", "!cancelled()"):
            return True
        name, sign, text = part.partition("==") if "==" in part else part.partition("!=")
        found = self.value(name.strip())
        if not sign:
            return bool(found)
        return (found == text.strip().strip("'")) == (sign == "==")

    def _shell(self, step: Mapping[str, Any]) -> int:
        assert step["shell"] == "bash"
        outputs = self.folder / ".outputs"
        outputs.write_text("")
        own = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder / self.filled(step.get("working-directory", ".")),
            env={
                **own,
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_WORKSPACE": str(self.folder),
                "GITHUB_OUTPUT": str(outputs),
                **self.environment,
                **{name: self.filled(str(text)) for name, text in step.get("env", {}).items()},
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False,
        )  # fmt: skip
        self.log += done.stdout
        for name, value in read_outputs(outputs.read_text(encoding="utf-8")).items():
            self.outputs[f"steps.{step.get('id')}.outputs.{name}"] = value
        return done.returncode


def read_outputs(text: str) -> dict[str, str]:
    """The outputs in a file of ``GITHUB_OUTPUT``, of which the last of a name counts."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        name, sign, end = line.partition("<<")
        if sign and "=" not in name:
            inside = iter(lambda end=end: next(lines), end)  # type: ignore[misc]
            found[name] = "\n".join(inside)
        elif line:
            name, sign, value = line.partition("=")
            assert sign, line
            found[name] = value
    return found
