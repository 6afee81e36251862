"""The steps of the algorithm one by one: filters, top, sample, truncation, balance, pairing."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import chisquare

from exleak.aexl import Recipe
from exleak.aexl.balance import Triple, balanced
from exleak.aexl.duplicates import distinct
from exleak.aexl.filters import FILTERS, UNSURE, rejected_by
from exleak.aexl.judging import Grade, judge
from exleak.aexl.moods import Wording
from exleak.aexl.pairing import Unrelated, match
from exleak.aexl.pool import Candidate, Pool
from exleak.aexl.sampling import weighted_sample
from exleak.aexl.sources import Block
from exleak.aexl.truncation import control_phrase
from exleak.aexl.worker import Worker, second_scorer, split
from exleak.scoring import load_instrument
from tests.aexl import fake

#: Nothing is kept for the end: what does not stand alone is rejected.
STRICT = Recipe(filters=tuple(name for name in FILTERS if name != UNSURE))
WEIGHTS = (0.9, 0.75, 0.6, 0.45, 0.3, 0.15)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The old mill stands beside the river.", None),
        ("Mr. J. Smith met Dr. Jones at the station.", None),
        ("She asked whether the shop was open on Sundays?", "statement"),
        ("In the evening, the whole family sat around the table.", None),
        ("Mr. Brown's new car has four doors.", None),
        ("The road crosses the river near the mill.", None),
        ("There are two lamps in the hall.", "context"),
        ("My old cat loved it very much.", None),
        ("My mother showed me how to tame them.", "context"),
        ("The waiters took the plates and washed them in the hall.", None),
        ("The whole village waves at guests and loves them.", None),
        ("The whole village loves them.", "context"),
        ("We told her where the shop is.", "context"),
        ("She was late for work on Monday.", None),
        ("The best soup we had in a small town.", "context"),
        ("We told Anna that people like her.", None),
        ("The visit was planned in this manner.", "context"),
        ("The soup in this place was cold.", None),
        ("The people from there came in a car.", "context"),
        ("The clerk will send your coat to the hall.", "context"),
        ("The second key is a lot better.", "statement"),
        ("The brass key is a lot better.", "context"),
        ("The best soup we've had in a small town.", "context"),
        ("The cook we saw in town stirs the soup.", None),
        ("The best soup we've had was in a small town.", None),
        ("Take the red bus to the old market.", "statement"),
        ("It was a very long way to the station.", "statement"),
        ("One of these is in the other room.", "statement"),
        ("Also the kitchen was painted last year.", "statement"),
        ("The other one is kept in the hall.", "statement"),
        ("We took the key to the hall.", None),
        ("The clerk saw them in the large hall.", "statement"),
        ("A quiet place for a walk with the dog.", "statement"),
        ("The town (and the lake) was empty.", "statement"),
        ("The hall was empty - as always in June.", "statement"),
        ("Die Straße ist nass und der Himmel ist grau.", "language"),
        ("Le chat est sur la table et il dort bien.", "language"),
        ("Это предложение написано не по-английски.", "language"),
        ("Not enough words.", "length"),
        (" ".join(["word"] * 26) + ".", "length"),
        ("More about it is at www.example.org for all.", "link"),
        ("Write to jane.doe@example.org before the end of May.", "personal"),
        ("Call the office on +49 30 1234567 before noon.", "personal"),
        ("He lives at 12 Baker Street in the old town.", "personal"),
        ("The <b>first</b> line of the page is bold.", "markup"),
        ("Salt &amp; pepper are on the table.", "markup"),
        ("- The first item of the list is here.", "markup"),
        ("Click here to read more about the town.", "boilerplate"),
        ("We use cookies to improve your visit.", "boilerplate"),
        ("The train left. The platform was empty.", "sentence"),
        ("He left some four hundred bills for Gov.", "sentence"),
        ("The letter was sent on to the F.D.A.", "sentence"),
        ("and then they went home for the night.", "sentence"),
        ("The list of the towns that they saw", "sentence"),
        ("He said that the shop (on the corner was open.", "sentence"),
        ("THE SHOP ON THE CORNER IS OPEN TODAY.", "sentence"),
        ("The cafÃ© on the corner is open today.", "encoding"),
        ("He called them all bastards and left the room.", "toxic"),
        ("He told her that she should go kill yourself now.", "toxic"),
    ],
)
def test_a_filter_rejects_what_it_is_named_after(text: str, name: str | None) -> None:
    """The first filter that rejects a sentence names the reason."""
    assert rejected_by(text, STRICT) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It was a very long way to the station.", None),
        ("There's a hole in the roof of the house.", None),
        ("Also, the kitchen was painted last year.", None),
        ("And then we took the key to the hall.", None),
        ("The town was empty - as always!!", None),
        ("None of us will come here again.", None),
        ("The town (and the lake) was empty.", "statement"),
        ("The whole village loves them.", None),
        ("They very rarely in the town.", "statement"),
        ("Also a quiet place for a walk with the dog.", "statement"),
        ("But where was the key to the hall?", "statement"),
        ("The key: it was taken to the hall.", "statement"),
        ("One of the best soups we've ever had in town.", "context"),
        ("A very satisfied new customer of the shop!", "context"),
        ("Then, last week, we had the best soup in town.", None),
    ],
)
def test_what_is_kept_for_the_end_is_a_complete_sentence(text: str, name: str | None) -> None:
    """It may go on with an earlier sentence, but is no question, heading or part of one."""
    assert rejected_by(text, Recipe()) == name


@pytest.mark.parametrize(
    ("text", "label", "probability", "found"),
    [
        ("The room was wonderful.", "positive", 0.86, Grade.SURE),
        ("The room was wonderful.", "positive", 0.8, Grade.UNSURE),
        ("The room was wonderful.", "positive", 0.79, Grade.DOUBTED),
        ("The room was wonderful.", "positive", 0.5, "confidence"),
        ("I think the room was wonderful.", "positive", 0.9, Grade.UNSURE),
        ("The room was terrible and the clerk a bit rude.", "negative", 0.9, Grade.UNSURE),
        ("The room was terrible and damaged.", "negative", 0.9, Grade.UNSURE),
        ("Then they gave us a terrible room.", "negative", 0.9, Grade.DEPENDENT),
        ("I think they gave us a terrible room.", "negative", 0.9, Grade.UNSURE),
        ("Then they gave us a terrible room.", "negative", 0.8, "statement"),
        ("The whole village hates them.", "negative", 0.9, Grade.DEPENDENT),
        ("The whole village hates them.", "negative", 0.8, "context"),
        ("It was a rude clerk.", "negative", 0.9, Grade.UNSURE),
        ("They were rude and the room was damaged.", "negative", 0.9, "statement"),
        ("The king died in a war.", "negative", 0.92, "weak mood"),
        ("The soup is full of sand and water.", "negative", 0.92, "weak mood"),
        ("The clerk gave us the key again.", "negative", 0.92, "weak mood"),
        ("The clerk was not very helpful, and awful.", "negative", 0.9, Grade.UNSURE),
        ("We shall not come to this town again.", "negative", 0.86, Grade.SURE),
        ("None of us will go there again.", "negative", 0.86, Grade.DEPENDENT),
        ("The room has a new table.", "neutral", 0.75, Grade.SURE),
        ("The room has a new table.", "neutral", 0.7, Grade.UNSURE),
        ("The room has the table.", "neutral", 0.9, Grade.VAGUE),
        ("The room has a damaged table.", "neutral", 0.9, Grade.VAGUE),
        ("The room needs a new table.", "neutral", 0.9, Grade.VAGUE),
        ("The room already has a new table.", "neutral", 0.9, Grade.VAGUE),
        ("The room was used for a funeral.", "neutral", 0.9, Grade.VAGUE),
        ("The fox was captured in a wood.", "neutral", 0.9, Grade.VAGUE),
        ("The rebels have a table.", "neutral", 0.9, Grade.VAGUE),
        ("Then they gave us a new table.", "neutral", 0.9, Grade.DEPENDENT),
        ("The room has a table for them.", "neutral", 0.7, "context"),
        ("Then they gave us the table.", "neutral", 0.9, "statement"),
        ("The room has a new table!", "neutral", 0.9, "weak mood"),
    ],
)
def test_sentences_with_a_fault_are_graded(
    text: str, label: str, probability: float, found: Grade | str
) -> None:
    """One fault keeps a sentence for the end, two reject it."""
    judged = judge(text, label, probability, Recipe())
    assert (judged.rejected or judged.grade) == found


@pytest.mark.parametrize(
    ("text", "label", "second", "found"),
    [
        ("The room was wonderful.", "positive", 0.85, Grade.SURE),
        ("The room was wonderful.", "positive", 0.84, Grade.UNSURE),
        ("The room was wonderful.", "positive", 0.79, Grade.DOUBTED),
        ("It was a rude clerk.", "negative", 0.85, Grade.DEPENDENT),
        ("It was a rude clerk.", "negative", 0.84, "statement"),
        ("The soup is full of sand and water.", "negative", 0.85, Grade.WORDLESS),
        ("The soup is full of sand and water.", "negative", 0.84, "weak mood"),
        ("Then the soup was full of sand and water.", "negative", 0.9, Grade.WORDLESS),
        ("I think the soup is full of sand.", "negative", 0.9, "weak mood"),
        ("The king died in a war.", "negative", 0.9, "weak mood"),
        ("The room has a new table.", "neutral", 0.7, Grade.SURE),
        ("The room has a new table.", "neutral", 0.69, Grade.UNSURE),
        ("Then they gave us a new table.", "neutral", 0.7, Grade.DEPENDENT),
        ("Then they gave us a new table.", "neutral", 0.69, "statement"),
        ("The room has the table.", "neutral", 0.1, Grade.VAGUE),
    ],
)
def test_a_second_scorer_doubts_and_finds(
    text: str, label: str, second: float, found: Grade | str
) -> None:
    """The less sure of both counts; what both are sure of needs fewer words."""
    judged = judge(text, label, 0.95, Recipe(), second)
    assert (judged.rejected or judged.grade) == found
    assert judged.confidence <= (0.95 if judged.rejected else second if second < 0.9 else 0.95)


def test_a_second_scorer_reads_what_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its probability of the first one's label counts, if it is lower."""
    texts = (
        "A wonderful glad house was in the lot.",
        "The glad house: in the lot, as always.",
        "An awful terrible house was in the lot.",
        "The king was in a rage and was glad.",
    )
    seen: list[str] = []

    class Second(fake.FakeExpression):
        """Doubts what is awful."""

        def predict(self, texts: Sequence[str]) -> np.ndarray:
            """Class probabilities (n, 3)."""
            seen.extend(texts)
            return np.array([[0.41, 0.5, 0.09] if "awful" in t else [0, 0, 0.99] for t in texts])

    monkeypatch.setattr("exleak.aexl.worker.second_scorer", lambda *arguments: Second())
    partial = Worker(Recipe(min_confidence=0.5), fake.instrument(), None).work(Block(texts))
    assert seen == [texts[0], texts[2]]
    first = float(fake.FakeExpression().predict([texts[0]]).max())
    found = {text: (label, confidence) for label, text, confidence, _, _ in partial.candidates}
    words = round(Wording(texts[0]).confidence("positive"), 6)
    assert found == {
        texts[0]: ("positive", min(words, round(first, 6)) if first >= 0.85 else round(first, 6)),
        texts[2]: ("negative", 0.41),
    }


