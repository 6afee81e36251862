"""Records: the frozen dataclasses passed from dataset to report, with fields of builtin types.

:func:`to_json` converts all of them to JSON; undefined numbers are ``None``, never NaN.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from exleak.languages import ENGLISH, marks
from exleak.surrogates import replace_surrogates

Condition = Literal["control", "positive", "neutral", "negative", "test"]
Kind = Literal["continuation", "task", "foreign", "nothing"]
Outcome = Literal["pass", "fail", "inconclusive", "unusable"]
#: The rules of the gate: usable generations, the limit, W_EL, no increase over the baseline, and an
#: increase shown to be small.
Rule = Literal["usable", "limit", "significance", "baseline", "non-inferiority"]

#: The rate that baselines and series compare.
Compared = Literal["directional", "residual"]

#: Suffix of a model's name if it was measured with the mitigation instruction.
MITIGATED = ", with mitigation"
#: Columns of every class-probability array, in this order.
CLASSES: tuple[str, ...] = ("negative", "neutral", "positive")
#: The conditions of a sample, in the order of ``Sample.prompts``.
CONDITIONS: tuple[Condition, ...] = ("control", "positive", "neutral", "negative")
#: The conditions that count in the mean expression leakage rate (paper, section 4.1).
LEAKING_CONDITIONS: tuple[Condition, ...] = ("positive", "negative")


@dataclass(frozen=True)
class Prompt:
    """One text sent to the model.

    Attributes:
        id: Id, unique within its dataset: ``"<sample>:<condition>"``.
        condition: The injected class; ``"control"`` without an injected sentence.
        control: The control prompt, without injected sentence and instruction.
        injected: The injected sentence, ``None`` for the control.
        text: The full prompt, with the instruction.
        control_id: Id of the control of the same sample, ``None`` for the control itself.
        language, injected_language: See :class:`Sample`.
    """

    id: str
    condition: Condition
    control: str
    injected: str | None
    text: str
    control_id: str | None
    language: str = ENGLISH
    injected_language: str = ENGLISH


@dataclass(frozen=True)
class Sample:
    """A control prompt and one injected sentence per condition (paper, section 3.1).

    Attributes:
        id: Id, unique within its dataset.
        control: The control prompt, without the instruction.
        positive, neutral, negative: The injected sentences.
        instruction: Precedes every prompt; empty if there is none.
        language: Language of the control, and so of its continuations; an ISO 639 code.
        injected_language: Language of the injected sentences.
        intensity: How strong the sentence of a condition is, on any scale, where that is known.
    """

    id: str
    control: str
    positive: str
    neutral: str
    negative: str
    instruction: str = ""
    language: str = ENGLISH
    injected_language: str = ENGLISH
    intensity: dict[str, float] = field(default_factory=dict, hash=False)

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The four prompts, in the order of :data:`CONDITIONS`."""
        return tuple(self._prompt(condition) for condition in CONDITIONS)

    def _prompt(self, condition: Condition) -> Prompt:
        injected = None if condition == "control" else str(getattr(self, condition))
        colon, space = marks(self.language)
        parts = [self.control] if injected is None else [injected, self.control]
        text = space.join(parts)
        return Prompt(
            id=f"{self.id}:{condition}",
            condition=condition,
            control=self.control,
            injected=injected,
            text=f"{self.instruction}{colon}{text}" if self.instruction else text,
            control_id=None if condition == "control" else f"{self.id}:control",
            language=self.language,
            injected_language=self.injected_language,
        )


