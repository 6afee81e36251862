"""The few names of Inspect that its task uses, where Inspect is not installed.

They keep what they are given. That the real ones take it is shown by the logs in tests/tasks/data,
which Inspect wrote.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

_TASK = "exleak.tasks.inspect_ai"


class _Kept(SimpleNamespace):
    """Anything that is made with named arguments."""


class _Score(_Kept):
    @classmethod
    def unscored(cls, **about: Any) -> _Score:
        return cls(value=float("nan"), **about)


def _decorator(*given: Any, **_: Any) -> Any:
    return given[0] if given else lambda function: function


async def _run_sync(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _module(name: str, **names: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    return module


def inspect_task(patch: pytest.MonkeyPatch) -> Any:
    """The module of the tasks, imported with the stub; it is forgotten after the test."""
    modules = (
        _module("anyio", to_thread=SimpleNamespace(run_sync=_run_sync)),
        _module("inspect_ai", Epochs=lambda epochs: epochs, Task=_Kept, task=_decorator),
        _module("inspect_ai.dataset", MemoryDataset=_dataset, Sample=_Kept),
        _module("inspect_ai.model", ChatCompletionChoice=_Kept, GenerateConfig=dict),
        _module(
            "inspect_ai.scorer", Metric=Any, SampleScore=_Kept, Score=_Score, Scorer=Any,
            Target=Any, Value=Any, metric=_decorator, scorer=_decorator,
        ),
        _module("inspect_ai.solver", TaskState=Any, generate=lambda: "generate"),
    )  # fmt: skip
    for module in modules:
        patch.setitem(sys.modules, module.__name__, module)
    patch.setitem(sys.modules, _TASK, ModuleType(_TASK))
    del sys.modules[_TASK]
    return importlib.import_module(_TASK)


def _dataset(samples: list[Any], name: str) -> Any:
    return _Kept(samples=samples, name=name)


@dataclass
class Message:
    """A message of a model."""

    content: Any

    def model_dump(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"role": "assistant", "content": self.content}


@dataclass
class State:
    """A sample that was asked once.

    Attributes:
        metadata: The sample's document.
        contents: The content of each choice.
        epoch: Which generation it is, from 1 on.
    """

    metadata: dict[str, Any]
    contents: list[Any]
    epoch: int = 1
    output: Any = field(init=False)

    def __post_init__(self) -> None:
        choices = [SimpleNamespace(message=Message(content)) for content in self.contents]
        self.output = SimpleNamespace(choices=choices)
