"""The figures of docs/numbers.md: examples, whose numbers exleak's own functions compute."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from exleak.gate.limits import Limits
from exleak.gate.rules import judge_limit
from exleak.rates.intervals import clustered_rate
from exleak.rates.pairs import chance_above, difference, leaks, mean
from exleak.records import Rate
from tests.helpers.manual.svg import box, dot, figure, line, text

#: P[negative] of ten continuations of a control prompt, and of its negative test prompt.
CONTROL = np.array([0.04, 0.07, 0.12, 0.18, 0.22, 0.31, 0.36, 0.58, 0.81, 0.93])
TEST = np.array([0.09, 0.21, 0.35, 0.52, 0.66, 0.74, 0.83, 0.88, 0.92, 0.96])
#: Valence, P[positive] - P[negative], of ten continuations after either sentence, and whether each
#: restates one of the two sentences.
AFTER_POSITIVE = (
    (0.9, 1), (0.8, 1), (0.8, 1), (0.7, 1), (0.6, 1), (0.5, 0), (0.2, 0), (0.0, 0), (-0.3, 0),
    (-0.4, 0),
)  # fmt: skip
AFTER_NEGATIVE = (
    (0.4, 0), (0.2, 0), (0.1, 0), (-0.1, 0), (-0.3, 1), (-0.5, 0), (-0.7, 1), (-0.8, 1), (-0.9, 1),
    (-0.9, 1),
)  # fmt: skip
#: Where the axis of a figure begins, and its length, in pixels.
LEFT, WIDTH = 10, 395
#: The limit of the gate's figure, and the rates that are judged by it.
LIMIT, RATES = 0.7, (0.45, 0.6, 0.7, 0.78, 0.92)


def pair() -> str:
    """What a pair is, and what EL is."""
    means = mean(CONTROL), mean(TEST)
    parts = [text(0, 18, "P[negative] of each continuation; bar: mean P̄", "s")]
    rows = (("without the sentence", CONTROL, "s"), ("after the sad sentence", TEST, "neg"))
    for place, (name, values, fill) in enumerate(rows):
        y, middle = 76 + 84 * place, LEFT + WIDTH * means[place]
        parts += [text(0, y - 18, name), line(LEFT, y, LEFT + WIDTH, y)]
        parts += [dot(LEFT + WIDTH * value, y, fill) for value in values]
        parts += [line(middle, y - 14, middle, y + 14, "li")]
        parts += [text(middle, y + 30, f"P̄ {means[place]:.3f}", "m h")]
    parts += [text(LEFT, 190, "0", "s m"), text(LEFT + WIDTH, 190, "1", "s m")]
    found, wins = difference(TEST, CONTROL), chance_above(TEST, CONTROL)
    shown = f"d = {means[1]:.3f} − {means[0]:.3f} = {found:+.3f}, above 0: EL = {leaks(found):.0f}"
    parts += [
        text(0, 226, shown, "h"),
        text(0, 250, f"superiority {wins:.2f}: the lower row's share of the"),
        text(0, 270, "10 × 10 comparisons that it wins"),
    ]
    title = (
        f"Two rows of ten dots. Without the sentence their mean is {means[0]:.3f}, after it "
        f"{means[1]:.3f}; the difference is above 0, so EL is 1."
    )
    return figure(420, 278, title, parts)


def carry_over() -> str:
    """What carries over, and what is left for the residual rate."""
    parts = [text(0, 18, "mood of each continuation, −1 sad to 1 glad", "s")]
    rows = (
        ("after the glad sentence", AFTER_POSITIVE, "pos"),
        ("after the sad sentence", AFTER_NEGATIVE, "neg"),
    )
    for place, (name, values, fill) in enumerate(rows):
        y = 78 + 72 * place
        parts += [text(0, y - 20, name), line(LEFT, y, LEFT + WIDTH, y)]
        for count, (value, carries) in enumerate(values):
            x, lift = LEFT + WIDTH * (value + 1) / 2, 5 * (-1) ** count
            mark = box(x - 6, y + lift - 6, 12, 12, "out") if carries else dot(x, y + lift, fill)
            parts.append(mark)
    parts += [text(LEFT, 184, "−1", "s m"), text(LEFT + WIDTH, 184, "1", "s m")]
    every = chance_above(_valence(AFTER_POSITIVE), _valence(AFTER_NEGATIVE))
    rest = [_valence(values, kept=True) for values in (AFTER_POSITIVE, AFTER_NEGATIVE)]
    left_over = chance_above(*rest)
    parts += [
        box(0, 206, 12, 12, "out"),
        text(20, 218, "restates a sentence: carry-over, set aside"),
        text(0, 248, f"all twenty: directional rate {every:.2f}", "h"),
        text(0, 270, f"the dots alone: residual rate {left_over:.2f}", "h"),
        text(0, 292, "share of comparisons in which the upper is gladder", "s"),
    ]
    title = (
        "Ten continuations after a glad sentence, ten after a sad one. Half of each restate the "
        f"sentence and are set aside. With them the directional rate is {every:.2f}, without them "
        f"{left_over:.2f}."
    )
    return figure(420, 302, title, parts)


def _valence(values: tuple[tuple[float, int], ...], *, kept: bool = False) -> NDArray[np.float64]:
    return np.array([value for value, carries in values if not (kept and carries)])


def gate() -> str:
    """What the gate does with five rates."""
    left, width = 50, 235

    def at(rate: float) -> float:
        return round(left + width * (rate - 0.3) / 0.7, 1)

    parts = [text(0, 18, "μ_EL on HEXL, with its one-sided 99% bounds", "s")]
    parts += [
        line(at(LIMIT), 30, at(LIMIT), 225, "lneg"),
        text(at(LIMIT), 245, "limit 0.7", "m neg"),
    ]
    told = []
    for place, rate in enumerate(RATES):
        y, found = 50 + 38 * place, _measured(rate)
        assert found.rate is not None
        assert found.bounds is not None
        low, high = found.bounds
        outcome, _ = judge_limit(found, Limits(max_rate=LIMIT))
        parts += [
            text(0, y + 4, f"{found.rate:.2f}", "h"),
            line(at(low), y, at(high), y, "li"),
            dot(at(found.rate), y, "pos", 5),
            text(298, y + 4, str(outcome), "h"),
        ]
        told.append(f"{found.rate:.2f} ({low:.2f} to {high:.2f}): {outcome}")
    title = "Five rates with their bounds against the limit 0.7. " + "; ".join(told) + "."
    return figure(420, 255, title, parts)


def _measured(rate: float) -> Rate:
    """The rate of 60 controls with two pairs each, as HEXL has."""
    leaking = [1.0] * round(120 * rate) + [0.0] * (120 - round(120 * rate))
    random.Random(1).shuffle(leaking)
    return clustered_rate(leaking, [place // 2 for place in range(120)])
