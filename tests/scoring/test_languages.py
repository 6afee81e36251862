"""Instruments say which languages they know, and refuse others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import exleak
from exleak import scoring
from exleak.datasets import load_dataset
from exleak.datasets.stats import stats
from exleak.errors import InstrumentError
from exleak.records import Dataset, PromptGenerations, Sample
from exleak.scoring import Instrument, load_instrument
from exleak.scoring.sentence_encoder import SentenceEncoder
from exleak.store import Store
from tests.helpers.checkpoints import use_cache
from tests.helpers.instruments import TOPICS
from tests.helpers.languages import (
    CROSS,
    GERMAN,
    EveryTopic,
    fill_cache,
    save_classifier,
    save_encoder,
)
from tests.helpers.progress import tells_texts

TEXTS = ["Er war sehr froh.", "我很高兴。", "هو سعيد جدا.", "", "so " * 90]


@pytest.fixture
def multilingual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instrument:
    """The instrument by its name, from stand-ins in the hub's cache."""
    fill_cache(tmp_path)
    use_cache(tmp_path, monkeypatch)
    return scoring._load("multilingual")


def data(language: str, injected: str | None = None) -> Dataset:
    """HEXL, said to be in these languages."""
    return replace(
        load_dataset("hexl", limit=3), language=language, injected_language=injected or language
    )


def rows(language: str, injected: str | None = None) -> list[PromptGenerations]:
    """Continuations of two samples in these languages: the mood follows the sentence."""
    moods = {"positive": "froh good", "negative": "trüb bad"}
    samples = [
        Sample(
            *(f"s{i}", f"Control {i} is", f"A sea {i}.", f"B {i}.", f"A train {i}."),
            language=language,
            injected_language=injected or language,
        )
        for i in range(6)
    ]
    return [
        PromptGenerations.of(p, p.text, (f"{moods.get(p.condition, '')} ball.",) * 3)
        for sample in samples
        for p in sample.prompts
    ]


@pytest.mark.parametrize("language", ["de", "zh", "ar"])
def test_the_embedded_instrument_refuses_other_languages(language: str) -> None:
    """Before a model is loaded, in stored continuations, and in statistics."""
    message = rf"embedded: its expression scorer knows the languages en, .* in {language}\. "
    with pytest.raises(InstrumentError, match=message):
        exleak.measure("no-such-model", data(language), store=None)
    with pytest.raises(InstrumentError, match=message):
        exleak.score(rows(language))
    with pytest.raises(InstrumentError, match=message):
        stats(data(language))


def test_an_encoder_of_english_refuses_sentences_in_another_language() -> None:
    """The embedded instrument can read the continuations, but not compare them with those."""
    with pytest.raises(InstrumentError, match=r"its semantic scorer knows .* en, .* in de\. "):
        exleak.score(rows("en", "de"))


def test_the_multilingual_instrument(multilingual: Instrument) -> None:
    """Both scorers are multilingual; of the eight languages of the classifier, Chinese is none."""
    assert multilingual.languages == ("ar", "de", "en", "es", "fr", "hi", "it", "pt")
    assert isinstance(multilingual.semantic, SentenceEncoder)
    for language in ("de", "ar", "en"):
        multilingual.check_languages(language, "zh")
    with pytest.raises(InstrumentError, match=r"its expression scorer .* in zh"):
        multilingual.check_languages("zh", "de")
    found = exleak.score(rows("de"), multilingual)
    assert found.instrument == "multilingual"
    assert found.expression.directional.rate is not None


