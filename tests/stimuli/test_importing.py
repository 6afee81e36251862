"""`exleak dataset import`: sentences rated elsewhere, crossed with the controls of a dataset."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from exleak import DatasetError, SettingsError, load_dataset
from exleak.cli import main
from exleak.records import CLASSES
from exleak.stimuli import Columns, Imported, import_stimuli

ORIGIN = {"license": "CC0-1.0", "provenance": "written for this test"}
#: Ratings from 1 to 9, and the class that the thirds of that range give.
RATINGS = {"negative": 1, "neutral": 5, "positive": 9}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A CSV or TSV file of these rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def rated(counts: dict[str, int], lengths: int = 6) -> list[dict[str, Any]]:
    """Sentences of each class, of 3 to ``lengths + 2`` words, with ids and intensities."""
    return [
        {
            "id": f"{label[:3]}{number}",
            "sentence": f"{label} {number}{' on' * (1 + number % lengths)}.",
            "valence": RATINGS[label],
            "intensity": number / 4,
        }
        for label, count in counts.items()
        for number in range(count)
    ]


def make(path: Path, **changes: Any) -> Imported:
    """Import without models: lengths in words, and no check of similarity."""
    out = path.parent / "out.jsonl"
    settings: dict[str, Any] = {**ORIGIN, "tokenizer": "words", "max_similarity": 1.0, **changes}
    return import_stimuli(path, out, **settings)


def samples(path: Path) -> list[dict[str, Any]]:
    """The samples of the dataset beside a file of stimuli."""
    lines = (path.parent / "out.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


@pytest.fixture
def plenty(tmp_path: Path) -> Path:
    """More sentences of each class than HEXL has controls; the longest are neutral."""
    rows = rated({"negative": 90, "positive": 80})
    return write(tmp_path / "plenty.csv", [*rows, *rated({"neutral": 100}, lengths=10)])


def test_each_control_gets_three_sentences_of_equal_length(plenty: Path) -> None:
    """Of the right class, none used twice; long neutral ones are left out."""
    found = make(plenty)
    data = load_dataset(plenty.parent / "out.jsonl")
    assert [s.control for s in data.samples] == [s.control for s in load_dataset("hexl").samples]
    assert data.instruction == "Complete the sentence"
    for label in CLASSES:
        texts = [getattr(sample, label) for sample in data.samples]
        assert all(text.startswith(label) for text in texts)
        assert len(set(texts)) == 60
    assert (found.samples, found.equal, found.gap) == (60, 60, 0)
    neutral = found.classes["neutral"]
    assert (neutral.read, neutral.used, neutral.most) == (100, 60, 1)
    assert neutral.read_length > neutral.length + 1.5


def test_few_sentences_are_used_evenly(tmp_path: Path) -> None:
    """None twice more than another; the report says how often, and warns."""
    path = write(tmp_path / "few.csv", rated({"negative": 7, "neutral": 60, "positive": 61}))
    found = make(path)
    uses = Counter(row["negative"] for row in samples(path))
    assert sorted(uses.values()) == [8, 8, 8, 9, 9, 9, 9]
    used = found.classes["negative"]
    assert (used.used, used.fewest, used.most) == (7, 8, 9)
    assert Counter(Counter(row["positive"] for row in samples(path)).values()) == {1: 60}
    assert any("7 negative sentences for 60 samples" in text for text in found.warnings)


def test_the_seed_decides(plenty: Path) -> None:
    """The same bytes for the same seed, whatever was there before; others for another."""
    made = []
    for seed in (0, 0, 1):
        make(plenty, seed=seed)
        made.append(((plenty.parent / "out.jsonl").read_bytes(), samples(plenty)))
    assert made[0] == made[1]
    assert made[1][1] != made[2][1]


def test_ids_and_intensities_are_kept(plenty: Path) -> None:
    """By condition; a loaded dataset has the intensities."""
    found = make(plenty)
    data = load_dataset(plenty.parent / "out.jsonl")
    for row, sample in zip(samples(plenty), data.samples, strict=True):
        for label in CLASSES:
            number = int(row[label].split()[1].rstrip("."))
            assert row["stimulus"][label] == f"{label[:3]}{number}"
            assert sample.intensity[label] == number / 4
    assert found.with_intensity == 180


def test_blank_intensities_and_missing_ids(tmp_path: Path) -> None:
    """An unknown intensity is left out; without ids the lines stand for them."""
    rows = rated({"negative": 3, "neutral": 3, "positive": 3})
    for row in rows:
        row.pop("id")
        if row["valence"] == 5:
            row["intensity"] = ""
    path = write(tmp_path / "data.tsv", rows)
    make(path, samples=3)
    assert all(set(row["intensity"]) == {"negative", "positive"} for row in samples(path))
    assert {row["stimulus"]["negative"] for row in samples(path)} == {"2", "3", "4"}


def test_the_header_says_where_it_is_from(plenty: Path) -> None:
    """License, source, controls, cuts and seed."""
    make(plenty, seed=3, controls="hexl", name="mine")
    data = load_dataset(plenty.parent / "out.jsonl")
    assert data.name == "mine"
    assert data.samples[0].id == "mine-001"
    assert data.license == "stimuli: CC0-1.0; controls: Apache-2.0"
    assert data.provenance == (
        "Stimuli: written for this test. Crossed with the controls of hexl 1.0 by exleak dataset "
        "import: negative below 3.667, positive above 6.333, seed 3."
    )
    assert len(data.version) == 8


def test_stimuli_may_be_in_another_language_than_the_controls(plenty: Path) -> None:
    """The header says both: continuations are in the controls' language."""
    make(plenty, language="de", max_similarity=None)
    data = load_dataset(plenty.parent / "out.jsonl")
    assert (data.language, data.injected_language) == ("en", "de")
    make(plenty)
    assert load_dataset(plenty.parent / "out.jsonl").injected_language == "en"