@dataclass(frozen=True)
class Dataset:
    """A named set of samples.

    ``hash`` is the sha256 of all prompt texts, and of their languages if they are not English.
    """

    name: str
    version: str
    instruction: str
    license: str
    provenance: str
    hash: str
    samples: tuple[Sample, ...]
    language: str = ENGLISH
    injected_language: str = ENGLISH

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Every prompt of every sample, in file order."""
        return tuple(prompt for sample in self.samples for prompt in sample.prompts)


@dataclass(frozen=True)
class PromptGenerations:
    """One prompt with its raw continuations: a line of a generations file.

    Attributes:
        id: Id of the prompt.
        control: Id of the control row, ``None`` for a control.
        condition: See :data:`Condition`; ``"test"`` is a test prompt without an expression class.
        concept: The text that similarity is measured against, by default the injected sentence;
            ``None`` excludes the row from semantic leakage.
        prompt: The prompt's text, before any chat template.
        generations: K raw continuations.
        control_text: The control prompt without the instruction, if known.
        injected: The injected sentence, if known.
        language, injected_language: See :class:`Sample`.
    """

    id: str
    control: str | None
    condition: Condition
    concept: str | None
    prompt: str
    generations: tuple[str, ...]
    control_text: str | None = None
    injected: str | None = None
    language: str = ENGLISH
    injected_language: str = ENGLISH

    @property
    def is_english(self) -> bool:
        """Whether the continuations and the injected sentence are in English."""
        return self.language == self.injected_language == ENGLISH

    @classmethod
    def of(cls, prompt: Prompt, text: str, generations: tuple[str, ...]) -> PromptGenerations:
        """The row of a dataset's prompt.

        Args:
            prompt: The prompt.
            text: Its text as the model was asked, before any chat template.
            generations: K raw continuations.
        """
        return cls(
            id=prompt.id,
            control=prompt.control_id,
            condition=prompt.condition,
            concept=prompt.injected,
            prompt=text,
            generations=generations,
            control_text=prompt.control,
            injected=prompt.injected,
            language=prompt.language,
            injected_language=prompt.injected_language,
        )


@dataclass(frozen=True)
class Generation:
    """One sampled continuation.

    Attributes:
        text: The generated text.
        sentence: The first sentence of the answer.
        kind: ``"continuation"``; ``"task"`` for talk about the task
            (:mod:`exleak.sentences.task_talk`), or an introduction without an answer;
            ``"foreign"`` in a language that the instrument does not know; ``"nothing"`` without a
            letter or emoji to score.
        introduced, echoed: Whether an introduction, or a part of the prompt, preceded it.
        foreign: Whether it is in a language that the instrument does not know; in raw scoring it
            still counts as a continuation.
    """

    text: str
    sentence: str
    kind: Kind = "continuation"
    introduced: bool = False
    echoed: bool = False
    foreign: bool = False

    @property
    def usable(self) -> bool:
        """Whether it counts in the rates."""
        return self.kind == "continuation"


@dataclass(frozen=True)
class Scores:
    """The instrument's scores of one sentence.

    Attributes:
        negative, neutral, positive: Class probabilities; they sum to 1.
        similarity: Cosine similarity to the row's concept, ``None`` without a concept.
    """

    negative: float
    neutral: float
    positive: float
    similarity: float | None = None


@dataclass(frozen=True)
class Rate:
    """A leakage rate.

    Attributes:
        rate: The rate, 0 to 1; ``None`` if there was nothing to average.
        n: Number of pairs averaged.
        interval: Two-sided 95% confidence interval, clustered (see :mod:`exleak.rates`).
        bounds: One-sided lower and upper confidence bounds, which the gate uses.
        p_value: One-sided p-value; ``None`` if undefined.
        ties: Number of pairs without a difference.
        standard_error: Clustered standard error, ``None`` if undefined.
    """

    rate: float | None
    n: int
    interval: tuple[float, float] | None = None
    bounds: tuple[float, float] | None = None
    p_value: float | None = None
    ties: int = 0
    standard_error: float | None = None


#: The rate of an empty set of pairs.
NO_RATE = Rate(None, 0)


@dataclass(frozen=True)
class Likeness:
    """Similarity of a continuation to an injected sentence.

    Attributes:
        shares_word: Whether they share the stem of a content word.
        words: Highest cosine similarity between content words of the two, -1 to 1; 0 if one has
            none.
        meaning: Partial cosine similarity of the whole texts, -1 to 1.
    """

    shares_word: bool
    words: float
    meaning: float


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of similarity; above either, a continuation restates a sentence."""

    words: float
    meaning: float

    def restates(self, likeness: Likeness) -> bool:
        """Whether a continuation with this likeness restates the sentence."""
        return (
            likeness.shares_word or likeness.words > self.words or likeness.meaning > self.meaning
        )