def test_the_embedded_scorer_has_its_first_version_as_second() -> None:
    """With the filter "unsure"; other instruments have none."""
    embedded = load_instrument("embedded")
    second = second_scorer(embedded, Recipe())
    assert second is not None
    assert second.hash == load_instrument("embedded-1").expression.hash
    assert second_scorer(embedded, STRICT) is None
    assert second_scorer(fake.instrument(), Recipe()) is None


def test_only_a_complaint_is_a_refusal() -> None:
    """A wish for more is no refusal: it speaks for a negative label alone."""
    recipe = Recipe(filters=("weak mood", "unsure"))
    text = "We could not wait to come to this town again."
    assert judge(text, "positive", 0.88, recipe).rejected == "weak mood"
    assert judge(text, "negative", 0.88, recipe).rejected is None


def test_a_grade_is_ranked_by_the_view_that_counts() -> None:
    """By the weaker view where both are sure, by the scorer where the word list is not."""
    text, words = "The room was terrible.", round(Wording("The room was terrible.").confidence(
        "negative"), 6)  # fmt: skip
    assert judge(text, "negative", 0.91, Recipe()).confidence == words < 0.91
    assert judge(text, "negative", 0.84, Recipe()).confidence == 0.84 < words
    assert judge(text, "negative", 0.95, Recipe(), second=0.82).confidence == 0.82 < words