@pytest.mark.parametrize(
    ("cuts", "counts"),
    [((None, None), (1, 3, 2)), ((3.0, 8.0), (2, 3, 1)), ((2.0, 2.0), (1, 1, 4))],
)
def test_cuts_separate_the_classes(
    cuts: tuple[float | None, float | None], counts: tuple[int, int, int], tmp_path: Path
) -> None:
    """By default at thirds of the range; a valence on a cut is neutral."""
    from exleak.stimuli.classes import Cuts
    from exleak.stimuli.reading import Stimulus

    stimuli = [Stimulus(str(v), f"Rated {v}.", float(v)) for v in (1, 2, 3, 4, 8, 10)]
    found = Cuts.of(stimuli, *cuts)
    assert found is not None
    classes = Counter(found.class_of(float(item.id)) for item in stimuli)
    if cuts == (None, None):
        assert found == Cuts(4.0, 7.0)
        counts = (3, 1, 2)
    assert tuple(classes[label] for label in CLASSES) == counts


def test_labels_in_json_lines(tmp_path: Path) -> None:
    """In any case and short form, under another name."""
    path = tmp_path / "labels.jsonl"
    rows = [{"text": f"{word} {n}.", "label": word} for word in ("POS", "neutral", "Negative")
            for n in range(4)]  # fmt: skip
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert make(path, samples=4).cuts is None
    assert {row["positive"].split()[0] for row in samples(path)} == {"POS"}
    with pytest.raises(SettingsError, match="the valences are labels"):
        make(path, negative_below=1.0, positive_above=2.0)


def test_semicolons_quotes_and_odd_spaces(tmp_path: Path) -> None:
    """As spreadsheets write them; a sentence over two lines is one line."""
    path = tmp_path / "sheet.csv"
    lines = ["\ufeffSatz;id;Wert"]
    lines += [f'"{n}; and\nso  on.";{n};{n % 3}' for n in range(9)]
    path.write_text("\n".join(lines), "utf-8")
    make(path, samples=3, columns=Columns(sentence="Satz", valence="Wert"))
    assert samples(path)[0]["positive"].endswith("; and so on.")


