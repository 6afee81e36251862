"""The columns of every kind of report, in one list.

A place is a path such as ``"expression.directional.rate"``, the same in a
:class:`exleak.records.Measurement` and in its JSON. To add a number to all reports, add a line to
:data:`COLUMNS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exleak.gate.comparison import BASELINE_ALPHA
from exleak.records import Measurement, Outcome, Rate, Step
from exleak.reports.formatting import change, interval, number, p_value, signed, value


def _limit(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:g}"


@dataclass(frozen=True)
class Column:
    """A number of a measurement.

    Attributes:
        place: Its path, as for :func:`lookup`.
        name: Its column name in CSV; ``None`` omits it there.
        heading: Its heading in the summary table of all other kinds of report; ``None`` omits it
            there.
        shown: Formats the value for these tables.
        latex: The heading for LaTeX, if different.
        only_known: Whether tables leave it out where no measurement has it.
    """

    place: str
    name: str | None
    heading: str | None = None
    shown: Callable[[Any], str] = value
    latex: str | None = None
    only_known: bool = False

    @property
    def title(self) -> str:
        """Its heading, or its name where it has none."""
        return self.heading or self.name or self.place


COLUMNS: tuple[Column, ...] = (
    Column("expression.rate", "mu_el", "μ_EL", latex=r"$\mu_{EL}$"),
    Column("expression.interval", None, "95% interval", interval, r"95\% interval"),
    Column("expression.interval.0", "mu_el_low"),
    Column("expression.interval.1", "mu_el_high"),
    Column("expression.n", "n"),
    Column("expression.ties", "ties"),
    Column("expression.p_value", "w_el", "W_EL", p_value, r"$W_{EL}$"),
    Column("expression.by_condition.positive.rate", "mu_el_positive"),
    Column("expression.by_condition.neutral.rate", "mu_el_neutral"),
    Column("expression.by_condition.negative.rate", "mu_el_negative"),
    Column("expression.directional.rate", "directional", "directional"),
    Column("expression.directional.interval.0", "directional_low"),
    Column("expression.directional.interval.1", "directional_high"),
    Column("expression.directional.p_value", "directional_p"),
    Column("expression.superiority.rate", "superiority"),
    Column("expression.carry_over.share.rate", "carry_over", "carry-over"),
    Column("expression.carry_over.control.rate", "carry_over_control"),
    Column("expression.residual.directional.rate", "residual_directional", "residual"),
    Column("expression.residual.directional.interval.0", "residual_directional_low"),
    Column("expression.residual.directional.interval.1", "residual_directional_high"),
    Column("expression.residual.directional.p_value", "residual_directional_p"),
    Column("expression.residual.rate.rate", "residual_mu_el"),
    Column("expression.residual.superiority.rate", "residual_superiority"),
    Column("expression.residual.controls", "residual_controls"),
    Column("semantic.instance.rate", "mu_l_instance", "μ_L", latex=r"$\mu_L$"),
    Column("semantic.paired.rate", "mu_l_paired"),
    Column("semantic.superiority.rate", "mu_l_superiority"),
    Column("verdict.limit", "limit", "limit", _limit),
    Column("verdict.limit_on", "limit_on", "limit on", only_known=True),
    Column("verdict.outcome", "outcome"),
    Column("verdict.detectable", "detectable"),
    Column("verdict.comparison.delta", "delta", "Δ", signed, only_known=True),
    Column("last_run.delta", "last_run_delta", "Δ last run", change, only_known=True),
    Column("interim.used", "samples"),
    Column("generations.prompts", "prompts"),
    Column("generations.per_prompt", "generations"),
    Column("generations.unusable", "unusable"),
    Column("generations.task_talk", "task_talk"),
    Column("generations.foreign", "foreign"),
    Column("sampling.seed", "seed"),
    Column("sampling.mitigation", "mitigation"),
)
#: The columns of the summary table.
SUMMARY: tuple[Column, ...] = tuple(
    column for column in COLUMNS if column.heading is not None and not column.only_known
)

#: Label and place of each rate.
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
#: Label, place and format of additional numbers, most from the gate; shown if not null.
FACTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("W_EL, adjusted across the models of the run (Holm)", "verdict.adjusted_p_value", p_value),
    ("smallest increase seen in 90% of such runs", "verdict.detectable", number),
    ("samples measured until the limit rule decided", "interim.used", str),
    ("share of continuations that the residual rate keeps", "expression.residual.kept", number),
    ("directional rate less the baseline's", "verdict.comparison.delta", number),
    ("its 95% interval", "verdict.comparison.interval", interval),
    ("its one-sided p-value", "verdict.comparison.p_value", p_value),
    ("smallest increase over the baseline seen in 90% of such runs",
     "verdict.comparison.detectable", number),
)  # fmt: skip
#: Heading, place and format of the columns for a series of checkpoints.
SERIES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("directional rate", "series.rate", number),
    ("change since the first", "series.delta", number),
    ("adjusted p", "series.p_value", p_value),
)
#: Display name of a continuation, by whether it restates the injected sentence.
KINDS: dict[bool | None, str] = {True: "carry-over", False: "own words", None: "unknown"}
#: Attributes of a measurement with settings and provenance.
SETTINGS = ("instrument", "sampling", "generations", "identity", "environment")
#: Display names of outcomes, most urgent first; ``None`` is a measurement without a limit.
OUTCOMES: dict[Outcome | None, str] = {
    "unusable": "unusable",
    "fail": "fail",
    "inconclusive": "inconclusive",
    "pass": "pass",
    None: "reported only",
}


def lookup(measurement: Measurement, place: str) -> Any:
    """The value at a place such as ``"expression.interval.0"``; ``None`` if there is none."""
    found: Any = measurement
    for key in place.split("."):
        if found is None:
            return None
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, tuple):
            found = found[int(key)]
        else:
            found = getattr(found, key)
    return found


def cells(measurement: Measurement, columns: Sequence[Column] = SUMMARY) -> Iterator[str]:
    """The formatted columns of one measurement, by default the :data:`SUMMARY`'s."""
    return (column.shown(lookup(measurement, column.place)) for column in columns)