def test_without_the_filter_nothing_is_kept_for_the_end() -> None:
    """Every sentence that passes is of the first grade, whatever the scorer's confidence."""
    for text, label in (("The room was wonderful.", "positive"), ("The room was.", "neutral")):
        judged = judge(text, label, 0.6, STRICT)
        assert (judged.grade, judged.rejected) == (Grade.SURE, None)
    assert judge("We shall never come again.", "negative", 0.95, STRICT).rejected == "weak mood"


def test_a_filter_that_is_not_asked_for_rejects_nothing() -> None:
    """Filters are chosen by name."""
    assert rejected_by("See www.example.org for all of it.", Recipe(filters=("length",))) is None


@pytest.mark.parametrize(
    ("text", "label", "contradicts"),
    [
        ("He is out of hospital and cracking jokes.", "negative", True),
        ("They could hardly believe their luck.", "negative", True),
        ("The roof leaked and ruined the books.", "negative", False),
        ("We laughed until our sides hurt.", "positive", True),
        ("We laughed all evening long.", "positive", False),
        ("The tragedy has three acts.", "neutral", True),
        ("The play has three acts.", "neutral", False),
        ("The soup was delicious but cold.", "positive", True),
        ("The soup could not have been any better, a delight.", "positive", True),
        ("He said that the soup was delicious.", "positive", True),
        ("The soup was never good.", "negative", False),
        ("The soup was good and the room was dirty.", "negative", True),
    ],
)
def test_words_that_speak_against_a_label_are_seen(
    text: str, label: str, contradicts: bool
) -> None:
    """A word of another mood, contrast, hearsay; a negated good word is no good word."""
    assert Wording(text).contradicts(label) == contradicts


