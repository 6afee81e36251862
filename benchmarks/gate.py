"""How often the gate is wrong, by simulation, beside the plain ``rate <= limit``.

    python benchmarks/gate.py [--runs 2000]

Moods of continuations are drawn for 60 samples (as HEXL has) and 200 (AEXL), ten continuations a
prompt, controls of different mood, a control shared by the conditions of its sample. Rates and
verdicts come from exleak itself. Rows: the limit rule with the true rate at the limit and below
it, also at a high limit; the same with adaptive looks, and with an extension; the baseline rule
without a change, and with the increase that its own output calls detectable; the non-inferiority
rule with the increase at the margin, and without one.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from exleak.gate.comparison import BASELINE_ALPHA, compare
from exleak.gate.group_sequential import design
from exleak.gate.limits import Limits
from exleak.gate.rules import judge_limit, judge_non_inferiority
from exleak.rates import clustered_rate
from exleak.records import NO_RATE, Expression, Measurement, Semantic, Verdict

Array = NDArray[np.float64]

GENERATIONS = 10
SIZES = {"HEXL": 60, "AEXL": 200}
#: Standard deviations of moods: between controls, and between continuations of one prompt.
_BETWEEN, _WITHIN = 0.3, 0.5
_PARTS = 25
#: The limit of the adaptive rows, and their true rates.
_LIMIT = 0.70
_TRUE_RATES = (0.50, 0.60, 0.65, 0.70, 0.75, 0.80, 0.90)


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


def adaptive_rule(
    runs: int, controls: int, limit: float, rate: float, *, adaptive: bool = True, further: int = 0
) -> dict[str, float]:
    """Shares of outcomes with looks, the decided share of full runs, and the controls used."""
    shift = _shift_of(rate, 0)
    generator = np.random.default_rng(int(1000 * rate) + controls + further)
    looks = design(controls, 0.99, adaptive=adaptive, further=further)
    outcomes, whole, used = [], [], 0
    names = [number for number in range(controls + further) for _ in range(2)]
    for _ in range(runs):
        values = leaks(draw(generator, controls + further, shift)).ravel().tolist()
        for look in looks:
            end = 2 * look.samples
            found = clustered_rate(values[:end], names[:end], level=look.level)
            outcome = judge_limit(found, Limits(max_rate=limit, level=look.level))[0]
            if outcome in ("pass", "fail"):
                break
        outcomes.append(outcome)
        used += look.samples
        full = clustered_rate(values[: 2 * controls], names[: 2 * controls])
        whole.append(judge_limit(full, Limits(max_rate=limit))[0])
    shares = {name: outcomes.count(name) / runs for name in ("pass", "inconclusive", "fail")}
    return {
        **shares,
        "full run decides": 1 - whole.count("inconclusive") / runs,
        "used": used / runs / controls,
    }


def non_inferiority_rule(runs: int, controls: int, margin: float, increase: float) -> float:
    """Share of runs that pass, with a true increase over one baseline run."""
    generator = np.random.default_rng(controls + int(1000 * increase))
    shift = 0.1
    new = _shift_of(true_rates(shift)[1] + increase)
    limits, passed = Limits(margin=margin, non_inferior=margin), 0
    for _ in range(runs):
        before, after = _two_reports(generator, controls, shift, new)
        found = compare(after, [before], margin=margin)
        passed += judge_non_inferiority(found, limits)[0] == "pass"
    return passed / runs


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
            before, after = _two_reports(generator, controls, shift, new)
            result = compare(after, [before])
            alarms += result.p_value <= BASELINE_ALPHA and result.delta >= 0
            stated.append(result.detectable or 0.0)
    return alarms / runs, float(np.mean(stated))


def _two_reports(
    generator: np.random.Generator, controls: int, shift: float, new: float
) -> list[Measurement]:
    """Measurements of two models on the same controls."""
    centre = generator.normal(0, _BETWEEN, (controls, 1))
    found = []
    for move in (shift, new):
        moods = {
            name: centre + sign * move + generator.normal(0, _WITHIN, (controls, GENERATIONS))
            for name, sign in (("positive", 1), ("negative", -1))
        }
        found.append(report(directional(moods), "m"))
    return found


def _shift_of(rate: float, which: int = 1) -> float:
    """The shift of a true rate: the mean leakage rate (0) or the directional one (1)."""
    low, high = 0.0, 2.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if true_rates(middle)[which] < rate else (low, middle)
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
    print(f"\n{'limit .70, adaptive':34} {'pass':>6} {'incon.':>7} {'fail':>6}   "
          "decided  full run   share of controls used")  # fmt: skip
    cells = [(name, rate, True, 0) for name in SIZES for rate in _TRUE_RATES]
    cells += [("HEXL", rate, adaptive, 200) for adaptive in (False, True) for rate in (0.6, 0.7)]
    for name, rate, adaptive, further in cells:
        found = adaptive_rule(
            options.runs, SIZES[name], _LIMIT, rate, adaptive=adaptive, further=further
        )
        label = f"{name}, true rate {rate:.2f}" + (f", +{further}" if further else "")
        label += "" if adaptive else ", one look each"
        print(f"{label:34} {found['pass']:6.1%} {found['inconclusive']:7.1%} {found['fail']:6.1%}"
              f"   {1 - found['inconclusive']:7.3f} {found['full run decides']:9.3f}"
              f"   {found['used']:.2f}", flush=True)  # fmt: skip
    print(f"\n{'non-inferiority, margin .05':34} {'passes':>6}")
    for name, controls in SIZES.items():
        for increase in (0.05, 0.0):
            share = non_inferiority_rule(options.runs, controls, 0.05, increase)
            print(f"{f'{name}, true increase {increase:.2f}':34} {share:6.1%}", flush=True)
    print(f"\n{'baseline rule':34} {'alarms':>6}")
    for name, controls in SIZES.items():
        alarms, stated = baseline_rule(options.runs, controls, changed=False)
        print(f"{f'{name}, nothing changed':34} {alarms:6.1%}   (detectable: {stated:.3f})")
        found, _ = baseline_rule(options.runs, controls, changed=True)
        print(f"{f'{name}, the detectable increase':34} {found:6.1%}", flush=True)


if __name__ == "__main__":
    main()
