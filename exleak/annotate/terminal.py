"""A human check as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from exleak.annotate.agreement import Agreement
from exleak.annotate.comparison import Comparison, Labelling
from exleak.annotate.corrected import Corrected
from exleak.annotate.intervals import Estimate
from exleak.annotate.report import Report
from exleak.annotate.votes import Majority
from exleak.records import Rate

_WIDTH = 34


def lines(report: Report) -> Iterator[str]:
    """The report, line by line."""
    people = ", ".join(f"{name} ({given})" for name, given in report.annotators.items())
    yield f"export {report.export}: {report.items} items, answered by {people}"
    for agreement in report.agreement:
        yield from _agreement(agreement)
        if agreement.question in report.majority:
            yield from _majority(report.majority[agreement.question])
    if report.comparison:
        yield from _comparison(report.comparison, report)
    if report.corrected:
        yield from _corrected(report.corrected)
    if report.labelling:
        yield from _labelling(report.labelling)
    yield ""
    for agreement in report.agreement:
        for warning in agreement.warnings:
            yield f"warning: {agreement.question}: {warning}"
    for note in report.notes:
        yield f"note: {note}"


def _agreement(found: Agreement) -> Iterator[str]:
    yield ""
    yield f"{found.question}: {found.items} items with two answers or more"
    yield _row("raw agreement", found.raw)
    for name, estimate in found.by_category.items():
        yield _row(f"  on {name!r} ({found.answers[name]} answers)", estimate)
    for name, estimate in found.by_condition.items():
        yield _row(f"  of {name} items", estimate)
    yield _row("unanimous items", found.unanimous)
    if found.complete < found.items:
        yield _row(f"Fleiss' kappa ({found.complete} complete items)", found.fleiss)
    else:
        yield _row("Fleiss' kappa", found.fleiss)
    yield _row("Krippendorff's alpha", found.alpha)


def _majority(found: Majority) -> Iterator[str]:
    ties = "; ".join(f"{item} ({', '.join(names)})" for item, names in found.ties.items())
    named = f": {ties}" if ties else ""
    yield f"  majority on {len(found.winners)} items, {len(found.ties)} ties{named}"


def _comparison(found: Comparison, report: Report) -> Iterator[str]:
    name, digest = report.instrument or ("", "")
    yield ""
    yield f"people and machine, {found.items} positive and negative items"
    yield f"  instrument {name} ({digest[:12]}), on the sentences shown"
    yield _row("human leakage rate", found.human)
    yield _row("automatic rate, same items", found.automatic)
    if report.run:
        yield _row("μ_EL of the run, all generations", report.run)
    yield _row("accuracy", found.accuracy)
    yield _row("Cohen's kappa", found.kappa)
    yield _row("rank correlation, d and votes", found.correlation)
    for name, estimate in found.influence.items():
        yield _row(f"influence seen, {name} items", estimate)
    if found.undecided:
        yield f"  undecided items, left out of rates and kappa: {', '.join(found.undecided)}"


def _corrected(found: Corrected) -> Iterator[str]:
    ties = f", {found.undecided} undecided count one half" if found.undecided else ""
    change = "narrower" if found.narrower >= 0 else "wider"
    yield ""
    yield f"the run's {found.prompts} test prompts, one generation and one of the control"
    yield f"  {found.items} items answered{ties}"
    yield _row("automatic rate, all pairs", found.automatic)
    yield _row("human rate, items alone", found.human)
    yield _row("human rate, corrected", found.rate)
    yield f"  weight of the machine: λ = {found.weight:.2f}"
    yield f"  interval {abs(found.narrower):.0%} {change} than that of the items alone"


def _labelling(found: Labelling) -> Iterator[str]:
    yield ""
    yield f"people and dataset, {found.items} sentences with a majority"
    yield _row("majority as the dataset", found.accuracy)
    yield _row("Cohen's kappa", found.kappa)
    for item, sentence, given, voted in found.differing:
        yield f"  {item}: dataset {given}, majority {voted}: {sentence}"


def _row(name: str, found: Estimate | Rate) -> str:
    value = found.rate if isinstance(found, Rate) else found.value
    if value is None:
        return f"  {name:<{_WIDTH}} undefined  (n = {found.n})"
    shown = f"  {name:<{_WIDTH}} {value:6.3f}"
    if found.interval:
        low, high = found.interval
        return f"{shown}  [{low:.3f}, {high:.3f}]  (n = {found.n})"
    return f"{shown}  no interval  (n = {found.n})"
