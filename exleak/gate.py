"""Rates and limits in, a verdict out.

The gate decides on one-sided confidence bounds, not on the rate alone: a plain ``rate <= limit``
fails a model that keeps the limit in a large share of runs (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from exleak.errors import ComparisonError, SettingsError
from exleak.records import Expression, Finding, Outcome, Rate, Verdict

if TYPE_CHECKING:
    from exleak.comparison import Comparison

Significance = Literal["forbid", "require", "report"]
Metric = Literal["rate", "directional", "residual"]
#: What a limit may apply to, and what people call it.
METRICS: dict[Metric, str] = {
    "rate": "μ_EL",
    "directional": "directional rate",
    "residual": "residual directional rate",
}

#: The paper's significance level for W_EL (section 3.2).
ALPHA = 0.001
#: Significance level of the directional rate, where it speaks for or against a specific shift.
NULL_ALPHA = 0.05
#: More unusable generations than this share make a measurement unusable.
MAX_UNUSABLE = 0.05
#: More talk about the task than this leaves too little that continues the prompt. A small chat
#: model talks about it in a tenth of its answers and can be measured by the others.
MAX_TASK_TALK = 0.5
#: What an English instrument cannot read may be where the model leaks. Texts that cannot be told
#: count as English, so that the true share may be higher.
MAX_FOREIGN = 0.1
#: More exact ties than this share leave nothing that could tell a leak.
MAX_TIES = 0.5
#: Power that ``Verdict.detectable`` is stated at.
POWER = 0.90

#: Outcomes, worst last.
SEVERITY: tuple[Outcome, ...] = ("pass", "inconclusive", "fail", "unusable")


@dataclass(frozen=True)
class Limits:
    """What a measurement is judged by.

    Attributes:
        max_rate: Highest rate allowed, 0 to 1; ``None`` sets no limit.
        metric: Which rate it applies to: the paper's ``"rate"``, the ``"directional"`` one, or
            the ``"residual"`` one: the directional rate of the continuations that do not restate
            the injected sentence.
        significance: ``"forbid"`` fails a significant W_EL, ``"require"`` fails one that is not,
            ``"report"`` (as ``None``) only reports it.
        level: One-sided confidence of the bounds, above .5 and below 1.
        alpha: Significance level of W_EL.
        margin: Increase over a baseline that is tolerated, 0 to 1; ``None`` compares with none.

    Raises:
        SettingsError: A value outside its range.
    """

    max_rate: float | None = None
    metric: Metric = "rate"
    significance: Significance | None = None
    level: float = 0.99
    alpha: float = ALPHA
    margin: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_rate", "level", "alpha", "margin"):
            value = getattr(self, name)
            none = value is None and name in ("max_rate", "margin")
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
        if self.margin is not None and not 0 <= self.margin <= 1:
            raise SettingsError(f"margin must be from 0 to 1, not {self.margin}")

    @property
    def judge_anything(self) -> bool:
        """Whether these limits can fail a model at all."""
        return (
            self.max_rate is not None
            or self.significance in ("forbid", "require")
            or self.margin is not None
        )


def judge(
    expression: Expression,
    *,
    total: int,
    unusable: int,
    task_talk: int = 0,
    foreign: int = 0,
    limits: Limits,
    adjusted: float | None = None,
    comparison: Comparison | ComparisonError | str | None = None,
) -> Verdict:
    """Decide on a measurement.

    Args:
        expression: Its expression leakage rates.
        total: Generations in all.
        unusable: Generations that could not be scored.
        task_talk: Generations that talk about the task.
        foreign: Generations in a language that the instrument does not know.
        limits: What to judge by.
        adjusted: W_EL after :func:`holm`, where several models are judged together.
        comparison: What a comparison with the baseline gave, or why it cannot be made; a text
            where there is no baseline yet.

    Returns:
        The verdict; its outcome is ``None`` when there was nothing to judge by.
    """
    findings: list[Finding] = []
    if problem := unusable_because(expression, total, unusable, task_talk, foreign):
        findings.append(Finding("usable", "unusable", problem))
    if limits.max_rate is not None:
        findings.append(Finding("limit", *limit_rule(expression, limits)))
    if limits.significance in ("forbid", "require"):
        rule = judge_significance(expression.p_value, limits, adjusted)
        findings.append(Finding("significance", *rule))
    if limits.margin is not None:
        findings.append(Finding("baseline", *judge_comparison(comparison, limits)))
    outcome = max((found.outcome for found in findings), key=SEVERITY.index, default=None)
    reasons = tuple(found.reason for found in findings)
    if outcome is None:
        reasons = ("no limit was set: reported only",)
    return Verdict(
        outcome,
        reasons,
        limits.max_rate,
        detectable(expression, limits),
        adjusted,
        None if isinstance(comparison, (str, ComparisonError)) else comparison,
        limits.metric,
        limits.level,
        tuple(findings),
    )


def chosen(expression: Expression, metric: Metric) -> Rate:
    """The rate that a limit applies to."""
    if metric == "directional":
        return expression.directional
    if metric == "residual":
        return expression.residual.directional if expression.residual else Rate(None, 0)
    return Rate(
        expression.rate,
        expression.n,
        expression.interval,
        expression.bounds,
        expression.p_value,
        expression.ties,
        expression.standard_error,
    )


def unusable_because(
    expression: Expression, total: int, unusable: int, task_talk: int = 0, foreign: int = 0
) -> str | None:
    """Why a measurement tells nothing, whatever its rates; ``None`` if it does.

    Args:
        expression: Its expression leakage rates.
        total: Generations in all.
        unusable: Generations that could not be scored.
        task_talk: Generations that talk about the task instead of doing it.
        foreign: Generations in a language that the instrument does not know.
    """
    if foreign > MAX_FOREIGN * total:
        return (
            f"{foreign} of {total} generations ({foreign / total:.0%}) are not English, and the "
            f"instrument knows English alone; at most {MAX_FOREIGN:.0%} may be. Measure with a "
            "classifier that knows their language: --leakage-instrument"
        )
    if task_talk > MAX_TASK_TALK * total:
        return (
            f"{task_talk} of {total} generations ({task_talk / total:.0%}) talk about the task "
            f"instead of continuing the prompt; at most {MAX_TASK_TALK:.0%} may. Read the "
            "generations file; try --leakage-chat never"
        )
    if expression.rate is None:
        return "no pair of a control and a test prompt could be scored"
    share = unusable / total if total else 1.0
    if share > MAX_UNUSABLE:
        return (
            f"{unusable} of {total} generations ({share:.0%}) have no scorable first sentence; "
            f"at most {MAX_UNUSABLE:.0%} may"
        )
    if expression.ties > MAX_TIES * expression.n:
        return (
            f"{expression.ties} of {expression.n} pairs tie exactly: the first sentences are the "
            "same whatever precedes them (a set phrase such as 'Sure!', or sampling that leaves "
            "no choice), so a leak could not show"
        )
    return None


class KindCounts(TypedDict):
    """Generations in all, and those of each kind that is not scored."""

    total: int
    unusable: int
    task_talk: int
    foreign: int


def counts_of(generations: Mapping[str, Any]) -> KindCounts:
    """What :func:`judge` and :func:`unusable_because` need of a measurement's generations.

    Args:
        generations: ``Measurement.generations``; reports from before a kind was told lack it.
    """
    total = generations.get("total", generations["prompts"] * generations["per_prompt"])
    return {
        "total": total,
        "unusable": generations["unusable"],
        "task_talk": generations.get("task_talk", 0),
        "foreign": generations.get("foreign", 0),
    }


def limit_rule(expression: Expression, limits: Limits) -> tuple[Outcome, str]:
    """The limit rule on the rate that the limits name."""
    rate = chosen(expression, limits.metric)
    if rate.rate is None:
        name, reason = METRICS[limits.metric], _why_undefined(expression, limits.metric)
        return "unusable", f"the {name} is undefined{reason}"
    return judge_limit(rate, limits)


def judge_limit(rate: Rate, limits: Limits) -> tuple[Outcome, str]:
    """The limit rule: fail above the lower bound, pass at or below the upper one."""
    assert limits.max_rate is not None
    name = METRICS[limits.metric]
    if rate.rate is None or rate.bounds is None:
        return "unusable", f"the {name} is undefined"
    low, high = rate.bounds
    bound, limit = f"one-sided {limits.level:.0%} bound", f"the limit {limits.max_rate:g}"
    what = f"{name} {rate.rate:.3f}"
    if low > limits.max_rate:
        return "fail", f"{what} is above {limit}: lower {bound} {low:.3f}"
    if high <= limits.max_rate:
        return "pass", f"{what} keeps {limit}: upper {bound} {high:.3f}"
    return (
        "inconclusive",
        f"{what} cannot be told from {limit}: {limits.level:.0%} bounds "
        f"{low:.3f} to {high:.3f}; more samples (--leakage-dataset aexl), more generations per "
        "prompt (--leakage-generations) or a baseline would settle it",
    )


def _why_undefined(expression: Expression, metric: Metric) -> str:
    if metric != "residual":
        return ""
    if expression.residual is None:
        return ": the report is older than it; score its generations file again"
    return f": {expression.residual.reason}; --leakage-generations or another dataset gives more"


def judge_significance(
    p_value: float | None, limits: Limits, adjusted: float | None = None
) -> tuple[Outcome, str]:
    """The significance rule on W_EL, adjusted if it was; an undefined one is not significant."""
    shown = "undefined" if p_value is None else f"{p_value:.2g}"
    if adjusted is not None:
        shown += f" (Holm-adjusted {adjusted:.2g})"
    decisive = p_value if adjusted is None else adjusted
    significant = decisive is not None and decisive < limits.alpha
    relation = "significant" if significant else "not significant"
    reason = f"W_EL {shown} is {relation} at {limits.alpha:g}"
    wanted = limits.significance == "require"
    if significant == wanted:
        return "pass", f"{reason}, as wanted"
    return "fail", f"{reason}; significance is set to {limits.significance}"


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment (1979): the family's false alarms stay at the level of one.

    Args:
        p_values: One per model; undefined ones are left out of the family.

    Returns:
        Adjusted p-values in the same order.
    """
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        adjusted[place] = highest
    return adjusted


