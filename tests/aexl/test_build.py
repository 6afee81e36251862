"""Algorithm 1 as a whole: what comes out, what it depends on, what is said when it cannot."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exleak import DatasetError, SettingsError, load_dataset
from exleak.aexl import Recipe, build
from exleak.aexl.filters import FILTERS
from exleak.cli import main
from exleak.scoring import Instrument
from tests.aexl import fake

ROOT = Path(__file__).parents[2]


class Interrupted(fake.FakeExpression):
    """Scores one block, then is interrupted."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3)."""
        if self.seen:
            raise KeyboardInterrupt
        return super().predict(texts)


class SureOfToday(fake.FakeExpression):
    """Sure of the class of what is said of today, not of the rest."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3)."""
        rows = super().predict(texts)
        best = np.where(["today" in text for text in texts], 0.9, 0.65)[:, None]
        return np.where(rows == rows.max(axis=1, keepdims=True), best, (1 - best) / 2)


class SureOfMoods(fake.FakeExpression):
    """Nearly sure of every class."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3)."""
        rows = super().predict(texts)
        return np.where(rows == rows.max(axis=1, keepdims=True), 0.9, 0.05)


def make(source: Path, output: Path, **settings: Any) -> bytes:
    """Build and return the file's bytes."""
    settings = {"recipe": fake.RECIPE, "instrument": fake.instrument(), "store": None, **settings}
    build([source], output, **settings)
    return output.read_bytes()


def test_a_dataset_has_its_samples_and_their_labels(tmp_path: Path) -> None:
    """Sixteen samples; the classes are the scorer's, controls are cut from neutral sentences."""
    source = fake.write(tmp_path / "text.txt")
    make(source, tmp_path / "out.jsonl")
    data = load_dataset(tmp_path / "out.jsonl")
    assert (data.name, len(data.samples)) == ("out", 16)
    assert all("glad" in sample.positive for sample in data.samples)
    assert all("awful" in sample.negative for sample in data.samples)
    neutral = [text for text in fake.sentences(400) if text.startswith("The")]
    assert {sample.neutral for sample in data.samples} <= set(neutral)
    for sample in data.samples:
        assert sum(text.startswith(f"{sample.control} ") for text in neutral) == 1
        assert not sample.neutral.startswith(sample.control)


def test_no_sentence_is_used_twice(tmp_path: Path) -> None:
    """Controls and injected sentences are all distinct, and no control is cut from one of them."""
    make(fake.write(tmp_path / "text.txt"), tmp_path / "out.jsonl")
    samples = load_dataset(tmp_path / "out.jsonl").samples
    texts = [text for s in samples for text in (s.control, s.positive, s.neutral, s.negative)]
    assert len(set(texts)) == len(texts)
    assert not any(s.neutral.startswith(f"{c.control} ") for s in samples for c in samples)


def test_the_bytes_depend_on_the_sentences_not_on_their_order(tmp_path: Path) -> None:
    """A shuffled text, spread over two files of a folder, gives the same dataset."""
    source = fake.write(tmp_path / "text.txt")
    lines = source.read_text().splitlines(keepends=True)
    random.Random(3).shuffle(lines)
    folder = tmp_path / "shuffled"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("".join(lines[:150]))
    (folder / "deep" / "b.txt").write_text(" ".join("".join(lines[150:]).split("\n")))
    rows = make(source, tmp_path / "one.jsonl").splitlines()[1:]
    assert make(folder, tmp_path / "two.jsonl").splitlines()[1:] == rows


def test_another_seed_gives_another_dataset(tmp_path: Path) -> None:
    """The same seed gives the same bytes, another one does not."""
    source = fake.write(tmp_path / "text.txt")
    seeds = [dataclasses.replace(fake.RECIPE, seed=seed) for seed in (0, 0, 1)]
    one, again, other = (
        make(source, tmp_path / "out.jsonl", recipe=recipe).splitlines() for recipe in seeds
    )
    assert one == again
    assert len(set(one[1:]) & set(other[1:])) < 4


