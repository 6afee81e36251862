"""What records for other people's collections of results have in common.

Each of the kinds ``eval-results``, ``model-card`` and ``eee`` is a record of one model. What a
measurement cannot know, such as the model's id on the hub, is in a :class:`Publication`; nothing
is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from exleak.errors import ReportError, SettingsError
from exleak.gate.limits import METRICS, Metric
from exleak.records import Measurement, Rate, to_json
from exleak.reports.columns import lookup
from exleak.reports.formatting import interval

#: What the evaluator is to the model, in the words of Every Eval Ever.
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
#: The place of each metric that a limit may apply to.
PLACES: dict[Metric, str] = {
    "rate": "expression",
    "directional": "expression.directional",
    "residual": "expression.residual.directional",
}


@dataclass(frozen=True)
class Publication:
    """What a published record says besides the measurements; all of it is optional here.

    Attributes:
        model_id: The model's id on the Hugging Face hub, or in the same form.
        dataset_id: The hub's dataset that has the prompts, or the leaderboard.
        task_id: The task, as the ``eval.yaml`` of that dataset names it.
        revision: That dataset's revision.
        date: When the evaluation was run: a date or time in ISO 8601.
        source_url: Where the results come from, for instance the whole report.
        source_name, source_user, source_org: Its name, and whose it is; they need a URL.
        organization: Who evaluated.
        relationship: One of :data:`RELATIONSHIPS`.
        notes: What a reader should know of the setup.
        metric: The rate to publish, where there is room for one.

    Raises:
        SettingsError: A value is malformed, or the source has no URL.
    """

    model_id: str | None = None
    dataset_id: str | None = None
    task_id: str | None = None
    revision: str | None = None
    date: str | None = None
    source_url: str | None = None
    source_name: str | None = None
    source_user: str | None = None
    source_org: str | None = None
    organization: str | None = None
    relationship: str | None = None
    notes: str | None = None
    metric: Metric = "rate"

    def __post_init__(self) -> None:
        if self.source_url is None:
            for name in ("source_name", "source_user", "source_org"):
                if getattr(self, name) is not None:
                    raise SettingsError(f"{name} needs source_url: a source is a link")
        if self.date is not None:
            try:
                datetime.fromisoformat(self.date)
            except ValueError:
                raise SettingsError(
                    f"date {self.date!r} is not in ISO 8601; write 2026-01-31 or 2026-01-31T12:00Z"
                ) from None
        if self.relationship is not None and self.relationship not in RELATIONSHIPS:
            known = ", ".join(RELATIONSHIPS)
            raise SettingsError(f"relationship {self.relationship!r} is none of {known}")
        if self.metric not in METRICS:
            raise SettingsError(f"metric must be one of {', '.join(METRICS)}, not {self.metric!r}")

    def required(self, name: str, kind: str, what: str) -> str:
        """A field that a kind of record cannot do without.

        Raises:
            SettingsError: It is not given.
        """
        found: str | None = getattr(self, name)
        if not found:
            option = "--" + name.replace("_", "-")
            raise SettingsError(f"{kind} needs {name} ({option}): {what}")
        return found


@dataclass(frozen=True)
class Published:
    """A rate that is published.

    Attributes:
        id: Its name in CSV reports, too.
        place: Its place in a measurement, see :func:`exleak.reports.columns.lookup`.
        name: Its name for readers.
        about: What it is.
    """

    id: str
    place: str
    name: str
    about: str


_HALF = "0.5 is no leakage"
RATES: tuple[Published, ...] = (
    Published(
        "mu_el",
        "expression",
        "μ_EL, expression leakage rate",
        "Share of test prompts after which the class of the injected sentence is more probable "
        "than after the control prompt. Without leakage it is near 0.5, and it depends on the "
        "number of generations per prompt.",
    ),
    Published(
        "directional",
        "expression.directional",
        "directional leakage rate",
        "Probability that a continuation is more positive after the positive than after the "
        f"negative sentence; {_HALF}.",
    ),
    Published(
        "residual_directional",
        "expression.residual.directional",
        "residual directional leakage rate",
        "The directional rate of the continuations that do not restate the injected sentence; "
        f"{_HALF}.",
    ),
    Published(
        "superiority",
        "expression.superiority",
        "superiority",
        "Probability that a continuation of a test prompt has more of the injected class than one "
        f"of its control; {_HALF}.",
    ),
    Published(
        "carry_over",
        "expression.carry_over.share",
        "carry-over",
        "Share of continuations that restate the injected sentence.",
    ),
    Published(
        "mu_l_instance",
        "semantic.instance",
        "μ_L, semantic leakage rate",
        "Share of test prompts whose continuations are more similar to the injected sentence than "
        f"those of the control, on average; {_HALF}.",
    ),
)


def published_rates(measurement: Measurement) -> Iterator[tuple[Published, Rate]]:
    """The :data:`RATES` that a measurement has; an undefined one is left out."""
    for item in RATES:
        rate = lookup(measurement, item.place)
        if isinstance(rate, Rate) and rate.rate is not None:
            yield item, rate


def check_one_model(measurements: Sequence[Measurement], kind: str) -> None:
    """Refuse measurements of several models, of which a record cannot be, or none.

    Raises:
        ReportError: There are several, or two measurements of one dataset that readers could not
            tell apart.
    """
    models = list(dict.fromkeys(measurement.model for measurement in measurements))
    if len(models) != 1:
        found = f"these are {len(models)}: {', '.join(models)}" if models else "there is none"
        raise ReportError(f"a record of kind {kind} is of one model; {found}")
    titles = [measurement.title for measurement in measurements]
    for title in titles:
        if titles.count(title) > 1:
            raise ReportError(
                f"{title}: {titles.count(title)} measurements with different results; give the "
                "reports of one run"
            )


def setup(measurement: Measurement, rate: Rate) -> str:
    """A rate's interval, and how it was measured, in one line."""
    version = measurement.environment.get("packages", {}).get("exleak", "")
    parts = (
        f"95% interval {interval(rate.interval)}" if rate.interval else "",
        f"n = {rate.n}",
        f"{measurement.generations['per_prompt']} generations per prompt",
        f"instrument {measurement.instrument}",
        f"exleak {version}".rstrip(),
        "with mitigation instruction" if measurement.is_mitigated else "",
    )
    return "; ".join(part for part in parts if part)


def as_yaml(value: object) -> str:
    """A record as YAML, in the order given."""
    import yaml

    return str(yaml.safe_dump(to_json(value), sort_keys=False, allow_unicode=True, width=100))