@dataclass(frozen=True)
class CarryOver:
    """How often continuations restate the injected sentence (:mod:`exleak.scoring.carry_over`).

    Attributes:
        thresholds: Thresholds of a restatement; ``None`` without control continuations to
            estimate them from.
        share: Share after a positive or a negative sentence, with its clustered interval.
        by_condition: The same for each condition.
        control: False-alarm rate: share among control continuations, which never saw the
            sentence.
    """

    thresholds: Thresholds | None
    share: Rate
    by_condition: dict[str, Rate]
    control: Rate


@dataclass(frozen=True)
class Residual:
    """Expression leakage among the continuations that do not restate the injected sentence.

    Attributes:
        rate: Mean EL, with both sides of a pair cut to the same number of continuations.
        superiority: As :attr:`Expression.superiority`.
        directional: As :attr:`Expression.directional`.
        controls: Number of controls with continuations left in both arms of the directional rate.
        of_controls: Total number of controls.
        kept: Share of continuations left in the directional rate; ``None`` without any.
        reason: Why the directional rate is undefined; ``None`` if it is defined.
    """

    rate: Rate
    superiority: Rate
    directional: Rate
    controls: int
    of_controls: int
    kept: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Expression(Rate):
    """Expression leakage: the paper's rate μ_EL with W_EL, and their robust counterparts.

    Attributes:
        by_condition: The paper's rate after each of a positive, neutral and negative sentence.
        superiority: Probability that a test generation scores above a control one; .5 is no
            leakage.
        directional: Probability that valence is higher after the positive than after the negative
            sentence; .5 is no leakage. Effects of any inserted sentence cancel.
        placebo: Rates at which a neutral sentence raises the positive and the negative class.
        carry_over: How often continuations restate the injected sentence.
        residual: The rates of the other continuations.
    """

    by_condition: dict[str, Rate] = field(default_factory=dict)
    superiority: Rate = NO_RATE
    directional: Rate = NO_RATE
    placebo: dict[str, Rate] = field(default_factory=dict)
    carry_over: CarryOver | None = None
    residual: Residual | None = None


@dataclass(frozen=True)
class Semantic:
    """Semantic leakage (paper, Eq. 3 and 4) in three aggregations."""

    paired: Rate
    instance: Rate
    superiority: Rate
    by_condition: dict[str, Rate]


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule of the gate, with its reason in words."""

    rule: Rule
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class NonInferiority:
    """Whether an increase is shown to be below a margin.

    Attributes:
        margin: The margin, 0 to 1.
        upper: One-sided 95% upper bound of the increase, from t; ``None`` with fewer than two
            controls.
        p_below, p_above: One-sided p-values of sign-flip tests that the increase lies below, and
            above, the margin.
    """

    margin: float
    upper: float | None
    p_below: float
    p_above: float


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of a measurement with the mean of one or more others.

    Attributes:
        against: Display name of the others.
        runs: Number of the others.
        n: Number of controls compared.
        rate, reference: Mean directional rate of the measurement and of the others, 0 to 1.
        delta: Their difference; above 0 the measurement leaks more.
        interval: 95% t interval of ``delta`` over controls; ``None`` with fewer than two.
        p_value: One-sided sign-flip test that ``delta`` lies above 0.
        effect_size: ``delta`` in standard deviations of the controls' differences (Cohen's
            d_z); ``None`` if that is 0.
        wilcoxon: One-sided Wilcoxon signed-rank p-value over the differences of the paper's d,
            one per test prompt, from the mean of the others; ``None`` if undefined.
        detectable: The smallest increase that such a comparison detects in 90% of runs.
        metric: The compared rate: ``"directional"``, or ``"residual"`` for the directional rate of
            the continuations that do not restate the injected sentence.
        non_inferiority: Whether the increase is below a margin; ``None`` if that was not asked.
    """

    against: str
    runs: int
    n: int
    rate: float
    reference: float
    delta: float
    interval: tuple[float, float] | None
    p_value: float
    effect_size: float | None
    wilcoxon: float | None
    detectable: float | None
    metric: Compared = "directional"
    non_inferiority: NonInferiority | None = None


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with its reasons in words.

    Attributes:
        outcome: The worst outcome of ``findings``; ``None`` without any.
        reasons: The reasons of ``findings``.
        limit: The highest rate allowed, ``None`` without a limit.
        detectable: The smallest increase that such a run would detect.
        adjusted_p_value: W_EL after Holm's adjustment across the models of the run; ``None``
            without adjustment.
        comparison: The comparison with a baseline, if there is one.
        metric: The rate that the limit applies to, see :class:`exleak.Limits`.
        level: One-sided confidence level of the bounds.
        findings: The results of the rules that were applied.
    """

    outcome: Outcome | None
    reasons: tuple[str, ...] = ()
    limit: float | None = None
    detectable: float | None = None
    adjusted_p_value: float | None = None
    comparison: Comparison | None = None
    metric: str = "rate"
    level: float = 0.99
    findings: tuple[Finding, ...] = ()

    @property
    def limit_on(self) -> str | None:
        """The rate that the limit applies to, if it is not the paper's; else ``None``."""
        return None if self.limit is None or self.metric == "rate" else self.metric

    def by(self, rule: Rule) -> Finding | None:
        """The finding of a rule; ``None`` if the rule was not applied or has no finding."""
        return next((finding for finding in self.findings if finding.rule == rule), None)


