"""A plan in words: a few lines, the last of which says what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exleak.gate.comparison import POWER
from exleak.gate.limits import METRICS
from exleak.planning.plan import MORE_CONTROLS, MORE_GENERATIONS, AgainstLimit, Parts, Plan
from exleak.planning.power import MOST_CONTROLS
from exleak.progress_line import duration

if TYPE_CHECKING:
    from exleak.planning.cost import Cost

#: Number of controls of the larger shipped dataset.
_AEXL = 200
_GIB, _MIB = 2**30, 2**20


def lines(plan: Plan) -> Iterator[str]:
    """The lines of a plan."""
    yield (
        f"run: {plan.dataset}, {plan.controls} controls, {plan.prompts} prompts, "
        f"{plan.generations} continuations each: {plan.continuations:,}"
    )
    yield (
        f"precision: {METRICS[plan.metric]} {plan.rate:.2f} ({plan.rate_is}) would be known to "
        f"± {plan.half_width:.3f} (95%); a control's value varies by {plan.deviation:.2f} "
        f"({plan.how})"
    )
    if plan.limit is not None:
        yield from _limit(plan, plan.limit)
    if plan.detectable is not None:
        yield _baseline(plan)
    if plan.parts is not None:
        yield from _parts(plan, plan.parts)
    if plan.cost is not None:
        yield from costs(plan.cost)
    yield f"next: {_next(plan)}"


def _limit(plan: Plan, limit: AgainstLimit) -> Iterator[str]:
    fails = (
        "fails no model in 90% of runs, whatever its rate"
        if limit.fails_from is None
        else f"fails a model whose true rate is {limit.fails_from:.2f} or more"
    )
    passes = (
        "passes none"
        if limit.passes_up_to is None
        else f"passes one of {limit.passes_up_to:.2f} or less"
    )
    yield (
        f"limit {limit.limit:g}: {fails}, and {passes}, in {POWER:.0%} of runs; between them runs "
        "are often inconclusive"
    )
    if limit.expected is not None:
        found = limit.expected
        yield (
            f"{plan.rate_is} {plan.rate:.3g}: {found.fails:.0%} of runs fail, {found.passes:.0%} "
            f"pass, {found.inconclusive:.0%} are inconclusive"
        )


def _baseline(plan: Plan) -> str:
    within = f", with a margin of {plan.margin:g}" if plan.margin else ""
    what = METRICS["residual" if plan.metric == "residual" else "directional"]
    return (
        f"baseline of one run: an increase of the {what} by {plan.detectable:.3f} fails in "
        f"{POWER:.0%} of runs{within}, if it is the same for all controls"
    )


def _parts(plan: Plan, parts: Parts) -> Iterator[str]:
    if parts.continuations is None or parts.more_generations is None:
        yield (
            f"uncertainty: {MORE_CONTROLS} more controls narrow the interval by "
            f"{parts.more_controls:.0%}; what more continuations would do, the run's generations "
            "file tells (.exleak/runs/, --report FILE.jsonl)"
        )
        return
    verb = "narrow" if parts.more_generations >= 0 else "widen"
    moved = ""
    if plan.metric == "rate":
        moved = f" (and move the rate to {parts.rate_then:.2f})"
    yield (
        f"uncertainty: {1 - parts.continuations:.0%} between controls, {parts.continuations:.0%} "
        f"between continuations; {MORE_GENERATIONS} more per prompt {verb} the interval by "
        f"{abs(parts.more_generations):.0%}{moved}, {MORE_CONTROLS} more controls by "
        f"{parts.more_controls:.0%}"
    )


def costs(cost: Cost) -> Iterator[str]:
    """The lines about seconds and memory."""
    if not cost.continuations:
        yield f"time: nothing to generate: all {cost.stored:,} continuations are stored"
        return
    stored = f" ({cost.stored:,} more are stored)" if cost.stored else ""
    yield (
        f"time: {cost.model}: about {duration(cost.seconds)}: {duration(cost.generating)} for "
        f"{cost.continuations:,} continuations{stored}, {duration(cost.loading)} for loading, "
        f"{duration(cost.scoring)} for scoring"
    )
    memory = "memory: unknown here" if cost.memory is None else f"memory: {_size(cost.memory)}"
    yield (
        f"{memory}, {cost.rows} continuations at once, on {cost.device} in {cost.dtype}; "
        f"from a trial of {cost.tried} continuations"
    )


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def _next(plan: Plan) -> str:
    limit = plan.limit
    if limit is None:
        return "give --max-rate X, and --expected X, to learn how often a run would tell them apart"
    if limit.expected is None:
        return "give --expected X to learn how often such a model fails, and what would be enough"
    found, what = limit.expected, f"to tell {plan.rate:.3g} from {limit.limit:g}"
    if found.is_told:
        return f"run it: {plan.controls} controls are enough {what}"
    if plan.rate == limit.limit:
        return "no run tells a rate from itself; choose a limit that good models keep clearly"
    ways = []
    if limit.generations_needed is not None:
        ways.append(f"--leakage-generations {limit.generations_needed}")
    needed = limit.controls_needed
    if needed is not None and plan.controls < needed <= _AEXL:
        ways.append(f"--leakage-dataset aexl ({_AEXL} controls, with a limit of its own)")
    elif needed is not None:
        ways.append(f"a dataset of {needed:,} controls (exleak aexl build)")
    if not ways:
        return f"{what} more than {MOST_CONTROLS:,} controls are needed: choose another limit"
    return f"{what} in {POWER:.0%} of runs take {' or '.join(ways)}"