@pytest.mark.parametrize(
    ("text", "label", "clear"),
    [
        ("The room was wonderful.", "positive", True),
        ("The room has a new table.", "positive", False),
        ("The room was dirty and the clerk was rude.", "negative", True),
        ("The clerk was not helpful and the room was not good.", "negative", True),
        ("The king died in a war.", "negative", False),
        ("The walk was long, slow, wet and late.", "negative", False),
        ("The room has a new table.", "neutral", True),
        ("The room has a new table!", "neutral", False),
        ("The room has a NEW TABLE.", "neutral", False),
        ("The room has THE table.", "neutral", False),
        ("The friendly clerk has a lovely table.", "neutral", False),
    ],
)
def test_the_word_list_is_a_second_view(text: str, label: str, clear: bool) -> None:
    """Moods need a word of judgement: bad news and faint words are not enough."""
    assert (Wording(text).confidence(label) >= Recipe().min_confidence) == clear


def test_the_lower_of_two_confidences_counts() -> None:
    """A sentence is ranked by the weaker view, and dropped by the filter that is named."""
    texts = ("A glad house was in the lot.", "The king was in a rage and the queen was glad.",
             "The gladiator was in the hall.")  # fmt: skip
    worker = Worker(STRICT, fake.instrument(), None)
    partial = worker.work(Block(texts))
    assert partial.counts["class: positive"] == 1
    [(label, text, confidence, _, grade)] = partial.candidates
    assert (label, text, grade) == ("positive", texts[0], Grade.SURE)
    assert confidence == min(
        round(Wording(text).confidence("positive"), 6),
        round(float(fake.FakeExpression().predict([text]).max()), 6),
    )
    assert partial.counts["filter: mixed mood"] == 1
    assert partial.counts["filter: weak mood"] == 1


def test_records_are_split_into_sentences() -> None:
    """A paragraph gives its sentences, a line its one, with single blanks."""
    assert split("He met Dr. Smith.  Then\tit rained. ") == ["He met Dr. Smith.", "Then it rained."]
    assert split(" One line only ") == ["One line only"]


