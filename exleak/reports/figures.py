"""Figures as SVG: rates with limits, rates by condition (the paper's Figure 2), histograms.

Horizontal positions are shares of the width, and text sizes are in pixels, so a figure fits any
page that is wide enough for its labels. Colours come from the page's style sheet or from
:func:`standalone`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from exleak.reports.formatting import interval, number, printable, tail

Span = tuple[float, float]
#: Left and right end of a scale, as shares of the width.
_WHOLE: Span = (0.0, 1.0)
_BARS: Span = (0.25, 0.88)
_LABEL = 40
_BINS = 40
_HEIGHT = 96


@dataclass(frozen=True)
class Mark:
    """A rate to draw.

    Attributes:
        label: Name of the model or condition.
        rate: The rate; ``None`` if undefined, which draws nothing.
        interval: Confidence interval, drawn as a line.
        limit: Limit, drawn as a vertical bar.
        flagged: Whether this is a published number that cannot be right.
        source: Place of the number in the report, ``""`` for a published one.
    """

    label: str
    rate: float | None
    interval: Sequence[float] | None = None
    limit: float | None = None
    flagged: bool = False
    source: str = ""


def rates(name: str, title: str, marks: Sequence[Mark], published: Sequence[Mark] = ()) -> str:
    """Measured rates with intervals and limits, above the published rates.

    Args:
        name: Id of the figure, unique on its page.
        title: Accessible title.
        marks: The measured rates.
        published: The paper's rates; it gives no intervals.
    """
    parts, y = [], 0
    for mark in marks:
        parts += _label(mark, y)
        parts += _whisker(mark, y + 28, _WHOLE)
        if mark.limit is not None:
            at = _x(mark.limit, _WHOLE)
            parts.append(f'<line class="limit" x1="{at}" x2="{at}" y1="{y + 17}" y2="{y + 39}"/>')
        if mark.rate is not None:
            parts.append(
                f'<circle class="dot" cx="{_x(mark.rate, _WHOLE)}" cy="{y + 28}" r="5.5"/>'
            )
        y += 44
    for mark in published:
        sign = " †" if mark.flagged else ""
        shown = f"{_clip(mark.label)} {number(mark.rate, 2)}{sign}"
        kind = "reference doubtful" if mark.flagged else "reference"
        parts.append(f'<text class="muted" x="0" y="{y + 13}">{escape(shown)}</text>')
        if mark.rate is not None:
            parts.append(
                f'<circle class="{kind}" cx="{_x(mark.rate, _WHOLE)}" cy="{y + 9}" r="4.5"/>'
            )
        y += 19
    return _figure(name, title, [*marks, *published], _scale(y, _WHOLE, _TICKS) + parts, y + 22)


def conditions(name: str, title: str, groups: Sequence[tuple[str, Sequence[Mark]]]) -> str:
    """Bars in groups: the rates of a model after a positive, neutral and negative sentence.

    Args:
        name: Id of the figure, unique on its page.
        title: Accessible title.
        groups: Label and bars of each group; the label of a bar is its condition.
    """
    parts, y = [], 0
    for label, marks in groups:
        parts.append(f'<text class="strong" x="0" y="{y + 13}">{escape(_clip(label))}</text>')
        y += 20
        for mark in marks:
            parts += _bar(mark, y)
            y += 17
        y += 8
    marks = [
        Mark(f"{label}, {mark.label}", mark.rate, mark.interval)
        for label, group in groups
        for mark in group
    ]
    return _figure(name, title, marks, _scale(y, _BARS, _TICKS) + parts, y + 22)


def histogram(name: str, title: str, series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Stacked histogram of differences of probabilities, from -1 to 1.

    Args:
        name: Id of the figure, unique on its page.
        title: Accessible title.
        series: Each condition, which sets the colour, with its differences.
    """
    counts = [(kind, _count(values)) for kind, values in series]
    top = max((sum(column) for column in zip(*(c for _, c in counts), strict=True)), default=0)
    parts = []
    for place in range(_BINS):
        base = float(_HEIGHT)
        for kind, bins in counts:
            height = _HEIGHT * bins[place] / (top or 1)
            base -= height
            if height:
                parts.append(
                    f'<rect class="{_kind(kind)}" x="{_percent(place / _BINS)}" y="{base:.1f}" '
                    f'width="{_percent(1 / _BINS)}" height="{height:.1f}"/>'
                )
    ticks = ((0.0, "−1"), (0.25, "−.5"), (0.5, "0"), (0.75, ".5"), (1.0, "1"))
    zero = f'<line class="null" x1="50%" x2="50%" y1="0" y2="{_HEIGHT}"/>'
    body = [*_scale(_HEIGHT, _WHOLE, ticks), *parts, zero]
    return _figure(name, title, [], body, _HEIGHT + 22)


