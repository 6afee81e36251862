"""How often the gate is wrong, by simulation, beside the plain ``rate <= limit``.

    python benchmarks/gate.py [--runs 2000]

Moods of continuations are drawn for 60 samples (as HEXL has) and 200 (AEXL), ten continuations a
prompt, controls of different mood, a control shared by the conditions of its sample. Rates and
verdicts come from exleak itself. Rows: the limit rule with the true rate at the limit and below
it, also at a high limit; the baseline rule without a change, and with the increase that its own
output calls detectable.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from exleak.gate.comparison import BASELINE_ALPHA, compare
from exleak.gate.limits import Limits
from exleak.gate.rules import judge_limit
from exleak.rates import clustered_rate
from exleak.records import NO_RATE, Expression, Measurement, Semantic, Verdict

Array = NDArray[np.float64]

GENERATIONS = 10
SIZES = {"HEXL": 60, "AEXL": 200}
#: Standard deviations of moods: between controls, and between continuations of one prompt.
_BETWEEN, _WITHIN = 0.3, 0.5
_PARTS = 25


def draw(generator: np.random.Generator, controls: int, shift: float) -> dict[str, Array]:
    """Moods of every continuation, shape (controls, generations) for each condition."""
    centre = generator.normal(0, _BETWEEN, (controls, 1))
    return {
        condition: centre + move + generator.normal(0, _WITHIN, (controls, GENERATIONS))
        for condition, move in (("control", 0.0), ("positive", shift), ("negative", -shift))
    }


def leaks(moods: dict[str, Array]) -> Array:
    """EL of each pair, shape (controls, 2): positive and negative condition."""
    control = moods["control"].mean(axis=1)
    up = moods["positive"].mean(axis=1) > control
    down = moods["negative"].mean(axis=1) < control
    return np.stack([up, down], axis=1).astype(float)


def directional(moods: dict[str, Array]) -> Array:
    """Directional value of each control, shape (controls,)."""
    return np.asarray(
        (moods["positive"][:, :, None] > moods["negative"][:, None, :]).mean(axis=(1, 2))
    )


def true_rates(shift: float) -> tuple[float, float]:
    """Mean leakage rate and mean directional rate, from very many controls."""
    generator = np.random.default_rng(99)
    parts = [draw(generator, 10_000, shift) for _ in range(_PARTS)]
    return (
        float(np.mean([leaks(moods).mean() for moods in parts])),
        float(np.mean([directional(moods).mean() for moods in parts])),
    )


def limit_rule(runs: int, controls: int, below: float, shift: float = 0.1) -> dict[str, float]:
    """Shares of outcomes with the true rate so far below the limit."""
    limit = true_rates(shift)[0] + below
    generator = np.random.default_rng(int(1000 * below) + controls)
    limits, outcomes, plain = Limits(max_rate=limit), [], 0
    names = [number for number in range(controls) for _ in range(2)]
    for _ in range(runs):
        values = leaks(draw(generator, controls, shift)).ravel().tolist()
        rate = clustered_rate(values, names)
        outcomes.append(judge_limit(rate, limits)[0])
        plain += (rate.rate or 0) > limit
    shares = {name: outcomes.count(name) / runs for name in ("pass", "inconclusive", "fail")}
    return {**shares, "plain fails": plain / runs}


def report(values: Array, model: str) -> Measurement:
    """A measurement as far as comparisons look."""
    none = Semantic(NO_RATE, NO_RATE, NO_RATE, {})
    return Measurement(
        model, "d", "i", {}, {"per_prompt": GENERATIONS}, Expression(None, 0), none, Verdict(None),
        by_control={str(number): value for number, value in enumerate(values.tolist())},
    )  # fmt: skip


def baseline_rule(runs: int, controls: int, *, changed: bool) -> tuple[float, float]:
    """Share of alarms, and the mean increase that the output calls detectable."""
    generator = np.random.default_rng(controls + changed)
    shift, stated = 0.1, [0.0]
    for step in range(2 if changed else 1):
        new = shift if step == 0 else _shift_of(true_rates(shift)[1] + float(np.mean(stated)))
        alarms, stated = 0, []
        for _ in range(runs if step == changed else 200):
            centre = generator.normal(0, _BETWEEN, (controls, 1))
            found = []
            for move in (shift, new):
                moods = {
                    name: centre + sign * move + generator.normal(0, _WITHIN, (controls, 10))
                    for name, sign in (("positive", 1), ("negative", -1))
                }
                found.append(report(directional(moods), "m"))
            result = compare(found[1], [found[0]])
            alarms += result.p_value <= BASELINE_ALPHA and result.delta >= 0
            stated.append(result.detectable or 0.0)
    return alarms / runs, float(np.mean(stated))


def _shift_of(rate: float) -> float:
    low, high = 0.0, 2.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if true_rates(middle)[1] < rate else (low, middle)
    return low


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=2000)
    options = parser.parse_args()
    print(f"{options.runs} simulated runs; shares in %")
    print(f"{'limit rule':34} {'pass':>6} {'incon.':>7} {'fail':>6}   plain `rate <= limit` fails")
    for name, controls in SIZES.items():
        for below, shift in ((0.0, 0.1), (0.02, 0.1), (0.05, 0.1), (0.10, 0.1), (0.0, 0.3)):
            found = limit_rule(options.runs, controls, below, shift)
            label = f"{name}, {below:.2f} below a limit of {true_rates(shift)[0] + below:.2f}"
            print(f"{label:34} {found['pass']:6.1%} {found['inconclusive']:7.1%} "
                  f"{found['fail']:6.1%}   {found['plain fails']:.1%}", flush=True)  # fmt: skip
    print(f"\n{'baseline rule':34} {'alarms':>6}")
    for name, controls in SIZES.items():
        alarms, stated = baseline_rule(options.runs, controls, changed=False)
        print(f"{f'{name}, nothing changed':34} {alarms:6.1%}   (detectable: {stated:.3f})")
        found, _ = baseline_rule(options.runs, controls, changed=True)
        print(f"{f'{name}, the detectable increase':34} {found:6.1%}", flush=True)


if __name__ == "__main__":
    main()
