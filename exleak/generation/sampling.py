"""Sampling settings and their validation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from exleak.errors import SettingsError


@dataclass(frozen=True)
class Sampling:
    """Sampling settings; the defaults are the paper's (section 4.1.2).

    Attributes:
        generations: Continuations per prompt (K).
        seed: Identifies the run; the same seed gives the same continuations.
        top_p: Nucleus mass kept, in (0, 1].
        top_k: Number of most likely tokens kept, plus ties with the last one; 0 keeps all.
        temperature: Divides the logits; above 0.
        repetition_penalty: Above 0; 1 disables it.
        max_new_tokens: Maximum length of a continuation, in tokens.

    Raises:
        SettingsError: A value is out of range or not a number.
    """

    generations: int = 10
    seed: int = 0
    top_p: float = 0.9
    top_k: int = 50
    temperature: float = 1.0
    repetition_penalty: float = 1.1
    max_new_tokens: int = 128

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value: Any = getattr(self, field.name)
            whole = isinstance(field.default, int)
            if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
                kind = "whole number" if whole else "number"
                raise SettingsError(f"sampling: {field.name} must be a {kind}, not {value!r}")
            # 1, 1.0 and NumPy numbers are the same setting.
            number: Any = value
            object.__setattr__(self, field.name, int(number) if whole else float(number))
        ranges = (
            ("generations", self.generations >= 1, "at least 1"),
            ("seed", 0 <= self.seed < 2**63, "from 0 to 2**63 - 1"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("temperature", 0 < self.temperature < float("inf"), "above 0"),
            ("repetition_penalty", 0 < self.repetition_penalty < float("inf"), "above 0"),
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
        )
        for name, holds, wanted in ranges:
            if not holds:
                raise SettingsError(f"sampling: {name} must be {wanted}, not {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON-ready builtins."""
        return dataclasses.asdict(self)


def check_batch_size(batch_size: int | None) -> None:
    """Refuse a batch size below 1.

    Raises:
        SettingsError: It is below 1 or not a whole number.
    """
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise SettingsError(
            f"batch_size must be a whole number from 1 on, or None, not {batch_size!r}"
        )