def standalone(figure: str, width: int = 640) -> str:
    """A figure as a separate SVG file, with a margin and the light page's colours."""
    _, _, rest = figure.partition('height="')
    height = int(rest.partition('"')[0])
    inner = figure.replace('width="100%"', f'x="12" y="12" width="{width - 24}"', 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 24}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{inner}</svg>\n'
    )


_TICKS = ((0.0, "0"), (0.25, ".25"), (0.5, ".5"), (0.75, ".75"), (1.0, "1"))
_STYLE = """
svg { overflow: visible; font: 12px "DejaVu Sans", "Segoe UI", sans-serif; }
text { fill: #1f2328; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.muted { fill: #5b626b; } .strong { font-weight: 600; }
.grid { stroke: #dddbd3; } .null { stroke: #5b626b; stroke-dasharray: 3 3; }
.whisker { stroke: #1f2328; stroke-width: 2; } .limit { stroke: #b3261e; stroke-width: 3; }
.dot { fill: #1f5f8b; } .reference { fill: none; stroke: #5b626b; stroke-width: 1.5; }
.doubtful { stroke-dasharray: 2 2; }
.positive { fill: #3b7fb8; } .neutral { fill: #9aa0a6; } .negative { fill: #d0742c; }
""".strip()


def _x(value: float, span: Span) -> str:
    left, right = span
    return _percent(left + min(max(value, 0.0), 1.0) * (right - left))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"


def _clip(label: str) -> str:
    return tail(printable(label, 500), _LABEL)


def _kind(condition: str) -> str:
    return condition if condition in ("positive", "neutral", "negative") else "neutral"


def _label(mark: Mark, y: int) -> list[str]:
    return [
        f'<text class="strong" x="0" y="{y + 13}">{escape(_clip(mark.label))}</text>',
        f'<text class="strong" text-anchor="end" x="100%" y="{y + 13}"{_source(mark)}>'
        f"{number(mark.rate)}</text>",
    ]


def _bar(mark: Mark, y: int) -> list[str]:
    left, right = _BARS
    parts = [f'<text class="muted" x="0" y="{y + 12}">{escape(_clip(mark.label))}</text>']
    if mark.rate is not None:
        width = _percent(mark.rate * (right - left))
        parts.append(
            f'<rect class="{_kind(mark.label)}" x="{_percent(left)}" y="{y + 2}" '
            f'width="{width}" height="12"/>'
        )
    return [
        *parts,
        *_whisker(mark, y + 8, _BARS),
        f'<text text-anchor="end" x="100%" y="{y + 12}"{_source(mark)}>{number(mark.rate)}</text>',
    ]


def _whisker(mark: Mark, y: int, span: Span) -> list[str]:
    if mark.interval is None:
        return []
    low, high = (_x(end, span) for end in mark.interval)
    return [f'<line class="whisker" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>']


def _scale(height: int, span: Span, ticks: Sequence[tuple[float, str]]) -> list[str]:
    """Grid lines with their numbers below; the line at .5 marks no leakage."""
    parts = []
    for value, label in ticks:
        at, kind = _x(value, span), "null" if value == 0.5 else "grid"
        anchor = {0.0: "start", 1.0: "end"}.get(value, "middle")
        parts += [
            f'<line class="{kind}" x1="{at}" x2="{at}" y1="0" y2="{height}"/>',
            f'<text class="muted" text-anchor="{anchor}" x="{at}" y="{height + 15}">{label}</text>',
        ]
    return parts


def _source(mark: Mark) -> str:
    return f' data-at="{escape(mark.source)}"' if mark.source else ""


def _count(values: Sequence[float]) -> list[int]:
    """Number of differences per bin; bins include their right end, so 0 is not right of centre."""
    counts = [0] * _BINS
    for value in values:
        place = -int(-(value + 1) / 2 * _BINS // 1) - 1
        counts[min(max(place, 0), _BINS - 1)] += 1
    return counts


def _describe(mark: Mark) -> str:
    parts = [f"{printable(mark.label, 500)}: {number(mark.rate)}"]
    if mark.interval is not None:
        parts.append(f"95% interval {interval(mark.interval)}")
    if mark.limit is not None:
        parts.append(f"limit {mark.limit:g}")
    return ", ".join(parts)


def _figure(name: str, title: str, marks: Sequence[Mark], parts: Sequence[str], height: int) -> str:
    described = "; ".join(map(_describe, marks))
    return (
        f'<svg class="figure" role="img" aria-labelledby="{name}-t {name}-d" width="100%" '
        f'height="{height}"><title id="{name}-t">{escape(printable(title, 1000))}</title>'
        f'<desc id="{name}-d">{escape(described)}</desc>{"".join(parts)}</svg>'
    )
