"""Dose and response as lines of text, and as a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from exleak.plotting import check_plot
from exleak.rates.dose import Curve, DoseResponse
from exleak.reports.formatting import interval, number, p_value, printable

#: The curves of a :class:`DoseResponse`, with their names and colours in a plot.
_CURVES = (
    ("expression", "μ_EL", "#d55e00"),
    ("directional", "directional", "#0072b2"),
    ("residual", "residual", "#555555"),
)


def lines(title: str, found: DoseResponse) -> Iterator[str]:
    """The curves of one measurement as lines of text."""
    yield f"{printable(title, 500)}: rate against the intensity of the injected sentence"
    yield "rate         intensity           n  value  95% interval"
    for field, name, _ in _CURVES:
        curve: Curve = getattr(found, field)
        for level in curve.levels:
            span = f"{level.low:g}" if level.low == level.high else f"{level.low:g}–{level.high:g}"
            rate = level.rate
            yield (
                f"{name:11}  {span:15}  {rate.n:4}  {number(rate.rate):5}  "
                f"{interval(rate.interval)}"
            )
        yield (
            f"{name:11}  trend: ρ {number(curve.trend, 2)}, one-sided p of a rise "
            f"{p_value(curve.p_value)}"
        )


def plot(found: Sequence[tuple[str, DoseResponse]], path: Path) -> None:
    """Plot the curves with their intervals, a panel for each measurement.

    Args:
        found: Titles of measurements with their curves, at least one.
        path: A .png, .svg or .pdf file.

    Raises:
        SettingsError: See :func:`exleak.plotting.check_plot`.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(found), 3.8), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for panel, (title, one) in zip(panels, found, strict=True):
        for field, name, colour in _CURVES:
            shown = [level for level in getattr(one, field).levels if level.rate.rate is not None]
            rates = [level.rate.rate for level in shown]
            ends = [level.rate.interval or (level.rate.rate,) * 2 for level in shown]
            below = [rate - end[0] for rate, end in zip(rates, ends, strict=True)]
            above = [end[1] - rate for rate, end in zip(rates, ends, strict=True)]
            panel.errorbar(
                [level.mean for level in shown], rates, (below, above),
                fmt="o-", capsize=3, color=colour, label=name,
            )  # fmt: skip
        panel.axhline(0.5, color="gray", linewidth=1, linestyle=":")
        panel.set_ylim(0, 1)
        panel.set_title(printable(title, 60).replace("$", r"\$"))
        panel.set_xlabel("intensity of the injected sentence")
    panels[0].set_ylabel("rate, with 95% interval")
    panels[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