def test_without_network_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the hub nor its cache has the classifier, or the encoder."""
    use_cache(tmp_path, monkeypatch)
    with pytest.raises(InstrumentError, match=r"twitter-xlm-roberta.*nor its cache.*network"):
        scoring._load("multilingual")
    with pytest.raises(InstrumentError, match=r"paraphrase-multilingual.*nor its cache.*network"):
        scoring._load("embedded+multilingual")


def test_a_classifier_and_an_encoder_of_ones_own(tmp_path: Path) -> None:
    """Two folders, joined by a plus sign; what they know is unknown, and a note says so."""
    for name, save in (("classifier", save_classifier), ("encoder", save_encoder)):
        (tmp_path / name).mkdir()
        save(tmp_path / name)
    name = f"{tmp_path / 'classifier'}+{tmp_path / 'encoder'}"
    tool = load_instrument(name)
    assert tool is not load_instrument(name)
    assert tool.languages is None
    found = exleak.score(rows("zh"), tool)
    assert any("expression scorer and semantic scorer can read zh is unknown" in n
               for n in found.notes)  # fmt: skip
    with pytest.raises(InstrumentError, match="its semantic scorer"):
        exleak.score(rows("zh"), str(tmp_path / "classifier"))


def test_embeddings_are_means_over_tokens(tmp_path: Path) -> None:
    """As the model gives them for each text alone, cut at 128 tokens, of length one."""
    save_encoder(tmp_path)
    found = SentenceEncoder(str(tmp_path)).embed(TEXTS)
    tokenizer, model = AutoTokenizer.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)
    for text, row in zip(TEXTS, found, strict=True):
        ids = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
        with torch.inference_mode():
            mean = model.eval()(**ids).last_hidden_state[0].mean(0).double().numpy()
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
    assert SentenceEncoder(str(tmp_path)).embed([]).shape == (0, 16)
    many = [f"{'so ' * (number % 20)}{number}" for number in range(150)]
    tells_texts(SentenceEncoder(str(tmp_path)).embed, many)


def test_the_hash_of_an_encoder_is_of_its_weights(tmp_path: Path) -> None:
    """Equal folders have equal hashes; a changed weight changes it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_encoder(tmp_path / name)
    one, two = (SentenceEncoder(str(tmp_path / name)) for name in ("one", "two"))
    assert one.hash == two.hash
    model = AutoModel.from_pretrained(tmp_path / "two")
    model.embeddings.word_embeddings.weight.data[9] += 1
    model.save_pretrained(tmp_path / "two")
    assert SentenceEncoder(str(tmp_path / "two")).hash != one.hash


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pooling": "cls_token"}, "pools by pooling_mode_cls_token"),
        ({"further": "Dense"}, "has the modules Dense"),
    ],
)
def test_another_pooling_is_refused(settings: dict[str, str], message: str, tmp_path: Path) -> None:
    """Its embeddings would be silently wrong."""
    save_encoder(tmp_path, **settings)
    with pytest.raises(InstrumentError, match=message):
        SentenceEncoder(str(tmp_path))


def test_shared_words_count_in_english_alone() -> None:
    """Stems and stop words of English say nothing of German, nor between two languages."""
    english, german = exleak.score(rows("en"), TOPICS), exleak.score(rows("de"), GERMAN)
    cross = exleak.score(rows("en", "de"), CROSS)
    assert english.expression.carry_over is not None
    assert english.expression.carry_over.thresholds is not None
    assert english.expression.carry_over.thresholds.words > 0
    for found in (german, cross):
        assert found.expression.carry_over is not None
        assert found.expression.carry_over.thresholds is not None
        assert found.expression.carry_over.thresholds.words == 0
        assert found.expression.carry_over.control.rate == 0
        assert any("by similarity of meaning alone" in note for note in found.notes)
    assert not any("meaning alone" in note for note in english.notes)


def _restating(language: str, injected: str) -> list[PromptGenerations]:
    """Continuations after a positive or negative sentence have its topic and a word of it."""
    topics = {"positive": "the sea hall.", "negative": "the train hall."}
    return [
        replace(row, generations=(topics[row.condition],) * 3) if row.condition in topics else row
        for row in rows(language, injected)
    ]


@pytest.mark.parametrize(
    ("languages", "tool"), [(("de", "de"), GERMAN), (("en", "de"), CROSS), (("de", "en"), GERMAN)]
)
def test_restatements_are_found_by_meaning(languages: tuple[str, str], tool: Instrument) -> None:
    """Within another language, and across two."""
    found = exleak.score(_restating(*languages), tool).expression.carry_over
    assert found is not None
    assert (found.share.rate, found.control.rate) == (1, 0)


def test_no_shared_word_is_shown_of_other_languages() -> None:
    """Reports mark shared words; there are none where they do not count."""
    found = exleak.score(_restating("de", "de"), GERMAN)
    assert all(item.typical.shared == () for item in found.prompts)
    english = exleak.score(_restating("en", "en"), TOPICS)
    assert any(item.typical.shared for item in english.prompts)


def test_stored_likeness_is_of_a_language(tmp_path: Path) -> None:
    """The same texts, once as English: what is stored of the one is not read for the other."""
    tool, store = Instrument("both", TOPICS.expression, EveryTopic()), Store(tmp_path)
    fresh = exleak.score(rows("de"), tool).expression.carry_over
    english = exleak.score(rows("en"), tool, store=store).expression.carry_over
    assert exleak.score(rows("de"), tool, store=store).expression.carry_over == fresh != english
