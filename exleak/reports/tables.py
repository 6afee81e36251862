"""What reports tell of a measurement, in the order told; and the table of rates for other tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from exleak.annotate.cells import to_csv
from exleak.reports.text import interval, number, p_value, printable

#: Label of each rate and its place in a measurement.
RATES: tuple[tuple[str, str], ...] = (
    ("μ_EL", "expression"),
    ("μ_EL after a positive sentence", "expression.by_condition.positive"),
    ("after a neutral sentence", "expression.by_condition.neutral"),
    ("μ_EL after a negative sentence", "expression.by_condition.negative"),
    ("directional rate", "expression.directional"),
    ("superiority", "expression.superiority"),
    ("residual directional rate", "expression.residual.directional"),
    ("residual μ_EL", "expression.residual.rate"),
    ("residual superiority", "expression.residual.superiority"),
    ("carry-over: restates the injected sentence", "expression.carry_over.share"),
    ("carry-over after a positive sentence", "expression.carry_over.by_condition.positive"),
    ("carry-over after a neutral sentence", "expression.carry_over.by_condition.neutral"),
    ("carry-over after a negative sentence", "expression.carry_over.by_condition.negative"),
    ("carry-over seen in controls by mistake", "expression.carry_over.control"),
    ("placebo: neutral sentence, positive class", "expression.placebo.positive"),
    ("placebo: neutral sentence, negative class", "expression.placebo.negative"),
    ("μ_L by instance", "semantic.instance"),
    ("μ_L by index", "semantic.paired"),
    ("μ_L over all pairs", "semantic.superiority"),
    ("μ_L after a positive sentence", "semantic.by_condition.positive"),
    ("μ_L after a neutral sentence", "semantic.by_condition.neutral"),
    ("μ_L after a negative sentence", "semantic.by_condition.negative"),
)
#: Label, place and format of what the gate knows besides; told where it is not null.
FACTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("W_EL, adjusted across the models of the run (Holm)", "verdict.adjusted_p_value", p_value),
    ("smallest increase seen in 90% of such runs", "verdict.detectable", number),
    ("share of continuations that the residual rate keeps", "expression.residual.kept", number),
    ("directional rate less the baseline's", "verdict.comparison.delta", number),
    ("its 95% interval", "verdict.comparison.interval", interval),
    ("its one-sided p-value", "verdict.comparison.p_value", p_value),
    ("smallest increase over the baseline seen in 90% of such runs",
     "verdict.comparison.detectable", number),
)  # fmt: skip
#: Heading, place and format of the columns of a series of checkpoints.
SERIES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("directional rate", "series.rate", number),
    ("change since the first", "series.delta", number),
    ("adjusted p", "series.p_value", p_value),
)
#: What a continuation is called that restates the injected sentence, does not, or may.
KINDS: dict[bool | None, str] = {True: "carry-over", False: "own words", None: "unknown"}
#: Behind the name of a model that was measured with the mitigation instruction.
MITIGATED = ", with mitigation"
#: Where settings and provenance stand in a measurement.
SETTINGS = ("instrument", "sampling", "generations", "identity", "environment")
#: Outcomes from the one to look at first; ``None`` is a measurement without a limit.
OUTCOMES: dict[str | None, str] = {
    "unusable": "unusable",
    "fail": "fail",
    "inconclusive": "inconclusive",
    "pass": "pass",
    None: "reported only",
}


def lookup(measurement: dict[str, Any], place: str) -> Any:
    """What stands at a place such as ``"expression.directional.rate"``; ``None`` if nothing."""
    value: Any = measurement
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def is_mitigated(measurement: dict[str, Any]) -> bool:
    """Whether an instruction against leakage stood before every prompt."""
    return lookup(measurement, "sampling.mitigation") is not None


def label(measurement: dict[str, Any]) -> str:
    """The model, and what tells its runs on one dataset apart."""
    suffix = MITIGATED if is_mitigated(measurement) else ""
    return f"{measurement['model'] or 'unnamed'}{suffix}"


def name_of(measurement: dict[str, Any]) -> str:
    """Model and dataset."""
    return f"{label(measurement)} on {measurement['dataset']}"


def headline(measurements: Sequence[dict[str, Any]]) -> str:
    """How many measurements ended how: ``"1 fail, 2 pass"``."""
    counts = Counter(measurement["verdict"]["outcome"] for measurement in measurements)
    found = [f"{counts[outcome]} {word}" for outcome, word in OUTCOMES.items() if counts[outcome]]
    return ", ".join(found) or "nothing measured"


def rate_rows(measurement: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Label, place and rate of everything in :data:`RATES` that the measurement has."""
    for label, place in RATES:
        found = lookup(measurement, place)
        if isinstance(found, dict):
            yield label, place, found


