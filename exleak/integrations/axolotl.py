"""A plugin for axolotl that measures leakage during a training.

In axolotl's configuration, below ``leakage`` the arguments of
:class:`exleak.integrations.transformers.LeakageCallback`::

    plugins:
      - exleak.integrations.axolotl.LeakagePlugin
    leakage:
      dataset: hexl
      limits: {max_rate: 0.65, metric: directional}
      sampling: {generations: 4}

Without ``leakage`` the plugin measures with the callback's defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel, field_validator

from exleak.errors import SettingsError
from exleak.integrations.transformers import LeakageCallback


class LeakageArgs(BaseModel):
    """The plugin's key in axolotl's configuration, checked before a model is loaded."""

    leakage: dict[str, Any] | None = None

    @field_validator("leakage")
    @classmethod
    def _makes_a_callback(cls, found: dict[str, Any] | None) -> dict[str, Any] | None:
        _callback(found or {})
        return found


class LeakagePlugin(BasePlugin):
    """Adds a callback that measures leakage to axolotl's trainer."""

    def get_input_args(self) -> str:
        """The dotted path of :class:`LeakageArgs`."""
        return f"{LeakageArgs.__module__}.{LeakageArgs.__qualname__}"

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[LeakageCallback]:
        """The callback, made from the configuration.

        Args:
            cfg: Axolotl's configuration.
            trainer: Unused: the callback is handed what it needs.

        Raises:
            SettingsError: A key is unknown, or a value out of range.
        """
        return [_callback(cfg.get("leakage") or {})]


def _callback(found: Mapping[str, Any]) -> LeakageCallback:
    known = inspect.signature(LeakageCallback).parameters
    if unknown := [key for key in found if key not in known]:
        raise SettingsError(
            f"leakage has no {', '.join(map(repr, unknown))}; it has {', '.join(known)}"
        )
    return LeakageCallback(**found)
