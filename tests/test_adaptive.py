"""Runs that measure more and more samples until the limit rule decides."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import exleak
from exleak import Limits, Sampling, SettingsError
from exleak.adaptive import Looks, extension, shuffled
from exleak.gate.comparison import difference
from exleak.generation.dataset import Generated
from exleak.measurement import About
from exleak.progress import Done
from exleak.records import Dataset, Measurement, Prompt, PromptGenerations, Sample
from exleak.store import Store, read_generations
from tests.helpers.instruments import WORDS

LIMITS = Limits(max_rate=0.6)
SAMPLES = tuple(
    Sample(f"s{number}", f"thing {number} is", "I won.", "I sat.", "I lost.")
    for number in range(80)
)
DATA = Dataset("things", "1", "", "", "", "hash", SAMPLES)
#: Words of rising mood for the instrument.
_TONES = ("bad", "so", "good")


def _row(prompt: Prompt, leak: float) -> PromptGenerations:
    """Continuations that follow the injected mood with this probability."""
    chance = random.Random(f"{prompt.id} {leak}")
    own = {"positive": "good", "negative": "bad"}.get(prompt.condition)
    words = [own if own and chance.random() < leak else chance.choice(_TONES) for _ in range(6)]
    row = PromptGenerations.of(prompt, prompt.text, tuple(f"it was {word}." for word in words))
    return replace(row, concept=None)


class Model:
    """A model whose continuations leak to a known degree; remembers what it was asked."""

    def __init__(self, leak: float) -> None:
        self.leak = leak
        self.asked: list[tuple[str, ...]] = []

    def generate(self, part: Dataset) -> Generated:
        """Continue the prompts."""
        self.asked.append(tuple(sample.id for sample in part.samples))
        rows = tuple(_row(prompt, self.leak) for prompt in part.prompts)
        return Generated(rows, {"weights": "w"}, {"device": "cpu"}, ("a note",))

    def looks(self, data: Dataset = DATA, limits: Limits = LIMITS, **how: object) -> Looks:
        """The looks at it."""
        return Looks(data, limits, self.generate, _score, **how)  # type: ignore[arg-type]


def _score(generated: Generated, level: float) -> Measurement:
    about = About("m", "things", identity={**generated.identity}, notes=generated.notes)
    return exleak.score(generated.rows, WORDS, limits=Limits(0.6, level=level), about=about)


def test_a_clear_case_ends_early() -> None:
    """A model far above the limit fails after a part of the samples, which it says."""
    model = Model(leak=0.95)
    found, limits = model.looks().until_decided(LIMITS)
    assert found.verdict.outcome == "fail"
    assert found.interim is not None
    assert found.interim.used == "20 of 80"
    assert found.generations["prompts"] == 4 * 20
    assert found.verdict.level == limits.level > 0.9999
    assert any(note.startswith("stopped after 20 of 80 samples") for note in found.notes)
    assert [len(part) for part in model.asked] == [20]


def test_a_close_case_uses_every_sample_and_equals_the_full_run() -> None:
    """All rates are those of a run without looks; only the bounds are a little wider."""
    model = Model(leak=0.12)
    found, _ = model.looks().until_decided(LIMITS)
    whole = _score(Model(leak=0.12).generate(DATA), 0.99)
    assert found.interim is not None
    assert not found.interim.is_early
    assert found.expression.rate == whole.expression.rate
    assert found.expression.interval == whole.expression.interval
    assert found.by_control == whole.by_control
    assert [row.id for row in found.pairs] == [row.id for row in whole.pairs]
    assert found.notes == whole.notes
    assert sorted(sum(model.asked, ())) == sorted(sample.id for sample in SAMPLES)


def test_each_sample_is_generated_once_however_many_tests_ask() -> None:
    """Tests with other limits read the looks that are there, each to its own decision."""
    model = Model(leak=0.95)
    looks = model.looks()
    first, _ = looks.until_decided(LIMITS)
    closer, _ = looks.until_decided(Limits(max_rate=0.9))
    again, _ = looks.until_decided(LIMITS)
    assert first.interim is not None
    assert closer.interim is not None
    assert closer.interim.samples > first.interim.samples
    assert again == first
    every = sum(model.asked, ())
    assert len(every) == len(set(every))


def test_the_order_is_that_of_dataset_and_seed() -> None:
    """Random, the same in each process, another with another seed; a control's samples together."""
    twice = [replace(sample, id=f"{sample.id} again") for sample in SAMPLES]
    order = shuffled([*SAMPLES, *twice], "hash", 0)
    assert [sample.id for sample in shuffled(SAMPLES, "hash", 0)] != [s.id for s in SAMPLES]
    assert shuffled(SAMPLES, "hash", 0) == shuffled(SAMPLES[::-1], "hash", 0)
    assert shuffled(SAMPLES, "hash", 0) != shuffled(SAMPLES, "hash", 1)
    assert shuffled(SAMPLES, "hash", 0) != shuffled(SAMPLES, "other", 0)
    assert [sample.control for sample in order[::2]] == [sample.control for sample in order[1::2]]


def test_an_inconclusive_run_goes_on_with_further_samples() -> None:
    """They are those that a limit left out; the verdict is that of all of them together."""
    part = replace(DATA, samples=SAMPLES[:20])
    model = Model(leak=0.45)
    more = extension(part, 60, 0, DATA)
    found, _ = model.looks(part, adaptive=False, extended_by=more).until_decided(LIMITS)
    assert found.interim is not None
    assert (found.interim.used, found.interim.further) == ("80 of 80", 60)
    assert found.interim.extension == "things"
    assert found.verdict.outcome == "fail"
    assert [len(part) for part in model.asked] == [20, 60]
    assert "extended by 60 samples of things" in found.notes[0]


