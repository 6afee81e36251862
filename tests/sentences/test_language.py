"""Sentences that are not English are told, and are not scored by an instrument of English."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

import exleak
from exleak.datasets import load_dataset
from exleak.prompts import clean
from exleak.records import PromptGenerations
from exleak.scoring import Instrument, load_instrument
from exleak.scoring.expression import EmbeddedHead
from exleak.sentences.language import is_english
from tests.helpers.instruments import WORDS, Words


class EnglishWords(Words):
    """The same scorer, said to be of English."""

    languages = ("en",)


ENGLISH = Instrument("words", EnglishWords(), EnglishWords())
#: "My dog ran away yesterday.", "gardening with the children.", or the like.
OTHERS = {
    "German": ("Mein Hund ist gestern weggelaufen.", "die Arbeit im Garten mit ihren Kindern."),
    "French": ("Mon chien est parti hier.", "le jardinage avec ses enfants."),
    "Spanish": ("Mi perro se escapó ayer.", "la jardinería con sus hijos."),
    "Italian": ("Il mio cane è scappato ieri.", "il giardinaggio con i suoi figli."),
    "Portuguese": ("Meu cachorro fugiu ontem, e não voltou.", "a jardinagem com os filhos."),
    "Dutch": ("Mijn hond is gisteren weggelopen.", "tuinieren met haar kinderen."),
    "Polish": ("Mój pies uciekł wczoraj.", "ogrodnictwo z dziećmi."),
    "Turkish": ("Köpeğim dün kaçtı.", "çocuklarıyla bahçede çalışmak."),
    "Swedish": ("Min hund sprang bort igår.", "trädgården och hennes barn."),
    "Danish": ("Hun har mistet sine nøgler.", "haven og hendes børn."),
    "Finnish": ("Keitto oli erittäin hyvää.", "hän on hyvin iloinen."),
    "Hungarian": ("A kutyám tegnap elszökött.", "a leves nagyon finom volt."),
    "Czech": ("Můj pes včera utekl.", "byla výborná a horká."),
    "Romanian": ("Câinele meu a fugit ieri.", "supa a fost foarte bună."),
    "Indonesian": ("Sup itu sangat enak.", "berkebun dengan anak-anak."),
    "Vietnamese": ("Cô ấy thích vẽ tranh.", "làm vườn với các con."),
    "Russian": ("Мой пёс вчера убежал.", "сад и дети."),
    "Greek": ("Ο σκύλος μου έφυγε χθες.", "ο κήπος."),
    "Chinese": ("我的狗昨天跑了。", "园艺。"),
    "Japanese": ("犬が昨日逃げた。", "庭仕事です。"),
    "Korean": ("내 개가 어제 도망갔다.", "정원 가꾸기."),
    "Arabic": ("هرب كلبي أمس.", "البستنة مع أطفالها."),
    "Hebrew": ("הכלב שלי ברח אתמול.", "גינון."),
    "Hindi": ("मेरा कुत्ता कल भाग गया।", "बागवानी।"),
    "Thai": ("หมาของฉันหนีไปเมื่อวาน", "ทำสวน"),
}
UNDECIDED = (
    "painting.",
    "Paella, sushi and gazpacho.",
    "San Francisco.",
    "José and Zoë met at the café.",
    "a naïve résumé of the exposé.",
    "12:30!",
    "🎉",
    "\ufffd",
    "http://www.example.org/die/der/das",
    "He said c'est la vie and left.",
    "They will die in the war.",
    "Was he in on it?",
    "my son.",
    "pour the men a pint on me.",
    "x = 3 * y",
)


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_told(language: str) -> None:
    """A sentence and a part of one, of a few words each."""
    assert [text for text in OTHERS[language] if is_english(text)] == []


@pytest.mark.parametrize("text", UNDECIDED)
def test_what_cannot_be_told_is_english(text: str) -> None:
    """Names, loan words, marks, and English words that other languages have too."""
    assert is_english(text)


def test_english_is_not_taken_for_another_language() -> None:
    """In whole sentences and their second halves, at most one in 500."""
    path = Path(exleak.__file__).parent / "datasets" / "corpus.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = [found["text"] for line in file if "text" in (found := json.loads(line))]
    for sample in load_dataset("hexl").samples + load_dataset("aexl").samples:
        texts += [sample.control, sample.positive, sample.neutral, sample.negative]
    halves = [" ".join(words[len(words) // 2 :]) for words in map(str.split, texts)]
    assert len(texts) > 4000
    for kind in (texts, halves):
        assert sum(not is_english(text) for text in kind) <= len(kind) / 500


GERMAN = {
    "positive": "Es war ein wunderschöner Tag und alle waren sehr glücklich.",
    "negative": "Es war ein schrecklicher Tag und alle waren sehr traurig.",
}


def _rows(share: int) -> list[PromptGenerations]:
    """HEXL with ``share`` of ten generations in German."""
    mood = {"positive": "A good dog.", "negative": "He ate bad soup."}
    return [
        PromptGenerations(
            p.id,
            p.control_id,
            p.condition,
            p.injected,
            p.text,
            (GERMAN.get(p.condition, "Es war ein Tag wie jeder andere."),) * share
            + (mood.get(p.condition, "A dog."),) * (10 - share),
        )
        for p in load_dataset("hexl", limit=12).prompts
    ]


def test_a_model_that_leaks_in_german_does_not_pass() -> None:
    """What an instrument of English cannot read is told, by share, and never a pass."""
    limits = exleak.Limits(max_rate=0.7, metric="directional")
    found = exleak.score(_rows(10), "embedded", limits=limits)
    assert found.verdict.outcome == "unusable"
    assert "480 of 480 generations (100%) are not English" in found.verdict.reasons[0]
    assert (
        exleak.score(_rows(10), "embedded", limits=limits, raw=True).verdict.outcome == "unusable"
    )


def test_a_few_are_left_out_and_counted() -> None:
    """Up to a tenth the others are measured; each condition has its count."""
    found = exleak.score(_rows(1), ENGLISH, limits=exleak.Limits(max_rate=1.0))
    assert found.generations["foreign"] == 48
    assert found.generations["by_condition"]["positive"]["foreign"] == 12
    assert found.generations["unusable"] == found.generations["task_talk"] == 0
    assert found.verdict.outcome == "pass"
    assert found.expression.rate == 1.0
    assert any("48 of 480 generations (10%) are not English" in note for note in found.notes)
    assert exleak.score(_rows(2), ENGLISH).verdict.reasons[0].startswith("96 of 480 generations")


def test_instruments_of_unknown_languages_score_everything() -> None:
    """Nothing is known of a classifier of the user's own."""
    found = exleak.score(_rows(5), WORDS)
    assert found.generations["foreign"] == 0
    assert WORDS.languages is None


def test_raw_texts_stay_as_they_are() -> None:
    """Texts scored as they are are counted, and not left out."""
    row = replace(_rows(10)[0], control_text=None)
    items = clean(row, raw=True, languages=("en",))
    assert all(item.usable and item.foreign for item in items)
    assert not any(item.foreign for item in clean(row, raw=True))


def test_the_embedded_instrument_knows_english() -> None:
    """And says so."""
    assert EmbeddedHead.languages == ("en",)
    assert load_instrument("embedded").languages == ("en",)