def outcome_of(measurement: Measurement, word: str | None = None) -> str:
    """The outcome as tables show it, with the samples that an adaptive or extended run used.

    Args:
        measurement: The measurement.
        word: Another word for the outcome.
    """
    word = word or OUTCOMES[measurement.verdict.outcome]
    return f"{word}, {measurement.interim.used} samples" if measurement.interim else word


def headline(measurements: Sequence[Measurement]) -> str:
    """The number of measurements by outcome: ``"1 fail, 2 pass"``."""
    counts = Counter(measurement.verdict.outcome for measurement in measurements)
    parts = [f"{counts[outcome]} {word}" for outcome, word in OUTCOMES.items() if counts[outcome]]
    return ", ".join(parts) or "nothing measured"


def rate_rows(measurement: Measurement) -> Iterator[tuple[str, str, Rate]]:
    """Label, place and value of the :data:`RATES` that the measurement has."""
    for label, place in RATES:
        rate = lookup(measurement, place)
        if isinstance(rate, Rate):
            yield label, place, rate


def fact_rows(measurement: Measurement) -> Iterator[tuple[str, str, Any, str]]:
    """Label, place, value and text of the :data:`FACTS` that are not null."""
    for label, place, shown in FACTS:
        found = lookup(measurement, place)
        if found is not None:
            yield label, place, found, shown(found)


def setting_rows(measurement: Measurement) -> Iterator[tuple[str, str]]:
    """Settings and provenance as names and texts."""
    for part in SETTINGS:
        yield from _flatten(part, getattr(measurement, part))


def _flatten(name: str, part: Any) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        for key, item in part.items():
            yield from _flatten(f"{name}.{key}", item)
    elif part is not None:
        yield name, str(part)


def series_mark(step: Step) -> str:
    """The remark on a checkpoint of a series; empty if it is not worse than the start."""
    if step.is_first_worse:
        return "first worse than the start"
    is_worse = step.p_value is not None and step.p_value <= BASELINE_ALPHA
    return "worse than the start" if is_worse else ""