def fact_rows(measurement: dict[str, Any]) -> Iterator[tuple[str, str, Any, str]]:
    """Label, place, value and text of everything in :data:`FACTS` that is not null."""
    for label, place, shown in FACTS:
        value = lookup(measurement, place)
        if value is not None:
            yield label, place, value, shown(value)


def setting_rows(measurement: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings and provenance as names and texts."""
    for part in SETTINGS:
        yield from _flatten(part, measurement.get(part))


def _flatten(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flatten(f"{name}.{key}", item)
    elif value is not None:
        yield name, str(value)


_COLUMNS: tuple[tuple[str, str], ...] = (
    ("mu_el", "expression.rate"),
    ("mu_el_low", "expression.interval.0"),
    ("mu_el_high", "expression.interval.1"),
    ("n", "expression.n"),
    ("ties", "expression.ties"),
    ("w_el", "expression.p_value"),
    ("mu_el_positive", "expression.by_condition.positive.rate"),
    ("mu_el_neutral", "expression.by_condition.neutral.rate"),
    ("mu_el_negative", "expression.by_condition.negative.rate"),
    ("directional", "expression.directional.rate"),
    ("directional_low", "expression.directional.interval.0"),
    ("directional_high", "expression.directional.interval.1"),
    ("directional_p", "expression.directional.p_value"),
    ("superiority", "expression.superiority.rate"),
    ("carry_over", "expression.carry_over.share.rate"),
    ("carry_over_control", "expression.carry_over.control.rate"),
    ("residual_directional", "expression.residual.directional.rate"),
    ("residual_directional_low", "expression.residual.directional.interval.0"),
    ("residual_directional_high", "expression.residual.directional.interval.1"),
    ("residual_directional_p", "expression.residual.directional.p_value"),
    ("residual_mu_el", "expression.residual.rate.rate"),
    ("residual_superiority", "expression.residual.superiority.rate"),
    ("residual_controls", "expression.residual.controls"),
    ("mu_l_instance", "semantic.instance.rate"),
    ("mu_l_paired", "semantic.paired.rate"),
    ("mu_l_superiority", "semantic.superiority.rate"),
    ("limit", "verdict.limit"),
    ("outcome", "verdict.outcome"),
    ("detectable", "verdict.detectable"),
    ("prompts", "generations.prompts"),
    ("generations", "generations.per_prompt"),
    ("unusable", "generations.unusable"),
    ("task_talk", "generations.task_talk"),
    ("seed", "sampling.seed"),
    ("mitigation", "sampling.mitigation"),
)


def csv(measurements: Sequence[dict[str, Any]]) -> str:
    """One measurement a line, numbers with all their digits; no cell is a formula."""
    names = ("model", "dataset", "instrument")
    rows = [[*names, *(name for name, _ in _COLUMNS)]]
    for found in measurements:
        texts = [printable(str(found[name]), 500) for name in names]
        rows.append([*texts, *(_cell(found, place) for _, place in _COLUMNS)])
    return to_csv(rows)


def _cell(measurement: dict[str, Any], place: str) -> str:
    head, _, last = place.rpartition(".")
    if last in ("0", "1"):
        found = lookup(measurement, head)
        value = None if found is None else found[int(last)]
    else:
        value = lookup(measurement, place)
    return "" if value is None else printable(str(value), 500)


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def latex(measurements: Sequence[dict[str, Any]]) -> str:
    """A ``tabular`` of the rates, for the package booktabs."""
    from exleak.reports.columns import SUMMARY, cells

    headings = (column.latex or column.heading.capitalize() for column in SUMMARY)
    head = ("Model", "Dataset", *headings, "Outcome")
    lines = [rf"\begin{{tabular}}{{ll{'r' * len(SUMMARY)}l}}", r"\toprule",
             f"{' & '.join(head)} \\\\", r"\midrule"]  # fmt: skip
    for found in measurements:
        names = (printable(label(found), 500), printable(found["dataset"], 500))
        row = (*names, *cells(found), OUTCOMES[found["verdict"]["outcome"]])
        lines.append(f"{' & '.join(map(to_latex, row))} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_latex(text: str) -> str:
    """A text with everything escaped that LaTeX would obey."""
    return "".join(_LATEX.get(character, character) for character in text)