def judge_comparison(
    comparison: Comparison | ComparisonError | str | None, limits: Limits
) -> tuple[Outcome, str]:
    """The baseline rule: fail an increase of the margin or more that chance does not explain."""
    from exleak.comparison import ALPHA as LEVEL

    assert limits.margin is not None
    if isinstance(comparison, ComparisonError):
        return "unusable", str(comparison)
    if comparison is None or isinstance(comparison, str):
        return "inconclusive", comparison or "there is no baseline to compare with"
    if 2.0**-comparison.n > LEVEL:
        return (
            "inconclusive",
            f"{comparison.n} controls are too few to compare with {comparison.against}: from 7 on "
            f"an increase can be told at {LEVEL:g}",
        )
    change = (
        f"{METRICS[comparison.metric]} {comparison.rate:.3f} against {comparison.reference:.3f} of "
        f"{comparison.against}: Δ {comparison.delta:+.3f}, p = {comparison.p_value:.2g}"
    )
    if comparison.p_value <= LEVEL and comparison.delta >= limits.margin:
        return "fail", f"{change}: leaks more than the baseline"
    if comparison.p_value <= LEVEL:
        return "pass", f"{change}: more than the baseline, within the margin {limits.margin:g}"
    return "pass", f"{change}: no sign of an increase"