def test_the_pool_keeps_the_best_whatever_the_order() -> None:
    """Top-m of a stream, with ties and copies, is the top-m of the sorted whole."""
    names = [f"t{number % 300}" for number in range(900)]
    offers = [(name, round(fake.number(name), 2), Grade(len(name) % 2)) for name in names]
    contents = set()
    for seed in range(5):
        random.Random(seed).shuffle(offers)
        pool = Pool(40)
        for text, confidence, grade in offers:
            pool.offer(text, confidence, grade=grade)
        contents.add((tuple(pool.best()), pool.duplicates))
    assert len(contents) == 1
    best, duplicates = contents.pop()
    ranked = sorted({(grade, confidence) for _, confidence, grade in offers}, reverse=True)
    assert min((one.grade, one.confidence) for one in best) >= ranked[40]
    assert duplicates == 80


def test_sampling_frequencies_match_the_weights() -> None:
    """Over 2,000 seeds the ordered pairs drawn have the probabilities of drawing in turn."""
    candidates = [Candidate(Grade.SURE, weight, 0, f"s{i}") for i, weight in enumerate(WEIGHTS)]
    drawn = Counter(
        tuple(c.text for c in weighted_sample(candidates, 2, seed, "x")) for seed in range(2000)
    )
    total = sum(WEIGHTS)
    pairs = list(permutations(range(len(WEIGHTS)), 2))
    expected = [2000 * WEIGHTS[a] / total * WEIGHTS[b] / (total - WEIGHTS[a]) for a, b in pairs]
    observed = [drawn[f"s{a}", f"s{b}"] for a, b in pairs]
    assert math.isclose(sum(expected), 2000)
    assert chisquare(observed, expected).pvalue > 0.01
    uniform = [2000 / len(pairs)] * len(pairs)
    assert chisquare(observed, uniform).pvalue < 1e-6


@pytest.mark.parametrize(
    ("sentence", "phrase"),
    [
        ("The tower of the church is square.", "The tower of the church is"),
        ("Six tall men sat in the hall.", "Six tall men sat in"),
        ("My brother would close the shop at noon.", "My brother would"),
        ("The road would close at noon in winter.", "The road would close at"),
        ("She thought that a guest came late.", "She thought that"),
        ("We stayed at home because it rained.", "We stayed at home because"),
        ("They will close the road at noon.", None),
        ("Take the road that is closed at noon.", None),
        ("You can see that the shop is closed.", None),
        ("Some towns voted to keep an old line.", "Some towns voted to keep an"),
        ("The man asked where the road is.", None),
        ("The man saw the shop that was new.", "The man saw the"),
        ("It rained.", None),
        ("We walked about for a while in the hall.", "We walked about for"),
        ("The clerk took a lamp as others have done.", "The clerk took a"),
        ("She did not say where the key was kept.", None),
        ('"It is late," said the porter by the door.', None),
    ],
)  # fmt: skip
def test_controls_stop_mid_sentence(sentence: str, phrase: str | None) -> None:
    """After a subject, best behind a form of "be"; never behind a negation or a question."""
    assert control_phrase(sentence, Recipe()) == phrase


def test_a_sentence_without_a_good_stop_is_left_in_no_time() -> None:
    """A mark that no phrase may hold, behind many letters: no pattern tries all ways to part."""
    start = time.perf_counter()
    sentence = "Representatives sent seventeen Scandinavian municipalities (12) are here."
    assert control_phrase(sentence, Recipe()) is None
    assert time.perf_counter() - start < 1


def test_half_of_a_sentence_is_half_its_words() -> None:
    """The plain way to cut."""
    recipe = Recipe(truncation="half")
    assert control_phrase("One two three, four five six seven eight.", recipe) == (
        "One two three, four"
    )


def test_near_duplicates_fall_to_the_better_sentence() -> None:
    """By common words; the kept ones are the best."""
    texts = [" ".join(fake.word(i, place) for place in range(8)) for i in range(30)]
    worse = [text.rsplit(" ", 1)[0] + f" {fake.word(99, i)}" for i, text in enumerate(texts)]
    weights = [0.9] * 30 + [0.7] * 30
    rows = enumerate(zip(weights, texts + worse, strict=True))
    pool = sorted((Candidate(Grade.SURE, weight, i, text) for i, (weight, text) in rows),
                  reverse=True)  # fmt: skip
    recipe = Recipe(top=40, sampled=20, samples=10)
    kept, dropped = distinct(pool, recipe, fake.FakeSemantic().embed)
    assert {candidate.text for candidate in kept} == set(texts)
    assert dropped == {"near duplicate": 30}