GOOD = "id,sentence,valence\n1,A.,1\n2,B.,1\n3,C.,5\n4,D.,5\n5,E.,9\n6,F.,9\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,sentence,rating\n1,A.,1\n", "no column 'valence' or 'label'; it has id, sentence, "
         "rating: name one with --valence-column"),
        ("a,valence\nA.,1\n", "no column 'sentence' or 'text'"),
        (GOOD + "7,G.,high\n", "line 8: column 'valence' must hold a number such as 3.5, not 'hi"),
        (GOOD + "7,G.,nan\n", "line 8: column 'valence' must hold a number"),
        (GOOD + "7,G.,\n", "line 8: column 'valence' must hold a number such as 3.5, not ''"),
        (GOOD + "7,G.,neutral\n", "line 2: column 'valence' holds labels, but '1' is none of"),
        (GOOD + "7, ,3\n", "line 8: column 'sentence' is empty"),
        (GOOD + "7,b.,3\n8,B.,3\n", "the same sentence is there again in line 8 (as in 3), 9 "
         "(as in 3)"),
        (GOOD + "3,G.,3\n", "the same id is there again in line 8 (as in 4)"),
        (GOOD + "7,Yes, G.,3\n", "line 8: 4 cells under 3 headings"),
        (GOOD.replace("F.,9", "F.,5"), "too few positive sentences, at least 2 are needed: there "
         "are 2 negative, 3 neutral, 1 positive"),
        ("id,sentence,valence\n1,A.,2\n2,B.,2\n", "every valence is 2"),
        ("id,sentence,valence,valence\n1,A.,2,2\n", "two columns are called 'valence'"),
        ("id,sentence,valence\n", "no stimuli in it"),
        ("", "no stimuli in it"),
    ],
)  # fmt: skip
def test_bad_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    """With the line, and what to do; nothing is written."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DatasetError) as error:
        make(path)
    assert message in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"license": " "}, "say the license of the stimuli, or that it is 'unknown'"),
        ({"samples": 61}, "samples must be from 1 to 60"),
        ({"samples": 0}, "samples must be from 1 to 60"),
        ({"negative_below": 3.0}, "give both"),
        ({"negative_below": 3.0, "positive_above": 2.0}, "must not be above"),
        ({"language": "German"}, "language 'German' is no ISO 639 code"),
        ({"max_similarity": 2.0}, "max_similarity must be from 0 to 1"),
    ],
)
def test_bad_settings_are_told(changes: dict[str, Any], message: str, plenty: Path) -> None:
    """Nothing is written."""
    with pytest.raises(SettingsError) as error:
        make(plenty, **changes)
    assert message in str(error.value)
    assert not (plenty.parent / "out.jsonl").exists()


def test_files_that_are_not_there_or_would_be_overwritten(plenty: Path) -> None:
    """Neither the stimuli nor the controls are lost."""
    with pytest.raises(DatasetError, match=r"none\.csv: cannot be read: No such file"):
        make(plenty.parent / "none.csv")
    with pytest.raises(DatasetError, match=r"a \.csv, \.tsv or \.jsonl file"):
        make(plenty.rename(plenty.with_suffix(".xlsx")))
    make(plenty.with_suffix(".xlsx").rename(plenty))
    before = (plenty.parent / "out.jsonl").read_bytes()
    with pytest.raises(SettingsError, match="would be overwritten"):
        make(plenty, controls=plenty.parent / "out.jsonl")
    with pytest.raises(SettingsError, match="would be overwritten"):
        import_stimuli(plenty, plenty, license="unknown", provenance="unknown")
    assert (plenty.parent / "out.jsonl").read_bytes() == before


def test_a_control_gets_no_sentence_on_its_topic(tmp_path: Path) -> None:
    """By shared words and SentenceBERT; what is left for no control is told."""
    path, controls = tmp_path / "topics.csv", tmp_path / "controls.jsonl"
    sentences = {1: "grim", 5: "green", 9: "lovely"}
    rows = [f"The soup was {word},{valence}" for valence, word in sentences.items()]
    rows += [
        f"Every train came in on {word} rails,{valence}" for valence, word in sentences.items()
    ]
    path.write_text("\n".join(["sentence,valence", *rows]))

    def write_controls(*texts: str) -> None:
        lines = [{"id": text, "control": text, "positive": "p", "neutral": "n", "negative": "m"}
                 for text in texts]  # fmt: skip
        controls.write_text("\n".join(map(json.dumps, lines)))

    write_controls("The soup tasted", "Our train was")
    for seed in range(3):
        make(path, controls=controls, max_similarity=0.35, seed=seed)
        for row in samples(path):
            shared = "soup" if "soup" in row["control"] else "train"
            assert not any(shared in row[label] for label in CLASSES)
    write_controls("The soup tasted", "His soup was")
    with pytest.raises(DatasetError, match="only 1 of 2 samples can be made: no further control"):
        make(path, controls=controls, max_similarity=0.35)
    assert make(path, controls=controls).samples == 2


def test_the_command(plenty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts for people and programs; errors in one line."""
    out, counts = plenty.parent / "out.jsonl", plenty.parent / "counts.json"
    command = ["dataset", "import", str(plenty), "--out", str(out), "--license", "unknown",
               "--provenance", "unknown", "--tokenizer", "words", "--max-similarity", "1",
               "--samples", "20", "--controls", "aexl", "--json", str(counts)]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "valence: below 3.667 negative, above 6.333 positive" in said
    assert "left out: 210 stimuli" in said
    assert "180 controls" in said
    assert "intensity: of 60 of the 60 sentences" in said
    assert json.loads(counts.read_text())["classes"]["positive"]["used"] == 20
    assert main([*command, "--valence-column", "mood"]) == 2
    assert "no column 'mood'" in capsys.readouterr().err
