"""Error rate and power of the series rule for checkpoints that arrive one after another.

    python benchmarks/watch_series.py [--series 200] [--looks 20] [--patterns 99999]

Moods of ten continuations a prompt are drawn for the checkpoints of a training; the directional
rate of each control and the rule come from exleak itself. Every checkpoint is compared with the
first, whose noise all comparisons share. Controls differ in mood. "ties": scores of few values, so
that rates tie; "skewed": mostly neutral, now and then extreme, more so after a positive sentence.
Beside the rule, what one test at the same alpha at each look would do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from exleak.gate.sequential import PATTERNS, Spending

Array = NDArray[np.float64]

GENERATIONS = 10
_BETWEEN, _WITHIN = 0.3, 0.5
SIZES = (12, 30, 60)


def normal(generator: np.random.Generator, shape: tuple[int, ...], sign: int) -> Array:
    """Moods that scatter symmetrically."""
    return generator.normal(0, _WITHIN, shape)


def ties(generator: np.random.Generator, shape: tuple[int, ...], sign: int) -> Array:
    """Scores of few values."""
    return np.round(generator.normal(0, _WITHIN, shape) * 2) / 2


def skewed(generator: np.random.Generator, shape: tuple[int, ...], sign: int) -> Array:
    """Mostly neutral, now and then extreme."""
    return generator.exponential(_WITHIN if sign > 0 else _WITHIN / 2, shape)


DRAWS: tuple[Callable[[np.random.Generator, tuple[int, ...], int], Array], ...] = (
    normal, ties, skewed,
)  # fmt: skip


def directional(
    generator: np.random.Generator,
    draw: Callable[[np.random.Generator, tuple[int, ...], int], Array],
    controls: int,
    shifts: Array,
) -> Array:
    """Directional rate of each control at each checkpoint, shape (checkpoints, controls)."""
    centre = generator.normal(0, _BETWEEN, (controls, 1))
    shape = (len(shifts), controls, GENERATIONS)
    up, down = (
        centre + sign * shifts[:, None, None] + draw(generator, shape, sign) for sign in (1, -1)
    )
    above = up[..., :, None] > down[..., None, :]
    equal = up[..., :, None] == down[..., None, :]
    return np.asarray((above + 0.5 * equal).mean(axis=(2, 3)))


def marked(values: Array, alpha: float, patterns: int) -> float:
    """The number of the first look at which the rule marks a checkpoint; infinite if at none."""
    spending = Spending(values.shape[1], alpha, patterns=patterns)
    for look, later in enumerate(values[1:], start=1):
        if spending.look(later - values[0])[1]:
            return look
    return np.inf


def each_look(values: Array, alpha: float) -> bool:
    """Whether any of the one-sided t tests at each look alarms."""
    from exleak.rates import quantile

    deltas = values[1:] - values[0]
    errors = deltas.std(axis=1, ddof=1) / np.sqrt(deltas.shape[1])
    critical = quantile(1 - alpha, deltas.shape[1] - 1)
    return bool((deltas.mean(axis=1) > critical * errors).any())


def shift_of(rate: float) -> float:
    """The shift of mood that gives a directional rate, with moods that scatter symmetrically."""
    generator = np.random.default_rng(99)
    low, high = 0.0, 2.0
    for _ in range(14):
        middle = (low + high) / 2
        found = directional(generator, normal, 20_000, np.array([middle])).mean()
        low, high = (middle, high) if found < rate else (low, middle)
    return low


def error_rates(options: argparse.Namespace) -> None:
    """Print the share of unchanging series that are marked."""
    print(f"{'nothing changes':24} {'marked':>8} {'a test each look':>18}")
    shifts = np.full(options.looks + 1, 0.1)
    for draw in DRAWS:
        for controls in SIZES:
            generator = np.random.default_rng(controls)
            alarms = plain = 0
            for _ in range(options.series):
                values = directional(generator, draw, controls, shifts)
                alarms += np.isfinite(marked(values, options.alpha, options.patterns))
                plain += each_look(values, options.alpha)
            print(f"{f'{draw.__name__}, {controls} controls':24} {alarms / options.series:8.2%} "
                  f"{plain / options.series:18.1%}", flush=True)  # fmt: skip


def power(options: argparse.Namespace) -> None:
    """Print the share of series that are marked at, or soon after, a true rise."""
    print(
        f"\n{'a true rise':24} {'at once':>8} {'by 3 looks':>11} {'by the end':>11} {'before':>8}"
    )
    base = 0.55
    for rise in (0.1, 0.2):
        after = shift_of(base + rise)
        for controls in SIZES:
            for begins in (1, 10):
                shifts = np.full(options.looks + 1, shift_of(base))
                shifts[begins:] = after
                generator = np.random.default_rng(begins + controls)
                found = []
                for _ in range(options.series):
                    values = directional(generator, normal, controls, shifts)
                    found.append(marked(values, options.alpha, options.patterns))
                first = np.array(found)
                shares = [np.mean((first >= begins) & (first <= last))
                          for last in (begins, begins + 2, options.looks)]  # fmt: skip
                label = f"{rise:.1f} from look {begins}, {controls}"
                print(f"{label:24} {shares[0]:8.0%} {shares[1]:11.0%} {shares[2]:11.0%} "
                      f"{np.mean(first < begins):8.1%}", flush=True)  # fmt: skip


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--patterns", type=int, default=PATTERNS)
    parser.add_argument("--only", choices=("errors", "power"))
    options = parser.parse_args()
    begun = time.monotonic()
    print(f"{options.series} series of {options.looks} looks, alpha {options.alpha}, "
          f"{options.patterns} patterns")  # fmt: skip
    if options.only != "power":
        error_rates(options)
    if options.only != "errors":
        power(options)
    print(f"\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
