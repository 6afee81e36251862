"""What a measurement does to the training: a warning, an end, or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from exleak.errors import ExleakError, SettingsError
from exleak.integrations.monitor import Checked

#: What a failing or unusable measurement does.
OnFail = Literal["warn", "stop", "raise"]
#: What an error while measuring does.
OnError = Literal["warn", "raise"]


class LeakageError(ExleakError):
    """A model in training fails its limits, and ``on_fail`` is ``"raise"``."""


def check_choices(**given: tuple[str, Any]) -> None:
    """Check settings that are one of a few names.

    Args:
        given: For each setting its value and the ``Literal`` of its names.

    Raises:
        SettingsError: A value is none of the names.
    """
    for name, (value, choices) in given.items():
        if value not in get_args(choices):
            known = ", ".join(map(repr, get_args(choices)))
            raise SettingsError(f"{name} must be one of {known}, not {value!r}")


def react(checked: Checked, on_fail: OnFail, warn: Callable[[str], None]) -> bool:
    """Act on a verdict.

    Args:
        checked: The measurement.
        on_fail: What it does if it failed or is unusable.
        warn: Shows a warning.

    Returns:
        Whether the training is to stop.

    Raises:
        LeakageError: It failed, and ``on_fail`` is ``"raise"``.
    """
    verdict = checked.measurement.verdict
    if verdict.outcome == "inconclusive":
        warn(f"{checked.measurement.model} is INCONCLUSIVE: {'; '.join(verdict.reasons)}")
    if not checked.message:
        return False
    if on_fail == "raise":
        raise LeakageError(checked.message)
    warn(checked.message)
    return on_fail == "stop"
