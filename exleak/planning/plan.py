"""A plan: what a run with these settings can tell, in numbers."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from exleak.planning import power
from exleak.planning.power import Limited
from exleak.rates import CONFIDENCE, LEVEL, quantile

if TYPE_CHECKING:
    from exleak.gate.limits import Metric
    from exleak.planning.cost import Cost
    from exleak.planning.scatter import Scatter

RateIs = Literal["expected", "measured", "assumed"]
#: Further continuations per prompt, and further controls, whose gain is stated.
MORE_GENERATIONS, MORE_CONTROLS = 10, 60


@dataclass(frozen=True)
class AgainstLimit:
    """What a run can tell about a limit.

    Attributes:
        limit: The highest rate allowed.
        fails_from: The lowest true rate that fails in 90% of runs; ``None`` if none does.
        passes_up_to: The highest true rate that passes in 90% of runs; ``None`` if none does.
        expected: Shares of runs by outcome at the expected or measured rate; ``None`` without one.
        controls_needed: Controls with which 90% of runs tell that rate from the limit; ``None``
            without such a rate, or if no reasonable number is enough.
        generations_needed: Continuations per prompt with which they do, with as many controls as
            planned; ``None`` if more continuations do not help or are not enough.
    """

    limit: float
    fails_from: float | None
    passes_up_to: float | None
    expected: Limited | None = None
    controls_needed: int | None = None
    generations_needed: int | None = None


@dataclass(frozen=True)
class Parts:
    """Where the uncertainty of a measured rate comes from, and what would reduce it.

    Attributes:
        continuations: Share of the variance that another draw of the continuations would change;
            the rest lies between controls.
        more_generations: Share by which ten more continuations per prompt narrow the interval.
        more_controls: The same of 60 more controls.
        rate_then: The rate with ten more continuations; that of EL moves away from .5.
    """

    continuations: float | None
    more_generations: float | None
    more_controls: float
    rate_then: float


@dataclass(frozen=True)
class Plan:
    """What a run with these settings can tell.

    Attributes:
        dataset: The dataset's name.
        controls, prompts, generations: Their numbers; generations are per prompt.
        metric: The rate that is judged.
        rate: The rate that the plan is made for.
        rate_is: Whether it is expected by the user, measured, or only assumed.
        deviation: Standard deviation of a control's value at that rate.
        half_width: Half the width of the 95% interval at that rate.
        how: Where the deviation is from.
        limit: Against a limit; ``None`` without one.
        margin: Increase over a baseline that is tolerated.
        detectable: Smallest increase over a baseline of one run, of the rate that baselines
            compare, that fails in 90% of runs; ``None`` if it is not known.
        parts: Of a measurement's uncertainty; ``None`` without a measurement.
        cost: Seconds and memory; ``None`` without a model.
    """

    dataset: str
    controls: int
    prompts: int
    generations: int
    metric: Metric
    rate: float
    rate_is: RateIs
    deviation: float
    half_width: float
    how: str
    limit: AgainstLimit | None
    margin: float
    detectable: float | None
    parts: Parts | None
    cost: Cost | None = None

    @property
    def continuations(self) -> int:
        """Number of continuations of the run."""
        return self.prompts * self.generations

    def to_json(self) -> dict[str, Any]:
        """The plan as builtins."""
        found = {**dataclasses.asdict(self), "continuations": self.continuations}
        return found | {"cost": None if self.cost is None else self.cost.to_json()}


def make_plan(
    scatter: Scatter,
    compared: Scatter | None,
    *,
    dataset: str,
    controls: int,
    prompts: int,
    generations: int,
    metric: Metric,
    max_rate: float | None = None,
    expected: float | None = None,
    margin: float = 0.0,
    level: float = LEVEL,
    is_measured: bool = False,
    cost: Cost | None = None,
) -> Plan:
    """Plan a run.

    Args:
        scatter: How values of controls vary.
        compared: The same for the rate that baselines compare; ``None`` if it is undefined.
        dataset, controls, prompts, generations: The dataset's name and the numbers of the run.
        metric: The rate to judge.
        max_rate: The highest rate allowed, 0 to 1.
        expected: The true rate that is expected, above 0 and below 1.
        margin: Increase over a baseline that is tolerated.
        level: One-sided confidence level of the gate's bounds.
        is_measured: Whether the scatter was measured, so that its parts mean something.
        cost: What the run takes.
    """
    own = scatter.rate_with(generations)
    rate_is: RateIs = "expected" if expected is not None else "assumed"
    if expected is None and is_measured:
        rate_is, expected = "measured", own
    rate = own if expected is None else expected
    relative = scatter.variance_with(generations) / (own * (1 - own))
    deviation = math.sqrt(relative * rate * (1 - rate))
    half = quantile((1 + CONFIDENCE) / 2, max(1, controls - 1)) * deviation / math.sqrt(controls)
    limit = None
    if max_rate is not None:
        limit = _against_limit(scatter, controls, generations, max_rate, expected, metric, level)
    return Plan(
        dataset, controls, prompts, generations, metric, rate, rate_is, deviation,
        half, scatter.how, limit, margin,
        power.detectable_increase(compared, controls, generations, margin) if compared else None,
        parts_of(scatter) if is_measured else None,
        cost,
    )  # fmt: skip


def parts_of(scatter: Scatter) -> Parts:
    """The parts of a measured rate's uncertainty."""
    known = scatter.within is not None
    return Parts(
        scatter.share,
        scatter.narrowed(generations=MORE_GENERATIONS) if known else None,
        scatter.narrowed(controls=MORE_CONTROLS),
        scatter.rate_with(scatter.generations + MORE_GENERATIONS),
    )


def _against_limit(
    scatter: Scatter,
    controls: int,
    generations: int,
    limit: float,
    expected: float | None,
    metric: Metric,
    level: float,
) -> AgainstLimit:
    fails = power.fails_from(limit, scatter, controls, generations, level)
    passes = power.passes_up_to(limit, scatter, controls, generations, level)
    if expected is None:
        return AgainstLimit(limit, fails, passes)
    found = power.against_limit(expected, limit, scatter, controls, generations, level)
    more = None
    if metric != "rate" and scatter.within is not None:  # another K is another rate μ_EL
        more = next(
            (
                times * generations
                for times in (2, 4, 8)
                if power.against_limit(
                    expected, limit, scatter, controls, times * generations, level
                ).is_told
            ),
            None,
        )  # fmt: skip
    needed = power.controls_needed(expected, limit, scatter, generations, level)
    return AgainstLimit(limit, fails, passes, found, needed, more)