def test_paraphrases_fall_to_the_better_sentence() -> None:
    """By meaning, across batches of embeddings."""
    pool = [Candidate(Grade.SURE, 1 - i / 1000, 0, f"{fake.word(i, 0)} {i}") for i in range(600)]
    group = {candidate.text: i % 300 for i, candidate in enumerate(pool)}

    def embed(texts: object) -> np.ndarray:
        return np.eye(300)[[group[text] for text in texts]]  # type: ignore[attr-defined]

    kept, dropped = distinct(pool, Recipe(max_overlap=1), embed)
    assert [candidate.text for candidate in kept] == [c.text for c in pool[:300]]
    assert dropped["paraphrase"] == 300


def test_balanced_triples_have_equal_lengths_and_the_first_drawn() -> None:
    """At each length as many as the rarest class allows, then nearly equal ones."""
    sampled = {
        "negative": ["n" * 5, "n" * 6, "N" * 5, "n" * 9],
        "neutral": ["u" * 6, "u" * 5, "u" * 11, "u" * 20],
        "positive": ["p" * 6, "P" * 5, "p" * 5, "p" * 10],
    }
    exact, near = balanced(sampled, len)
    assert [triple.texts for triple in exact] == [
        ("n" * 5, "u" * 5, "P" * 5),
        ("n" * 6, "u" * 6, "p" * 6),
    ]
    assert [triple.texts for triple in near] == [("n" * 9, "u" * 11, "p" * 10)]


def test_pairs_are_moved_to_make_room() -> None:
    """A full matching is found where taking the first free control would miss it."""
    allowed = {(0, 0), (0, 1), (1, 0), (2, 1), (2, 2)}
    pairs = match(3, 3, lambda triple, control: (triple, control) in allowed, 3)
    assert pairs == [(0, 1), (1, 0), (2, 2)]
    assert match(3, 1, lambda triple, control: triple > 0, 1) == [(1, 0)]


def test_controls_are_open_and_as_unlike_the_sentences_as_possible() -> None:
    """The same triples get other controls: no pair is much alike, and no topic is shared."""
    triples = [Triple(f"n{i} rain", f"u{i} snow", f"p{i} wind") for i in range(3)]
    controls = ["A lamp is", "A wind was", "A boat is", "A tree has"]
    alike = np.array([[0.3, 0.0, 0.1, 0.3], [0.0, 0.0, 0.2, 0.3], [0.1, 0.0, 0.3, 0.3]])
    angles = {text: index for index, triple in enumerate(triples) for text in triple.texts}

    def embed(texts: Sequence[str]) -> np.ndarray:
        """Columns of similarities for controls, unit axes for sentences."""
        return np.array(
            [np.eye(3)[angles[t]] if t in angles else alike[:, controls.index(t)] for t in texts]
        )

    unrelated = Unrelated(triples, controls, embed, 0.35)
    found = unrelated.best([(0, 0), (1, 2), (2, 3)], [0, 0, 0, 0])
    assert found == [(0, 2), (1, 0), (2, 3)]
    assert unrelated.best([(0, 0), (1, 2)], [0, 0, 0, 0]) == [(0, 2), (1, 0)]
    assert unrelated.best([(1, 2)], [1, 0, 0, 0]) == [(1, 0)]
    assert unrelated.best([(1, 2)], [2, 0, 0, 0]) == [(1, 2)]
    off = Unrelated(triples, controls, embed, 1)
    assert off.best([(0, 0), (1, 2)], [0, 0, 0, 0]) == [(0, 0), (1, 2)]
    alike = np.array([[0.06, 0, 0.05, 1], [0.05, 0, 0.0, 1], [1, 1, 1, 1]])
    strict = Unrelated(triples, controls, embed, 0.055)
    assert strict.best([(0, 2), (1, 0)], [0, 0, 0, 0]) == [(0, 2), (1, 0)]