def test_a_decided_run_is_not_extended() -> None:
    """The further samples are not touched."""
    model = Model(leak=1.0)
    more = extension(DATA, "aexl", 0)
    found, _ = model.looks(adaptive=False, extended_by=more).until_decided(LIMITS)
    assert found.interim is not None
    assert (found.interim.used, found.interim.further) == ("80 of 280", 0)
    assert [len(part) for part in model.asked] == [80]


def test_an_extension_takes_what_a_limit_left_out_first() -> None:
    """Then AEXL; a number takes so many, a name all of that dataset alone."""
    part = replace(DATA, samples=SAMPLES[:70])
    assert {s.id for s in extension(part, 10, 0, DATA).samples} == {s.id for s in SAMPLES[70:]}
    more = extension(part, 12, 0, DATA)
    assert more.origin == "things and aexl"
    assert len(extension(part, "aexl", 0, DATA).samples) == 200
    assert extension(part, "aexl", 0, DATA).origin == "aexl"


@pytest.mark.parametrize(
    ("extend", "said"),
    [
        (0, "by 1 to 200 samples, not 0"),
        (201, "by 1 to 200 samples, not 201"),
        ("hexl", "a whole number or 'aexl'"),
        (True, "a whole number or 'aexl'"),
    ],
)
def test_an_impossible_extension_is_refused(extend: int | str, said: str) -> None:
    """The message says how many there are."""
    with pytest.raises(SettingsError, match=said):
        extension(DATA, extend, 0)


def test_aexl_cannot_be_extended_by_itself() -> None:
    """Nothing is left of it; and ids must stay unique."""
    aexl = exleak.load_dataset("aexl")
    with pytest.raises(SettingsError, match="no further samples"):
        extension(aexl, "aexl", 0)
    clash = replace(DATA, samples=aexl.samples[:3])
    with pytest.raises(SettingsError, match="give its samples other ids"):
        extension(clash, "aexl", 0)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(max_rate=0.5, significance="forbid"),
        Limits(max_rate=0.5, margin=0.0),
        Limits(max_rate=0.5, non_inferior=0.05),
    ],
)
def test_rules_that_need_every_sample_are_refused(limits: Limits) -> None:
    """Looks keep the error rate of the limit rule alone."""
    with pytest.raises(SettingsError, match="adaptive and extended runs"):
        Model(0.5).looks(limits=limits)


def test_a_part_is_not_compared_with_the_whole() -> None:
    """Nor with another part; a run that took every look is a whole one."""
    early = Model(0.95).looks().until_decided(LIMITS)[0]
    full = _score(Model(0.95).generate(DATA), 0.99)
    assert "part of the dataset measured" in (difference(early, full) or "")
    last = Model(0.12).looks().until_decided(LIMITS)[0]
    assert difference(last, _score(Model(0.12).generate(DATA), 0.99)) is None


def test_the_generations_file_has_what_was_used(tmp_path: Path) -> None:
    """One file of all looks, which gives the same rates when it is scored."""
    store = Store(tmp_path)
    found, _ = Model(0.95).looks(store=store).until_decided(LIMITS)
    (file,) = store.runs.glob("*.jsonl")
    assert len(read_generations(file)) == found.generations["prompts"]
    assert exleak.score(file, WORDS).expression.rate == found.expression.rate


def test_a_model_is_measured_adaptively(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Python, and a stopped run is continued, not repeated."""
    made: list[int] = []
    # Some texts of random weights cannot be scored.
    monkeypatch.setattr("exleak.gate.rules.unusable_because", lambda *given: None)

    def count(done: Done) -> None:
        made.extend([1] * (done.phase == "generating" and done.count > 0))

    data = exleak.load_dataset("hexl", limit=8)
    sampling = Sampling(generations=2, max_new_tokens=4)
    measure: Callable[..., Measurement] = exleak.measure

    def run(**how: object) -> Measurement:
        return measure(llama, data, instrument=WORDS, sampling=sampling, store=tmp_path,
                       progress=count, **how)  # fmt: skip

    early = run(adaptive=True, limits=Limits(max_rate=1.0))
    assert early.interim is not None
    assert early.interim.is_early
    assert len(made) == early.interim.samples * 4 * 2
    whole = run()
    assert len(made) == 8 * 4 * 2
    assert whole.interim is None


def test_a_run_that_was_ended_in_a_look_goes_on(llama: Path, tmp_path: Path) -> None:
    """It takes the same looks, to the same verdict, and generates nothing twice."""
    data = exleak.load_dataset("hexl", limit=8)
    sampling = Sampling(generations=2, max_new_tokens=4)
    # Between the bounds of every look, so that all are taken.
    limits = Limits(max_rate=0.5)
    made: list[int] = []

    def run(store: Path, end: int = 10_000) -> Measurement:
        def count(done: Done) -> None:
            made.extend([1] * (done.phase == "generating" and done.count > 0))
            if len(made) == end:
                raise KeyboardInterrupt

        return exleak.measure(llama, data, instrument=WORDS, sampling=sampling, limits=limits,
                              store=store, adaptive=True, progress=count)  # fmt: skip

    whole = run(tmp_path / "whole")
    made.clear()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "ended", end=25)
    resumed = run(tmp_path / "ended")
    assert len(made) == 8 * 4 * 2
    assert resumed.expression == whole.expression
    assert (resumed.interim, resumed.verdict) == (whole.interim, whole.verdict)
