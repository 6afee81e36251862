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

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel, field_validator

from exleak.errors import SettingsError
from exleak.gate.limits import Limits
from exleak.generation.sampling import Sampling
from exleak.integrations.transformers import LeakageCallback

#: The arguments that are a mapping in the configuration.
_RECORDS: dict[str, type[Limits] | type[Sampling]] = {"limits": Limits, "sampling": Sampling}


class LeakageArgs(BaseModel):
    """The plugin's keys in axolotl's configuration, checked before anything is loaded."""

    leakage: dict[str, Any] | None = None

    @field_validator("leakage")
    @classmethod
    def _are_arguments(cls, found: dict[str, Any] | None) -> dict[str, Any] | None:
        arguments(found or {})
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
        return [LeakageCallback(**arguments(cfg.get("leakage") or {}))]


def arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the callback that the keys below ``leakage`` stand for.

    Raises:
        SettingsError: A key is unknown, or a value out of range.
    """
    _check_keys("leakage", found, inspect.signature(LeakageCallback).parameters)
    return {name: _record(name, value) if name in _RECORDS else value
            for name, value in found.items()}  # fmt: skip


def _record(name: str, value: Any) -> Limits | Sampling | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise SettingsError(f"leakage.{name} must be a mapping, not {value!r}")
    kind = _RECORDS[name]
    _check_keys(f"leakage.{name}", value, [field.name for field in dataclasses.fields(kind)])
    return kind(**value)


def _check_keys(where: str, found: Iterable[str], known: Iterable[str]) -> None:
    if unknown := [str(key) for key in found if key not in known]:
        raise SettingsError(
            f"{where} has no {', '.join(map(repr, unknown))}; it has {', '.join(known)}"
        )