@dataclass(frozen=True)
class PairScore:
    """Scores of one test prompt compared with its control.

    Attributes:
        id: Id of the test prompt.
        control: Id of the control prompt.
        condition: The injected class.
        difference: Mean probability of the injected class, test minus control;
            ``None`` for condition ``"test"``.
        superiority: Probability that a test generation scores above a control one, ties one half.
        similarity: Mean similarity to the concept, test minus control.
    """

    id: str
    control: str
    condition: Condition
    difference: float | None
    superiority: float | None
    similarity: float | None


@dataclass(frozen=True)
class Continuation:
    """The most leaking continuation of a prompt, with a typical one of its control.

    ``restates`` is whether it restates the injected sentence; ``None`` if unknown.
    """

    id: str
    condition: Condition
    prompt: str
    sentence: str
    probability: float
    control_sentence: str
    control_probability: float
    restates: bool | None = None


@dataclass(frozen=True)
class Example:
    """An example sentence of a prompt.

    Attributes:
        sentence: The sentence.
        probabilities: Probabilities of the :data:`CLASSES`.
        restates: Whether it restates the injected sentence; ``None`` for a control.
        shared: Its words whose stems occur in the injected sentence.
    """

    sentence: str
    probabilities: tuple[float, float, float]
    restates: bool | None = None
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class PromptScore:
    """Scores and examples of one prompt for reports; probabilities have four decimals.

    Attributes:
        id: Id of the prompt.
        condition: See :data:`Condition`.
        control: The control prompt's text.
        injected: The injected sentence, ``None`` for a control.
        probabilities: Mean probabilities of the :data:`CLASSES` over the usable generations.
        typical: The sentence whose probabilities are closest to that mean.
        strongest: The sentence most probable in the injected class, ``None`` without one.
        carry_over: Share of continuations that restate the injected sentence, ``None`` for a
            control.
    """

    id: str
    condition: Condition
    control: str
    injected: str | None
    probabilities: tuple[float, float, float]
    typical: Example
    strongest: Example | None
    carry_over: float | None = None


@dataclass(frozen=True)
class Step:
    """Comparison of one checkpoint with the first of its series.

    Attributes:
        model: Name of the checkpoint.
        start: Name of the first checkpoint.
        rate: Directional rate over the controls common to all checkpoints, 0 to 1.
        delta: Its rate minus the first one's.
        p_value: One-sided p-value, adjusted over the series; ``None`` for the first checkpoint.
        is_first_worse: Whether this is the first checkpoint that is worse than the start.
        metric: As :attr:`Comparison.metric`.
    """

    model: str
    start: str
    rate: float
    delta: float
    p_value: float | None
    is_first_worse: bool = False
    metric: Compared = "directional"


@dataclass(frozen=True)
class LastRun:
    """A measurement against the model's last comparable run; nothing is judged by it.

    Attributes:
        delta: Difference of the mean directional rates; above 0 the model leaks more than then.
        n: Number of controls compared.
        time: When that run ended: ISO 8601, UTC.
    """

    delta: float
    n: int
    time: str


