"""The paper's Tables 2, 3 and 4 with measured and published numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from exleak.files import to_csv
from exleak.paper.runs import Run
from exleak.records import CONDITIONS, PromptScore, Rate
from exleak.reports.columns import lookup
from exleak.reports.formatting import printable
from exleak.reports.latex import to_latex
from exleak.reports.markdown import plain
from exleak.reports.published import Cell, published

#: Marks published numbers that cannot both be right (docs/decisions.md).
FLAG = "†"
_MEASURES = {"mu_l": "μ_L", "mu": "μ_EL", "w": "W_EL", "carry_over": "carry-over",
             "residual": "residual"}  # fmt: skip
_PLACES = {
    "mu_l": "semantic.instance",
    "mu": "expression",
    "w": "expression",
    "carry_over": "expression.carry_over.share",
    "residual": "expression.residual.directional",
}
#: Measures that the paper does not have.
_OURS = ("carry_over", "residual")
_WIDTH = 400
_SYMBOLS = {
    "μ_EL": r"$\mu_{EL}$",
    "μ_L": r"$\mu_L$",
    "W_EL": r"$W_{EL}$",
    "–": "--",
    FLAG: r"\textdagger{}",
}
_SYMBOL = re.compile(f"({'|'.join(_SYMBOLS)})")
#: First code point that LaTeX's fonts usually lack.
_LATIN = 0x250


class Text(NamedTuple):
    """A cell of formatted text.

    Attributes:
        parts: Pairs of text and style: ``""``, ``"injected"``, ``"continuation"``, or
            ``"number"``, which is not escaped in Markdown.
    """

    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table that can be written in several formats.

    Attributes:
        name: File name without suffix.
        title: The title.
        head: Column titles.
        rows: Rows of cells, one per column title.
        remarks: Lines below the table.
        data: The numbers in full precision, for CSV; the first row is the head.
        columns: LaTeX column specification; by default all left-aligned.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    remarks: tuple[str, ...]
    data: tuple[tuple[str, ...], ...]
    columns: str = ""

    def markdown(self) -> str:
        """Render as a Markdown table under a heading."""
        lines = [f"## {self.title}", "", _pipes(self.head), f"|{' --- |' * len(self.head)}"]
        lines += [_pipes([_markdown(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, "", *(f"{line}\n" for line in self.remarks)])

    def latex(self) -> str:
        """Render as a LaTeX ``table`` that uses the package booktabs."""
        columns = self.columns or "l" * len(self.head)
        lines = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{columns}}}"]
        lines += [r"\toprule", f"{' & '.join(map(_latex_text, self.head))} \\\\", r"\midrule"]
        lines += [f"{' & '.join(map(_latex, row))} \\\\" for row in self.rows]
        caption = " ".join([f"{self.title}.", *self.remarks])
        lines += [r"\bottomrule", r"\end{tabular}", rf"\caption{{{_latex_text(caption)}}}"]
        return "\n".join([*lines, r"\end{table}", ""])

    def csv(self) -> str:
        """Render as CSV with numbers in full precision; no cell is a formula."""
        return to_csv([[printable(cell, _WIDTH) for cell in row] for row in self.data])


def rates_table(which: Literal[3, 4], runs: Sequence[Run], datasets: Sequence[str]) -> Table:
    """Table 3, or Table 4 (with the mitigation instruction).

    Args:
        which: Number of the table.
        runs: All runs; those of the other table are ignored.
        datasets: Names of datasets, in column order.
    """
    names = (*(("mu_l",) if which == 3 else ()), "mu", *_OURS, "w")
    mine = [run for run in runs if run.mitigated is (which == 4)]
    by_model: dict[str, dict[str, Run]] = {}
    for run in mine:
        by_model.setdefault(run.preset.name, {})[run.dataset] = run
    rows = tuple(
        (text(model), *(_rate(which, of.get(d), name) for d in datasets for name in names))
        for model, of in by_model.items()
    )
    data = [
        _datum(which, run, name, what)
        for run in mine
        for name, what in ((name, _MEASURES[name]) for name in names)
    ]
    extra = " with the mitigation instruction" if which == 4 else ""
    return Table(
        f"table{which}",
        f"Table {which}: mean leakage rates{extra}",
        ("Model", *(f"{d.upper()} {_MEASURES[name]}" for d in datasets for name in names)),
        rows,
        (
            "In parentheses the published number. In brackets the 95% interval, clustered on "
            "the controls.",
            f"{FLAG} The published pair of μ_EL and W_EL cannot both be right as printed.",
            "Carry-over is the share of continuations that restate the injected sentence, residual "
            "the directional rate of the others (.5 is no leakage). The published numbers were not "
            "decomposed: how much of them is restated content is not known.",
        ),
        (("model", "dataset", "measure", "value", "low", "high", "published", "flagged"), *data),
    )


def _cell(which: Literal[3, 4], run: Run) -> Cell | None:
    return published(which).get(run.preset.name, {}).get(run.dataset)


def _value(run: Run, name: str) -> tuple[float | None, Sequence[float] | None]:
    """The measured number and its interval."""
    rate: Rate = lookup(run.measurement, _PLACES[name])
    if name == "w":
        return rate.p_value, None
    return rate.rate, rate.interval


def _published(which: Literal[3, 4], run: Run, name: str) -> tuple[float | None, bool]:
    """The published number, and whether it is doubtful."""
    cell = _cell(which, run)
    if cell is None:
        return None, False
    value: float | None = getattr(cell, name, None)
    return value, cell.flagged and name in ("mu", "w")


def _rate(which: Literal[3, 4], run: Run | None, name: str) -> Text:
    if run is None:
        return text("–")
    (ours, interval), (theirs, flagged) = _value(run, name), _published(which, run, name)
    shown = _shown(ours, name)
    if interval is not None:
        shown += f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    if name in _OURS:
        return number(shown)
    return number(f"{shown} ({_shown(theirs, name)}{FLAG if flagged else ''})")


def _shown(value: float | None, name: str) -> str:
    return "–" if value is None else f"{value:.2e}" if name == "w" else f"{value:.2f}"


def _datum(which: Literal[3, 4], run: Run, name: str, what: str) -> tuple[str, ...]:
    (ours, interval), (theirs, flagged) = _value(run, name), _published(which, run, name)
    low, high = interval or (None, None)
    numbers = ["" if value is None else str(value) for value in (ours, low, high, theirs)]
    return (run.preset.name, run.dataset, what, *numbers, "yes" if flagged else "")


def samples_table(runs: Sequence[Run], sample: str | None = None) -> Table:
    """Table 2: each model's continuations of the four prompts of one sample.

    Args:
        runs: All runs; those without the mitigation instruction on the first dataset are used.
        sample: Id of the sample; by default the first one that is complete for every model.
    """
    first = runs[0].dataset if runs else ""
    mine = [run for run in runs if run.dataset == first and not run.mitigated]
    chosen = sample or _common_sample(mine)
    rows: list[tuple[Text, ...]] = []
    data: list[tuple[str, ...]] = []
    for run in mine:
        prompts = _prompts(run, chosen)
        for condition in CONDITIONS:
            if condition not in prompts:
                continue
            score = prompts[condition]
            parts = (score.injected or "", score.control, score.typical.sentence)
            kind = "Control" if condition == "control" else "Test"
            label = "–" if condition == "control" else condition.capitalize()
            cell = Text(tuple(zip(parts, ("injected", "", "continuation"), strict=True)))
            rows.append((text(run.preset.name), text(kind), cell, text(label)))
            data.append((run.preset.name, condition, *parts))
    return Table(
        "table2",
        f"Table 2: sample generations on {first.upper()}, sample {chosen}",
        ("Model", "Prompt type", "Prompt and continuation", "Injected expression"),
        tuple(rows),
        (
            "Shown is the continuation closest to the prompt's mean probabilities, not the most "
            "striking one. The paper's own samples are of another dataset and are not repeated.",
        ),
        (("model", "condition", "injected", "control", "continuation"), *data),
        "llp{9cm}l",
    )


def _prompts(run: Run, sample: str) -> dict[str, PromptScore]:
    """The prompts of a sample by condition."""
    wanted = {f"{sample}:{condition}": condition for condition in CONDITIONS}
    return {wanted[p.id]: p for p in run.measurement.prompts if p.id in wanted}


def _common_sample(runs: Sequence[Run]) -> str:
    """The first sample with usable continuations of all four prompts by every model."""
    if not runs:
        return ""
    names = [p.id.rpartition(":")[0] for p in runs[0].measurement.prompts]
    whole = (
        name
        for name in dict.fromkeys(names)
        if all(len(_prompts(run, name)) == len(CONDITIONS) for run in runs)
    )
    return next(whole, names[0] if names else "")


def text(content: str) -> Text:
    """A cell of plain text."""
    return Text(((content, ""),))


def number(content: str) -> Text:
    """A cell of numbers, which need no escaping."""
    return Text(((content, "number"),))


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(cell: Text) -> str:
    marks = {"": "", "injected": "*", "continuation": "**"}
    return " ".join(
        content
        if kind == "number"
        else f"{marks[kind]}{plain(printable(content.strip(), _WIDTH))}{marks[kind]}"
        for content, kind in cell.parts
        if content.strip()
    )


def _latex(cell: Text) -> str:
    commands = {"injected": r"\textit{{{}}}", "continuation": r"\textbf{{{}}}"}
    return " ".join(
        commands.get(kind, "{}").format(_latex_text(content.strip()))
        for content, kind in cell.parts
        if content.strip()
    )


def _latex_text(content: str) -> str:
    """Escape a text for LaTeX; characters that its fonts lack become question marks."""
    return "".join(_SYMBOLS.get(part) or _escaped(part) for part in _SYMBOL.split(content))


def _escaped(content: str) -> str:
    shown = printable(content, _WIDTH * 2)
    return to_latex("".join(c if ord(c) < _LATIN or c in "“”‘’…—" else "?" for c in shown))
