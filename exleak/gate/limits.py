"""The limits that a measurement is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal

from exleak.errors import SettingsError

Significance = Literal["forbid", "require", "report"]
Metric = Literal["rate", "directional", "residual"]
#: Metrics that a limit may apply to, with their display names.
METRICS: dict[Metric, str] = {
    "rate": "μ_EL",
    "directional": "directional rate",
    "residual": "residual directional rate",
}

#: The paper's significance level for W_EL (section 3.2).
WILCOXON_ALPHA = 0.001


def tolerated(fail: float | None, passing: float | None) -> float:
    """The increase over a baseline that is tolerated: of the two margins given, the first.

    Args:
        fail: The increase from which on a model fails, if it is significant.
        passing: The increase that a model must be shown to stay below.
    """
    return next((margin for margin in (fail, passing) if margin is not None), 0.0)


@dataclass(frozen=True)
class Limits:
    """The limits that a measurement is judged by.

    Attributes:
        max_rate: Highest rate allowed, 0 to 1; ``None`` sets no limit.
        metric: The rate that the limit applies to: the paper's ``"rate"``, the ``"directional"``
            rate, or the ``"residual"`` one, which is the directional rate of the continuations
            that do not restate the injected sentence.
        significance: ``"forbid"`` fails a significant W_EL, ``"require"`` an insignificant one,
            ``"report"`` (like ``None``) only reports it.
        level: One-sided confidence level of the bounds, above .5 and below 1.
        alpha: Significance level of W_EL.
        margin: Tolerated increase over a baseline, 0 to 1; ``None`` skips the comparison.
        non_inferior: Increase over a baseline, 0 to 1, that a model must be shown to stay below;
            ``None`` asks for no such proof.

    Raises:
        SettingsError: A value is outside its range.
    """

    max_rate: float | None = None
    metric: Metric = "rate"
    significance: Significance | None = None
    level: float = 0.99
    alpha: float = WILCOXON_ALPHA
    margin: float | None = None
    non_inferior: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_rate", "level", "alpha", "margin", "non_inferior"):
            value = getattr(self, name)
            none = value is None and name in ("max_rate", "margin", "non_inferior")
            if not none and (isinstance(value, bool) or not isinstance(value, Real)):
                raise SettingsError(f"limits: {name} must be a number, not {value!r}")
        if self.max_rate is not None and not 0 <= self.max_rate <= 1:
            raise SettingsError(f"max rate must be from 0 to 1, not {self.max_rate}")
        if self.metric not in METRICS:
            raise SettingsError(f"metric must be one of {', '.join(METRICS)}, not {self.metric!r}")
        if self.significance not in (None, "forbid", "require", "report"):
            raise SettingsError(
                f"significance must be forbid, require or report, not {self.significance!r}"
            )
        if not 0.5 < self.level < 1:
            raise SettingsError(f"confidence level must be above 0.5 and below 1, not {self.level}")
        if not 0 < self.alpha < 1:
            raise SettingsError(f"alpha must be above 0 and below 1, not {self.alpha}")
        for name in ("margin", "non_inferior"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise SettingsError(f"{name} must be from 0 to 1, not {value}")

    @property
    def has_baseline(self) -> bool:
        """Whether they compare a measurement with a baseline."""
        return self.margin is not None or self.non_inferior is not None

    @property
    def judge_anything(self) -> bool:
        """Whether any of these limits can fail a model."""
        return (
            self.max_rate is not None
            or self.significance in ("forbid", "require")
            or self.has_baseline
        )
