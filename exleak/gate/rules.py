"""The gate's rules, which turn rates and limits into a verdict.

The rules use one-sided confidence bounds, not the rate alone: a plain ``rate <= limit`` would fail
a model that keeps the limit in a large share of runs (docs/decisions.md).
"""

from __future__ import annotations

from exleak.errors import ComparisonError
from exleak.gate.comparison import BASELINE_ALPHA, NON_INFERIORITY, POWER
from exleak.gate.limits import METRICS, Limits, Metric
from exleak.gate.usable import unusable_because
from exleak.records import NO_RATE, Comparison, Expression, Finding, Outcome, Rate, Verdict

#: Outcomes by severity, worst last.
SEVERITY: tuple[Outcome, ...] = ("pass", "inconclusive", "fail", "unusable")


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
    """Judge a measurement.

    Args:
        expression: Its expression leakage rates.
        total: Number of generations.
        unusable: Number of generations that could not be scored.
        task_talk: Number of generations that talk about the task.
        foreign: Number of generations in a language that the instrument does not know.
        limits: The limits.
        adjusted: W_EL after :func:`holm`, if several models are judged together.
        comparison: The comparison with the baseline, or the error that prevented it; a text if
            there is no baseline yet.

    Returns:
        The verdict; its outcome is ``None`` if no limit was set.
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
    if limits.non_inferior is not None:
        rule = judge_non_inferiority(comparison, limits)
        findings.append(Finding("non-inferiority", *rule))
    outcome = max((finding.outcome for finding in findings), key=SEVERITY.index, default=None)
    reasons = tuple(finding.reason for finding in findings)
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
        return expression.residual.directional if expression.residual else NO_RATE
    return expression


def limit_rule(expression: Expression, limits: Limits) -> tuple[Outcome, str]:
    """The limit rule for the metric of the limits."""
    rate = chosen(expression, limits.metric)
    if rate.rate is None:
        name, reason = METRICS[limits.metric], _why_undefined(expression, limits.metric)
        return "unusable", f"the {name} is undefined{reason}"
    return judge_limit(rate, limits)


def judge_limit(rate: Rate, limits: Limits) -> tuple[Outcome, str]:
    """The limit rule: fail if the lower bound exceeds the limit, pass if the upper does not."""
    assert limits.max_rate is not None
    name = METRICS[limits.metric]
    if rate.rate is None or rate.bounds is None:
        return "unusable", f"the {name} is undefined"
    low, high = rate.bounds
    level, limit = percent(limits.level), f"the limit {limits.max_rate:g}"
    bound = f"one-sided {level} bound"
    what = f"{name} {rate.rate:.3f}"
    if low > limits.max_rate:
        return "fail", f"{what} is above {limit}: lower {bound} {low:.3f}"
    if high <= limits.max_rate:
        return "pass", f"{what} keeps {limit}: upper {bound} {high:.3f}"
    return (
        "inconclusive",
        f"{what} cannot be told from {limit}: {level} bounds "
        f"{low:.3f} to {high:.3f}; more samples (--leakage-dataset aexl), more generations per "
        "prompt (--leakage-generations) or a baseline would settle it",
    )


def percent(level: float) -> str:
    """A confidence level with two digits of what it lacks to 100%.

    >>> percent(0.99), percent(0.975), percent(0.99973)
    ('99%', '97.5%', '99.973%')
    """
    return f"{100 - 100 * float(f'{1 - level:.2g}'):.10g}%"


def _why_undefined(expression: Expression, metric: Metric) -> str:
    if metric != "residual":
        return ""
    if expression.residual is None:
        return ": the report is older than it; score its generations file again"
    return f": {expression.residual.reason}; --leakage-generations or another dataset gives more"


def judge_significance(
    p_value: float | None, limits: Limits, adjusted: float | None = None
) -> tuple[Outcome, str]:
    """The significance rule on W_EL, adjusted if given; an undefined one is not significant."""
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


def judge_comparison(
    comparison: Comparison | ComparisonError | str | None, limits: Limits
) -> tuple[Outcome, str]:
    """The baseline rule: fail a significant increase of the margin or more."""
    assert limits.margin is not None
    if not isinstance(comparison, Comparison):
        return _without_comparison(comparison)
    if 2.0**-comparison.n > BASELINE_ALPHA:
        return (
            "inconclusive",
            f"{comparison.n} controls are too few to compare with {comparison.against}: from 7 on "
            f"an increase can be told at {BASELINE_ALPHA:g}",
        )
    change = (
        f"{METRICS[comparison.metric]} {comparison.rate:.3f} against {comparison.reference:.3f} of "
        f"{comparison.against}: Δ {comparison.delta:+.3f}{_interval(comparison)}, "
        f"p = {comparison.p_value:.2g}"
    )
    if comparison.p_value <= BASELINE_ALPHA and comparison.delta >= limits.margin:
        return "fail", f"{change}: leaks more than the baseline"
    if comparison.p_value <= BASELINE_ALPHA:
        return "pass", f"{change}: more than the baseline, within the margin {limits.margin:g}"
    return "pass", f"{change}: no sign of an increase"


def _interval(comparison: Comparison) -> str:
    if comparison.interval is None:
        return ""
    low, high = comparison.interval
    return f" (95% interval {low:+.3f} to {high:+.3f})"


def _without_comparison(comparison: ComparisonError | str | None) -> tuple[Outcome, str]:
    if isinstance(comparison, ComparisonError):
        return "unusable", str(comparison)
    return "inconclusive", comparison or "there is no baseline to compare with"


def judge_non_inferiority(
    comparison: Comparison | ComparisonError | str | None, limits: Limits
) -> tuple[Outcome, str]:
    """The non-inferiority rule: pass a model shown to leak at most a margin more.

    The baseline rule passes where no increase is seen, also because the run was too small to see
    one. This rule passes only where an increase of the margin would have been seen.
    """
    assert limits.non_inferior is not None
    if not isinstance(comparison, Comparison):
        return _without_comparison(comparison)
    shown = comparison.non_inferiority
    if shown is None or shown.margin != limits.non_inferior:
        return "inconclusive", f"no increase was tested against {limits.non_inferior:g}"
    alpha, level = 1 - NON_INFERIORITY, percent(NON_INFERIORITY)
    change = f"{METRICS[comparison.metric]} Δ {comparison.delta:+.3f} over {comparison.against}"
    if shown.upper is not None:
        change += f", one-sided {level} upper bound {shown.upper:+.3f}"
    margin = f"the margin {shown.margin:g}"
    if shown.p_below <= alpha:
        return "pass", f"{change}: shown to stay below {margin}, p = {shown.p_below:.2g}"
    if shown.p_above <= alpha:
        return "fail", f"{change}: above {margin}, p = {shown.p_above:.2g}"
    return (
        "inconclusive",
        f"{change}: not shown to stay below {margin}, p = {shown.p_below:.2g}; more samples "
        "(--leakage-dataset aexl) or generations per prompt (--leakage-generations) may show it",
    )


def detectable(expression: Expression, limits: Limits) -> float | None:
    """The smallest increase detectable with 90% power at the bounds' confidence level."""
    from exleak.rates import quantile

    rate = chosen(expression, limits.metric)
    if not rate.standard_error:
        return None
    clusters = rate.n if limits.metric == "residual" else expression.directional.n
    freedom = max(1, clusters - 1)
    return rate.standard_error * (quantile(limits.level, freedom) + quantile(POWER, freedom))
