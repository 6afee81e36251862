"""The paper's Figure 1 (length of injected sentences) and Figure 2 (rates per injected class).

Each is drawn from a table of its numbers, which is written beside the figure. matplotlib is
optional: ``pip install 'exleak[plots]'``.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.datasets.stats import load_tokenizer
from exleak.errors import SettingsError
from exleak.paper.runs import Run
from exleak.paper.tables import Table, number, text
from exleak.plotting import load_matplotlib
from exleak.records import CLASSES, Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Mean tokens of the injected sentences in the paper's datasets (section 4.2).
PUBLISHED_LENGTHS = {
    "hexl": {"negative": 9.40, "neutral": 8.48, "positive": 9.35},
    "aexl": {"negative": 12.70, "neutral": 15.70, "positive": 9.80},
}
_GPT2 = "openai-community/gpt2"
#: Colours that colour-blind readers and grey prints can distinguish (Okabe and Ito 2008).
_COLOURS = {"negative": "#d55e00", "neutral": "#999999", "positive": "#0072b2"}
_HATCHES = {"negative": "", "neutral": "..", "positive": "//"}
_KINDS = ("png", "svg")
_DPI = 150


def lengths_table(datasets: Sequence[Dataset]) -> Table:
    """Figure 1's numbers: mean length of the injected sentences, in GPT-2 tokens.

    If GPT-2's tokenizer is neither in the hub's cache nor reachable, lengths are in wordpieces.
    """
    try:
        count, unit = load_tokenizer(_GPT2), "GPT-2 tokens"
    except SettingsError:
        count, unit = load_tokenizer("wordpiece"), "wordpieces (GPT-2's tokenizer is not at hand)"
    rows, data = [], []
    for dataset in datasets:
        for label in CLASSES:
            lengths = count([str(getattr(sample, label)) for sample in dataset.samples])
            mean, theirs = statistics.fmean(lengths), PUBLISHED_LENGTHS.get(dataset.name, {})
            known = theirs.get(label)
            shown = f"{mean:.2f} ({'–' if known is None else f'{known:.2f}'})"
            rows.append((text(dataset.name.upper()), text(label.capitalize()), number(shown)))
            data.append((dataset.name, label, str(mean), "" if known is None else str(known)))
    return Table(
        "figure1",
        f"Figure 1: mean length of the injected sentences, in {unit}",
        ("Dataset", "Injected expression", "Mean length"),
        tuple(rows),
        ("In parentheses what the paper gives for its own datasets, in GPT-2 tokens.",),
        (("dataset", "class", "mean", "published"), *data),
    )


def conditions_table(runs: Sequence[Run]) -> Table:
    """Figure 2's numbers, not printed in the paper: leakage rates by injected class."""
    rows, data = [], []
    for run in _ordered(runs):
        for label in CLASSES:
            rate = run.measurement.expression.by_condition[label]
            low, high = rate.interval or (None, None)
            shown = "–" if low is None else f"{rate.rate:.2f} [{low:.2f}, {high:.2f}]"
            names = (run.dataset.upper(), run.preset.name, label.capitalize())
            rows.append((*map(text, names), number(shown)))
            numbers = ["" if v is None else str(v) for v in (rate.rate, low, high)]
            data.append((run.dataset, run.preset.name, label, *numbers))
    return Table(
        "figure2",
        "Figure 2: expression leakage rate per injected expression",
        ("Dataset", "Model", "Injected expression", "Rate"),
        tuple(rows),
        ("In brackets the 95% interval. The paper draws these rates without printing them.",),
        (("dataset", "model", "class", "rate", "low", "high"), *data),
    )


def _ordered(runs: Sequence[Run]) -> list[Run]:
    """Runs without the mitigation instruction, by dataset, small models first."""
    plain = [run for run in runs if not run.mitigated]
    places = {name: i for i, name in enumerate(dict.fromkeys(run.dataset for run in plain))}
    return sorted(plain, key=lambda run: (places[run.dataset], run.preset.size or 0.0))


def draw_lengths(table: Table) -> Figure:
    """Figure 1: a panel for each dataset, with measured means as bars and published as marks."""
    names = list(dict.fromkeys(row[0] for row in table.data[1:]))
    figure, panels = _panels(1, len(names), (3.4 * len(names), 3.4))
    for panel, name in zip(panels, names, strict=True):
        for place, (_, label, mean, known) in enumerate(r for r in table.data[1:] if r[0] == name):
            panel.bar(place, float(mean), color=_COLOURS[label], hatch=_HATCHES[label],
                      edgecolor="white")  # fmt: skip
            panel.annotate(f"{float(mean):.2f}", (place, float(mean) / 2), ha="center",
                           bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
            if known:
                panel.plot(place, float(known), "D", color="black", markersize=6,
                           label="the paper's dataset" if place == 0 else None)  # fmt: skip
        panel.set_xticks(range(len(CLASSES)), CLASSES)
        panel.set_title(name.upper())
        panel.set_xlabel("injected sentence")
        panel.margins(y=0.15)
    panels[0].set_ylabel(f"mean length\n{table.title.partition(', in ')[2].partition(' (')[0]}")
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(loc="upper left", frameon=False, fontsize="small")
        panels[0].margins(y=0.35)
    return figure


def draw_conditions(table: Table) -> Figure:
    """Figure 2: a panel for each dataset, with three bars and their intervals for each model."""
    names = list(dict.fromkeys(row[0] for row in table.data[1:]))
    most = max(len({row[1] for row in table.data[1:] if row[0] == name}) for name in names)
    figure, panels = _panels(len(names), 1, (max(5.0, 1.5 + 0.8 * most), 3.3 * len(names)))
    for panel, name in zip(panels, names, strict=True):
        rows = [row for row in table.data[1:] if row[0] == name]
        _bars(panel, rows)
        panel.axhline(0.5, color="black", linewidth=1, linestyle="--")
        panel.set_ylim(0, 1)
        panel.set_ylabel("leakage rate")
        panel.set_title(f"{name.upper()} (dashed: no leakage)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(panel: Axes, rows: Sequence[Sequence[str]]) -> None:
    models = list(dict.fromkeys(row[1] for row in rows))
    for bar, label in enumerate(CLASSES):
        places, heights, errors = [], [], ([], [])  # type: ignore[var-annotated]
        for _, model, condition, rate, low, high in rows:
            if condition == label and rate:
                places.append(models.index(model) + (bar - 1) * 0.27)
                heights.append(float(rate))
                errors[0].append(max(0.0, float(rate) - float(low)))
                errors[1].append(max(0.0, float(high) - float(rate)))
        panel.bar(places, heights, 0.25, label=f"{label} sentence", color=_COLOURS[label],
                  hatch=_HATCHES[label], edgecolor="white", yerr=errors,
                  error_kw={"elinewidth": 1, "capsize": 2})  # fmt: skip
    panel.set_xticks(range(len(models)), models, rotation=35, ha="right", fontsize="small")
    panel.set_xlim(-0.6, len(models) - 0.4)


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Any]]:
    load_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG; equal numbers give identical files."""
    import matplotlib as mpl

    paths = [folder / f"{name}.{kind}" for kind in _KINDS]
    with mpl.rc_context({"svg.hashsalt": name}):
        for path in paths:
            dated = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, dpi=_DPI, metadata=dated)
    return paths
