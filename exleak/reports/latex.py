"""The rates as a LaTeX table that uses the package booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from exleak.records import Measurement
from exleak.reports.columns import SUMMARY, cells, outcome_of
from exleak.reports.formatting import printable

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
}  # fmt: skip


def render(measurements: Sequence[Measurement]) -> str:
    """Render a ``tabular`` of the summary's columns."""
    headings = (column.latex or (column.heading or "").capitalize() for column in SUMMARY)
    head = ("Model", "Dataset", *headings, "Outcome")
    lines = [rf"\begin{{tabular}}{{ll{'r' * len(SUMMARY)}l}}", r"\toprule",
             f"{' & '.join(head)} \\\\", r"\midrule"]  # fmt: skip
    for measurement in measurements:
        names = (printable(measurement.label, 500), printable(measurement.dataset, 500))
        row = (*names, *cells(measurement), outcome_of(measurement))
        lines.append(f"{' & '.join(map(to_latex, row))} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def to_latex(text: str) -> str:
    """A text with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in text)