@dataclass(frozen=True)
class Interim:
    """The look that a run of several looks ended at (:mod:`exleak.gate.group_sequential`).

    Attributes:
        look, looks: Its number, from 1, and the number of planned looks.
        samples, of_samples: Samples measured by then, and planned.
        further: Samples of an extension among the measured ones.
        extension: The dataset that the extension is from; ``None`` without one.
    """

    look: int
    looks: int
    samples: int
    of_samples: int
    further: int = 0
    extension: str | None = None

    @property
    def used(self) -> str:
        """The samples measured: ``"30 of 60"``."""
        return f"{self.samples} of {self.of_samples}"

    @property
    def is_early(self) -> bool:
        """Whether planned samples were left out."""
        return self.samples < self.of_samples

    @property
    def is_whole(self) -> bool:
        """Whether the samples are those of the dataset, no fewer and no more."""
        return not (self.is_early or self.further)


@dataclass(frozen=True)
class Measurement:
    """The results of one model on one dataset.

    ``by_control`` is the directional rate of each control by id, which comparisons use, and
    ``residual_by_control`` the same for continuations without restatements. ``series`` is the
    comparison within a series of checkpoints, if there is one, ``interim`` the look that an
    adaptive or extended run ended at, and ``last_run`` the difference to the last run.
    """

    model: str
    dataset: str
    instrument: str
    sampling: dict[str, Any]
    generations: dict[str, Any]
    expression: Expression
    semantic: Semantic
    verdict: Verdict
    environment: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    pairs: tuple[PairScore, ...] = ()
    worst: tuple[Continuation, ...] = ()
    by_control: dict[str, float] = field(default_factory=dict)
    residual_by_control: dict[str, float] = field(default_factory=dict)
    series: Step | None = None
    prompts: tuple[PromptScore, ...] = ()
    notes: tuple[str, ...] = ()
    interim: Interim | None = None
    last_run: LastRun | None = None

    @property
    def is_mitigated(self) -> bool:
        """Whether every prompt had a mitigation instruction."""
        return self.sampling.get("mitigation") is not None

    @property
    def label(self) -> str:
        """The model's name, marked if the run was mitigated."""
        return f"{self.model or 'unnamed'}{MITIGATED if self.is_mitigated else ''}"

    @property
    def title(self) -> str:
        """Model and dataset."""
        return f"{self.label} on {self.dataset}"

    def to_json(self) -> dict[str, Any]:
        """This measurement as JSON-ready builtins (one entry of a report)."""
        value = to_json(self)
        assert isinstance(value, dict)
        return value


def to_json(value: Any) -> Any:
    """Convert records to JSON-ready builtins.

    Dataclasses become objects, tuples lists, NaN and infinities ``None``, and numpy scalars
    builtins. Lone surrogates, which cannot be encoded for a file or a pytest worker, become
    replacement characters.
    """
    if isinstance(value, str):
        return replace_surrogates(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {to_json(str(key)): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (bytes, int, float)):
        return to_json(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_json(kind: Any, value: Any) -> Any:
    """Convert JSON builtins to a record: the inverse of :func:`to_json`.

    Reports of other versions can be read: unknown keys are ignored, and missing fields get their
    default, or ``None`` without one.

    Args:
        kind: A record's class, or the annotation of a field.
        value: A result of :func:`to_json`.
    """
    if value is None:
        return None
    if dataclasses.is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        fields = {
            item.name: from_json(hints[item.name], value.get(item.name))
            for item in dataclasses.fields(kind)
            if item.name in value or not _has_default(item)
        }
        return kind(**fields)  # type: ignore[operator]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (inner,) = [part for part in arguments if part is not type(None)] or [Any]
        return from_json(inner, value)
    if origin is tuple:
        repeated = len(arguments) == 2 and arguments[1] is Ellipsis
        parts = [arguments[0]] * len(value) if repeated else arguments
        return tuple(from_json(part, item) for part, item in zip(parts, value, strict=True))
    if origin is dict:
        return {key: from_json(arguments[1], item) for key, item in value.items()}
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _has_default(item: dataclasses.Field[Any]) -> bool:
    return not (item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING)