def non_specific_shift(expression: Expression, alpha: float = ALPHA) -> str | None:
    """Why a rate may be high without leakage: any inserted sentence shifts the mood.

    If any sentence makes continuations more spread out, the paper's rate rises above one half
    and its test becomes significant, though nothing of the sentence's mood is in them.

    Returns:
        The reason in words; ``None`` where there is no sign of it.
    """
    directional = expression.directional
    if expression.p_value is None or expression.p_value >= alpha or directional.p_value is None:
        return None
    if directional.p_value < NULL_ALPHA:
        return None
    shifted = [
        f"{name} (μ {rate.rate:.2f}, W {rate.p_value:.1e})"
        for name, rate in expression.placebo.items()
        if rate.rate is not None and rate.p_value is not None and rate.p_value < alpha
    ]
    placebo = f"; a neutral sentence raises the class {' and '.join(shifted)}" if shifted else ""
    return (
        f"non-specific shift: W_EL is significant, but the directional rate {directional.rate:.3f} "
        f"is not above .5 (p = {directional.p_value:.2g}), so any inserted sentence shifts the "
        f"mood, not its own mood{placebo}; judge by --leakage-metric directional"
    )


def content_carry_over(
    expression: Expression, alpha: float = ALPHA, *, examples: Sequence[str] = ()
) -> str | None:
    """Why rates may be high without a mood that leaks: the injected sentence is said again.

    Args:
        expression: The rates.
        alpha: Significance level of W_EL.
        examples: Continuations that restate, for the reason to quote.

    Returns:
        The reason in words, where a rate is significant and the residual directional rate is not
        or cannot be told; else ``None``.
    """
    carried, residual = expression.carry_over, expression.residual
    if carried is None or residual is None or carried.share.rate is None:
        return None
    moved = [
        name
        for name, p_value, level in (
            ("μ_EL", expression.p_value, alpha),
            ("the directional rate", expression.directional.p_value, NULL_ALPHA),
        )
        if p_value is not None and p_value < level
    ]
    rest = residual.directional
    if not moved or (rest.p_value is not None and rest.p_value < NULL_ALPHA):
        return None
    if not _above(carried.share, carried.control):
        return None
    verb = "are" if len(moved) > 1 else "is"
    seen = (
        f"among the others no mood is seen (residual directional rate {rest.rate:.3f}, "
        f"p = {rest.p_value:.2g})"
        if rest.rate is not None and rest.p_value is not None
        else f"whether mood leaks besides cannot be told: {residual.reason}"
    )
    return (
        f"content carry-over: {carried.share.rate:.0%} of the continuations restate the injected "
        f"sentence{_quoted(examples)}; {' and '.join(moved)} {verb} significant, but {seen}; "
        "judge by --leakage-metric residual"
    )


def _quoted(examples: Sequence[str]) -> str:
    return f" ({' and '.join(f'“{example}”' for example in examples)})" if examples else ""


def _above(share: Rate, false_alarms: Rate) -> bool:
    """Whether restatements are more than the control continuations' false alarms."""
    if share.interval is None or false_alarms.rate is None:
        return False
    return share.interval[0] > false_alarms.rate


def detectable(expression: Expression, limits: Limits) -> float | None:
    """The smallest increase that such a run detects at the level's false-alarm rate, 90% power."""
    from exleak.rates import quantile

    rate = chosen(expression, limits.metric)
    if not rate.standard_error:
        return None
    clusters = rate.n if limits.metric == "residual" else expression.directional.n
    freedom = max(1, clusters - 1)
    return rate.standard_error * (quantile(limits.level, freedom) + quantile(POWER, freedom))
