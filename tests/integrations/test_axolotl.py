"""The plugin for axolotl: its keys are the callback's arguments, checked before anything is loaded.

axolotl pins versions of its own and cannot be installed beside exleak's tests. A stand-in has what
the plugin uses of it: a base class to inherit, keys merged by inheritance of pydantic models, and a
configuration whose missing keys are None.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError, create_model

from exleak import SettingsError

PLUGIN = "exleak.integrations.axolotl"
CALLBACK = "exleak.integrations.transformers"


class Callback:
    """Has some of the callback's arguments, checks one as it does, and keeps them."""

    def __init__(
        self,
        dataset: str = "hexl",
        *,
        limits: dict[str, Any] | None = None,
        when: str = "evaluate",
        baseline: str | None = "start",
    ) -> None:
        if when not in ("evaluate", "save"):
            raise SettingsError(f"when must be evaluate or save, not {when!r}")
        self.got = {"dataset": dataset, "limits": limits, "when": when, "baseline": baseline}


class Own(BaseModel):
    """Axolotl's own keys."""

    base_model: str


class Configuration(dict[str, Any]):
    """As axolotl's: also by attribute, and None for what is missing."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin's module, imported within a stand-in for axolotl."""
    base = ModuleType("axolotl.integrations.base")
    base.BasePlugin = type("BasePlugin", (), {})  # type: ignore[attr-defined]
    callback = ModuleType(CALLBACK)
    callback.LeakageCallback = Callback  # type: ignore[attr-defined]
    for module in (ModuleType("axolotl"), ModuleType("axolotl.integrations"), base, callback):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, PLUGIN, raising=False)
    yield importlib.import_module(PLUGIN)
    sys.modules.pop(PLUGIN, None)


def validated(plugin: Any, found: dict[str, Any]) -> Configuration:
    """What axolotl makes of a configuration: its own keys and those of the plugin."""
    module, _, name = plugin.LeakagePlugin().get_input_args().rpartition(".")
    keys = getattr(importlib.import_module(module), name)
    merged = create_model("Merged", __base__=(Own, keys))
    return Configuration(merged(base_model="m", **found).model_dump(exclude_none=True))


def callback(plugin: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the callback that a configuration leads to."""
    made = plugin.LeakagePlugin().add_callbacks_post_trainer(
        validated(plugin, found), SimpleNamespace()
    )
    (one,) = made
    got: dict[str, Any] = one.got
    return got


def test_keys_are_the_arguments_of_the_callback(plugin: Any) -> None:
    """Mappings within them, and a null that is no default, arrive as they are."""
    found = {
        "dataset": "aexl",
        "limits": {"max_rate": 0.6, "metric": "directional"},
        "when": "save",
        "baseline": None,
    }
    assert callback(plugin, {"leakage": found}) == found


@pytest.mark.parametrize("found", [{}, {"leakage": None}, {"leakage": {}}])
def test_the_plugin_alone_measures_too(plugin: Any, found: dict[str, Any]) -> None:
    """With the defaults: a plugin that was asked for does not do nothing in silence."""
    assert callback(plugin, found) == Callback().got


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"data": "x", "dataset": "hexl", "on": 1},
         "leakage has no 'data', 'on'; it has dataset, limits, when, baseline"),
        ({"when": "now"}, "when must be evaluate or save, not 'now'"),
        (True, "leakage"),
    ],
)  # fmt: skip
def test_a_wrong_key_or_value_is_an_error_of_the_configuration(
    plugin: Any, found: Any, message: str
) -> None:
    """Which axolotl checks before it loads the model."""
    with pytest.raises(ValidationError, match=message):
        validated(plugin, {"leakage": found})