def test_the_report_names_the_second_scorer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its hash."""
    second = SimpleNamespace(hash="of the second")
    monkeypatch.setattr("exleak.aexl.builder.second_scorer", lambda *arguments: second)
    make(fake.write(tmp_path / "text.txt"), tmp_path / "o.jsonl")
    found = json.loads((tmp_path / "o.report.json").read_text())["instrument"]
    assert found["second scorer"] == "of the second"


def test_the_report_accounts_for_every_sentence(tmp_path: Path) -> None:
    """What was found was rejected by a named filter or passed in a class."""
    source = fake.write(tmp_path / "text.txt")
    with source.open("a") as file:
        file.write("See www.example.org for the list of towns.\nToo short.\n" + "A" * 9 + "\n\n")
        file.write("A glad house is in the lot.\nA glad house is in the lot.\n")
    report = build([source], tmp_path / "o.jsonl", recipe=fake.RECIPE, store=None,
                   instrument=fake.instrument())  # fmt: skip
    found = json.loads((tmp_path / "o.report.json").read_text())
    assert found == report.to_json()
    assert set(found["instrument"]) == {"name", "hash"}
    counts = found["sentences"]
    assert counts["found"] == 405
    assert counts["rejected"] == {"length": 2, "link": 1}
    assert sum(counts["rejected"].values()) + sum(counts["passed"].values()) == 405
    assert found["records"] == {"read": 405, "blank": 1}
    assert found["classes"]["positive"]["duplicates"] == 1


def test_lengths_are_balanced_unless_told_not_to(tmp_path: Path) -> None:
    """Class means are within half a token, in a text where they are far apart."""
    lines = fake.sentences(600)
    lines = [text.replace("The ", "The tall and wide ") if i % 6 else text
             for i, text in enumerate(lines)]  # fmt: skip
    source = tmp_path / "text.txt"
    source.write_text("\n".join(lines))
    spreads = []
    for balance in (True, False):
        recipe = dataclasses.replace(fake.RECIPE, top=120, sampled=100, balance=balance)
        report = build([source], tmp_path / "out.jsonl", recipe=recipe, store=None,
                       instrument=fake.instrument())  # fmt: skip
        spreads.append(report.spread())
    assert spreads[0] <= 0.5 < spreads[1]


def test_a_paraphrase_of_the_control_is_not_injected_before_it(tmp_path: Path) -> None:
    """Control and injected sentences share no word with a topic."""
    source = tmp_path / "text.txt"
    topics = ["harbour", "kettle", "violin"]
    lines = []
    for i, text in enumerate(fake.sentences(500)):
        text = text.replace(" of the ", f" of the {topics[i % 7 % 3]} ")
        lines.append(text.replace("The ", f"The {topics[i % 5 % 3]} "))
    source.write_text("\n".join(lines))
    recipe = dataclasses.replace(fake.RECIPE, top=100, sampled=80, max_overlap=1)
    make(source, tmp_path / "out.jsonl", recipe=recipe)
    for sample in load_dataset(tmp_path / "out.jsonl").samples:
        for topic in topics:
            if topic in sample.control:
                assert topic not in f"{sample.positive} {sample.neutral} {sample.negative}"


def test_the_published_algorithm_takes_sentences_as_drawn(tmp_path: Path) -> None:
    """Without filters and balancing, a line of markup may be in the dataset."""
    source = tmp_path / "text.txt"
    source.write_text("\n".join(f"<b>{text}</b>" for text in fake.sentences(300)))
    recipe = Recipe.published(top=60, sampled=40, samples=16, truncation="half")
    make(source, tmp_path / "out.jsonl", recipe=recipe)
    samples = load_dataset(tmp_path / "out.jsonl").samples
    assert all(sample.positive.startswith("<b>") for sample in samples)
    with pytest.raises(DatasetError, match=r"no negative sentences.*300 were rejected"):
        make(source, tmp_path / "out.jsonl")


def test_the_published_algorithm_gives_the_bytes_that_it_always_gave(tmp_path: Path) -> None:
    """The digest was taken before filters, controls and confidences were changed."""
    source = fake.write(tmp_path / "text.txt", 300)
    recipe = Recipe.published(top=60, sampled=40, samples=16)
    data = make(source, tmp_path / "out.jsonl", recipe=recipe)
    assert hashlib.sha256(data).hexdigest() == (
        "1399b6e7826771051237c204c96c29f56bb7099e390609aaecd07b4664c58f95"
    )


def test_controls_that_any_mood_can_follow_come_first(tmp_path: Path) -> None:
    """Where enough sentences have a form of "be", no control stops behind an article."""
    texts = [text.replace(" was ", " keeps the ") if i % 6 else text
             for i, text in enumerate(fake.sentences(600)) if i % 3 == 0]  # fmt: skip
    moods = [text for i, text in enumerate(fake.sentences(600)) if i % 3]
    source = tmp_path / "text.txt"
    source.write_text("\n".join(texts + moods))
    recipe = dataclasses.replace(fake.RECIPE, top=200, sampled=48)
    make(source, tmp_path / "out.jsonl", recipe=recipe)
    controls = [sample.control for sample in load_dataset(tmp_path / "out.jsonl").samples]
    assert {control.split()[-1] for control in controls} == {"was"}


def test_controls_in_the_middle_of_a_story_come_later(tmp_path: Path) -> None:
    """Those behind a "be" are all used where they are too few, and alone where they are not."""
    source = tmp_path / "text.txt"
    recipe = dataclasses.replace(fake.RECIPE, top=200, sampled=90)
    moods = [text for i, text in enumerate(fake.sentences(600)) if i % 3]
    neutral = fake.sentences(600)[::3]
    for kept, endings in ((12, {"was": 12, "and": 4}), (60, {"was": 16})):
        stories = [text.replace(" was ", f" {fake.word(i, 20)}ed and slept ")
                   for i, text in enumerate(neutral[kept:])]  # fmt: skip
        source.write_text("\n".join([*neutral[:kept], *stories, *moods]))
        make(source, tmp_path / "out.jsonl", recipe=recipe)
        controls = [sample.control for sample in load_dataset(tmp_path / "out.jsonl").samples]
        assert Counter(control.split()[-1] for control in controls) == endings


def test_the_unsure_are_used_last(tmp_path: Path) -> None:
    """What the scorer is not sure of, and neutral sentences with a wish or without a name."""
    lines = [
        text.replace(".", f" {'today' if number // 3 % 2 else 'soon'} on Monday.")
        for number, text in enumerate(fake.sentences(450))
    ]
    lines[::9] = [text.replace(" was ", " would be ") for text in lines[::9]]
    lines[3::9] = [text.replace(" on Monday", "") for text in lines[3::9]]
    source = tmp_path / "text.txt"
    source.write_text("\n".join(lines), encoding="utf-8")
    instrument = Instrument("fake", SureOfToday(), fake.FakeSemantic())
    unsure = []
    for filters in (FILTERS, FILTERS[:-1]):
        recipe = dataclasses.replace(fake.RECIPE, top=200, samples=8, filters=filters)
        make(source, tmp_path / "out.jsonl", recipe=recipe, instrument=instrument)
        chosen = load_dataset(tmp_path / "out.jsonl").samples
        texts = [text for s in chosen for text in (s.positive, s.neutral, s.negative)]
        unsure.append(
            sum("soon" in text or "would" in text or "Monday" not in text for text in texts)
        )
    assert unsure[0] == 0
    assert unsure[1] > 6
    source.write_text("\n".join(lines[:180]), encoding="utf-8")
    recipe = dataclasses.replace(fake.RECIPE, top=200)
    report = build([source], tmp_path / "out.jsonl", recipe=recipe, instrument=instrument,
                   store=None)  # fmt: skip
    chosen = load_dataset(tmp_path / "out.jsonl").samples
    expected = sum(
        "soon" in f"{s.positive} {s.neutral} {s.negative}"
        or "would" in s.neutral
        or "Monday" not in s.neutral
        for s in chosen
    )
    assert expected > 0
    [warning] = [text for text in report.warnings if "used last" in text]
    assert warning.startswith(f"{expected} of the 16 samples")
    assert "with one of which a scorer or the word list is less sure" in warning


def test_the_surest_neutral_sentences_are_used_first(tmp_path: Path) -> None:
    """Of those that are sure; with the filter "unsure"."""
    lines = [text.replace(".", " on Monday.") for text in fake.sentences(450)]
    source = tmp_path / "text.txt"
    source.write_text("\n".join(lines), encoding="utf-8")
    lowest = []
    for filters in (FILTERS, FILTERS[:-1]):
        recipe = dataclasses.replace(fake.RECIPE, top=200, samples=8, filters=filters)
        make(source, tmp_path / "out.jsonl", recipe=recipe)
        chosen = [sample.neutral for sample in load_dataset(tmp_path / "out.jsonl").samples]
        lowest.append(fake.FakeExpression().predict(chosen).max(axis=1).min())
    assert lowest[0] > 0.85 > lowest[1]


def test_sets_with_the_least_sure_sentence_are_left_out(tmp_path: Path) -> None:
    """Where unsure sentences must fill up, the worst of the three decides."""
    lines = [text.replace(".", " on Monday.") for text in fake.sentences(210)]
    source = tmp_path / "text.txt"
    source.write_text("\n".join(lines), encoding="utf-8")
    recipe = dataclasses.replace(fake.RECIPE, top=200, sampled=60)
    make(source, tmp_path / "out.jsonl", recipe=recipe)
    chosen = load_dataset(tmp_path / "out.jsonl").samples
    texts = [text for s in chosen for text in (s.positive, s.neutral, s.negative)]
    scores = fake.FakeExpression().predict(texts).max(axis=1)
    assert 0.79 < scores.min() < 0.85


def test_what_does_not_stand_alone_fills_up(tmp_path: Path) -> None:
    """Sentences of a mood that go on with an earlier one come after all that stand alone."""
    lines = [text.replace(".", " on Monday.") for text in fake.sentences(400)]
    alone, others = lines[:200], lines[200:]
    dependent = [text.replace("A glad", "Then the glad").replace("An awful", "Also, the awful")
                 for text in others]  # fmt: skip
    source = tmp_path / "text.txt"
    instrument = Instrument("fake", SureOfMoods(), fake.FakeSemantic())
    recipe = dataclasses.replace(fake.RECIPE, top=200, samples=12)
    used = []
    for left in (alone, [text for n, text in enumerate(alone) if n < 15 or "The" in text]):
        source.write_text("\n".join([*left, *dependent]), encoding="utf-8")
        report = build([source], tmp_path / "o.jsonl", recipe=recipe, instrument=instrument,
                       store=None)  # fmt: skip
        samples = load_dataset(tmp_path / "o.jsonl").samples
        moods = [(s.positive, s.negative) for s in samples]
        used.append(sum(a.startswith("Then") or b.startswith("Also") for a, b in moods))
        warned = [text for text in report.warnings if "goes on with an earlier sentence" in text]
        assert len(warned) == (used[-1] > 0)
    assert used[0] == 0
    assert used[1] >= 7


def test_controls_come_last_from_what_does_not_stand_alone(tmp_path: Path) -> None:
    """As long as other sentences stop alike."""
    lines = [text.replace(".", " today on Monday.") for text in fake.sentences(300)]
    pointing = [text.replace(" today", " today with them") for text in lines[::6]]
    lines[::6] = pointing
    source = tmp_path / "text.txt"
    source.write_text("\n".join(lines), encoding="utf-8")
    instrument = Instrument("fake", SureOfToday(), fake.FakeSemantic())
    recipe = dataclasses.replace(fake.RECIPE, top=200, samples=8)
    make(source, tmp_path / "out.jsonl", recipe=recipe, instrument=instrument)
    samples = load_dataset(tmp_path / "out.jsonl").samples
    assert not any(text.startswith(f"{s.control} ") for s in samples for text in pointing)


def test_controls_are_paired_with_what_is_unlike_them(tmp_path: Path) -> None:
    """With the filter "unsure"; without it, the limit alone holds."""
    source = fake.write(tmp_path / "text.txt")
    largest = []
    for filters in (FILTERS, FILTERS[:-1]):
        recipe = dataclasses.replace(fake.RECIPE, filters=filters)
        report = build([source], tmp_path / "out.jsonl", recipe=recipe, store=None,
                       instrument=fake.instrument())  # fmt: skip
        largest.append(max(entry["largest"] for entry in report.similarity.values()))
    assert largest[0] < 0.2 < largest[1] <= fake.RECIPE.max_similarity


def test_all_neutral_sentences_that_give_controls_are_not_taken_for_them(tmp_path: Path) -> None:
    """As many as there are samples are left to inject."""
    source = fake.write(tmp_path / "text.txt", 120)
    recipe = dataclasses.replace(fake.RECIPE, top=200, sampled=200, samples=8)
    make(source, tmp_path / "out.jsonl", recipe=recipe)
    assert len(load_dataset(tmp_path / "out.jsonl").samples) == 8


def test_a_control_holds_no_word_with_a_mood(tmp_path: Path) -> None:
    """Neither to the scorer nor to the word list, though its sentence passes as neutral."""
    source = tmp_path / "text.txt"
    lines = [text.replace("The ", "The friendly ") if i % 2 else text
             for i, text in enumerate(fake.sentences(600))]  # fmt: skip
    source.write_text("\n".join(lines))
    recipe = dataclasses.replace(fake.RECIPE, top=200, sampled=100, filters=FILTERS[:-1])
    make(source, tmp_path / "out.jsonl", recipe=recipe)
    samples = load_dataset(tmp_path / "out.jsonl").samples
    assert any("friendly" in sample.neutral for sample in samples)
    assert not any("friendly" in sample.control for sample in samples)


def test_an_interrupted_build_goes_on_from_stored_scores(tmp_path: Path) -> None:
    """A second run scores only what the first one did not get to."""
    source = fake.write(tmp_path / "text.txt", 2000)
    first, second = Interrupted(), fake.FakeExpression()
    tools = [Instrument("fake", scorer, fake.FakeSemantic()) for scorer in (first, second)]
    with pytest.raises(KeyboardInterrupt):
        make(source, tmp_path / "out.jsonl", instrument=tools[0], store=tmp_path / "store")
    assert not (tmp_path / "out.jsonl").exists()
    resumed = make(source, tmp_path / "out.jsonl", instrument=tools[1], store=tmp_path / "store")
    assert len(first.seen) == 512
    assert len(second.seen) >= 1488
    assert set(first.seen).isdisjoint(second.seen)
    assert resumed == make(source, tmp_path / "out.jsonl")


def test_a_killed_build_gives_the_same_bytes_when_run_again(tmp_path: Path) -> None:
    """Killed without a chance to clean up, at several moments."""
    source = fake.write(tmp_path / "text.txt", 5000)
    whole = make(source, tmp_path / "out.jsonl")
    output, store = tmp_path / "killed" / "out.jsonl", tmp_path / "store"
    output.parent.mkdir()
    command = [sys.executable, "-m", "tests.aexl.fake", str(source), str(output), str(store)]
    for seconds in (1.2, 1.5):
        process = subprocess.Popen(command, cwd=ROOT)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(command, cwd=ROOT, check=True).returncode == 0
    assert output.read_bytes() == whole


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda text: "glad" not in text, "no positive sentences for 16 samples, 16 are needed"),
        (lambda text: "The" not in text or text < "The d", r"neutral sentences.*32 are needed"),
        (lambda text: False, "no .* sentences"),
    ],
)
def test_too_few_sentences_of_a_class_are_an_error(keep: Any, message: str, tmp_path: Path) -> None:
    """The class, what there is, and what is needed are in the message."""
    source = tmp_path / "text.txt"
    source.write_text("\n".join(filter(keep, fake.sentences(300))))
    with pytest.raises(DatasetError, match=message):
        make(source, tmp_path / "out.jsonl")


def test_a_smaller_top_than_asked_for_is_a_warning(tmp_path: Path) -> None:
    """Where work can go on it does, with the counts."""
    report = build([fake.write(tmp_path / "text.txt", 150)], tmp_path / "out.jsonl",
                   recipe=fake.RECIPE, store=None, instrument=fake.instrument())  # fmt: skip
    assert "the top of the neutral class has 50 sentences, not 60" in report.warnings


def test_settings_out_of_range_are_told() -> None:
    """Each names the setting."""
    with pytest.raises(SettingsError, match="twice the samples"):
        Recipe(sampled=300, samples=200)
    with pytest.raises(SettingsError, match="min_words"):
        Recipe(min_words=30)
    with pytest.raises(SettingsError, match="unknown filter 'links'"):
        Recipe(filters=("links",))


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and one line."""
    assert main(["aexl", "build", "nowhere.txt", "-o", str(tmp_path / "out.jsonl")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("exleak aexl: nowhere.txt: there is no such file")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("text.txt", "text.txt"),
        ("text.txt", "sub/../text.txt"),
        ("text.txt", "link.txt"),
        ("out.report.json", "out.jsonl"),
        (".", "text.txt"),
    ],
    ids=("itself", "another path", "a link", "the report", "in a folder"),
)
def test_a_source_is_not_overwritten(source: str, output: str, tmp_path: Path) -> None:
    """Refused before anything is scored, however it is named."""
    text = fake.write(tmp_path / "text.txt")
    (tmp_path / "link.txt").symlink_to(text)
    (tmp_path / "out.report.json").write_text('{"text": "A line."}')
    (tmp_path / "sub").mkdir()
    tool = fake.instrument()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(SettingsError, match="one of the sources and would be overwritten"):
        make(tmp_path / source, tmp_path / output, instrument=tool)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert tool.expression.seen == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "this is a folder"),
        ("other.jsonl", r"other\.report\.json: this is a folder"),
        ("text.txt/out.jsonl", r"text\.txt is a file, not a folder"),
        ("text.txt/deep/out.jsonl", r"text\.txt is a file, not a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_first(
    name: str, message: str, tmp_path: Path
) -> None:
    """Not after an hour of scoring."""
    text = fake.write(tmp_path / "text.txt")
    for folder in ("folder", "other.report.json"):
        (tmp_path / folder).mkdir()
    tool = fake.instrument()
    with pytest.raises(SettingsError, match=message):
        make(text, tmp_path / name, instrument=tool)
    assert tool.expression.seen == []  # type: ignore[attr-defined]


def test_the_command_keeps_nothing_where_the_store_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for exleak paper and pytest: it is no folder of that name."""
    seen: list[object] = []

    def job(*arguments: object) -> None:
        seen.append(arguments[3])
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("exleak.aexl.builder.Job", job)
    fake.write(tmp_path / "text.txt")
    for store in ("none", "kept"):
        options = ["-o", "o.jsonl", "--store", store, "--quiet"]
        assert main(["aexl", "build", "text.txt", *options]) == 130
    assert seen == [None, "kept"]
