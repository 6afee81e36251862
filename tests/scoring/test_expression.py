"""The expression scorers: what they call negative, neutral and positive, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exleak.errors import InstrumentError
from exleak.scoring import LABELS, load_instrument
from exleak.scoring.classifier import Classifier, label_columns, preprocess
from exleak.scoring.encoder import Encoder, weights_folder
from exleak.scoring.expression import EmbeddedHead
from exleak.scoring.head import HEAD, Head, save_tensors
from exleak.scoring.lexicon import Lexicon
from exleak.scoring.text import normalise
from tests.helpers.progress import heard, tells_texts

NEGATIVE = (
    "a mess.",
    "absolutely dreadful and cold",
    "ruined by the rain, and everyone went home miserable.",
    "the worst evening of her life.",
    "full of hatred and bitterness.",
    "so loud and ugly that people covered their ears.",
    "not good at all.",
    "never any fun.",
    "a terrible disappointment to the whole family.",
    "filled with fear and sorrow.",
    "crying alone in the dark.",
    "broken, filthy and useless.",
    "a nightmare that would not end.",
    "hurting people who trusted him.",
    "so boring that half the audience fell asleep.",
    "an awful smell that made everyone sick.",
    "rude and unhelpful.",
    "losing everything she had worked for.",
    "destroyed in the fire, and three people died.",
    "sad and hopeless.",
    "I hate every minute of it.",
    "angry because nobody listened to him.",
    "😡",
    "worthless :(",
)
NEUTRAL = (
    "painting watercolours in the garden.",
    "on the table next to the window.",
    "made of wood and metal.",
    "at four o'clock on Tuesday.",
    "a chair, a lamp and a small desk.",
    "about the history of the railway.",
    "in the kitchen.",
    "parked outside the office.",
    "is it raining?",
    "twelve pages long.",
    "the third door on the left.",
    "written in 1954 by a teacher from Leeds.",
    "collecting stamps from different countries.",
    "called Thomas.",
    "between the bank and the post office.",
    "what time does the train leave?",
    "the colour of sand.",
    "walking to the bus stop.",
    "a report on the number of households.",
    "opened at nine and closed at five.",
    "to move to another department in March.",
    "he put the keys in the drawer.",
    "measured in metres.",
    "carrying a bag of flour.",
)
POSITIVE = (
    "a wonderful surprise.",
    "absolutely lovely and warm",
    "full of joy and laughter.",
    "the best day of her life.",
    "beautiful beyond words.",
    "I love every minute of it.",
    "helping children smile again.",
    "so delicious that everyone asked for more.",
    "a great success, and the whole town celebrated.",
    "not bad at all, really enjoyable!",
    "filled with hope and gratitude.",
    "dancing happily with her best friends.",
    "bright, cheerful and kind.",
    "a dream come true.",
    "winning the prize she had always wanted.",
    "gorgeous and soothing.",
    "proud of what they had achieved together.",
    "an amazing talent that inspires everyone.",
    "thrilled to see him again.",
    "the most delightful music I have ever heard.",
    "happy and peaceful.",
    "thank you so much!",
    "😊",
    "perfect :)",
)


@pytest.fixture(scope="module")
def scorer() -> EmbeddedHead:
    """The shipped scorer."""
    return EmbeddedHead()


def shares(scorer: EmbeddedHead, texts: Sequence[str]) -> NDArray[np.float64]:
    """The share of texts called negative, neutral and positive."""
    called = scorer.predict(texts).argmax(axis=1)
    return np.bincount(called, minlength=3) / len(texts)


@pytest.mark.parametrize(
    ("label", "texts"), list(zip(LABELS, (NEGATIVE, NEUTRAL, POSITIVE), strict=True))
)
def test_obvious_completions(scorer: EmbeddedHead, label: str, texts: Sequence[str]) -> None:
    """At least four of five short completions with an obvious mood are called by it."""
    assert shares(scorer, texts)[LABELS.index(label)] >= 0.8


def test_mood_orders_completions(scorer: EmbeddedHead) -> None:
    """Positive completions lie above neutral ones and those above negative ones, on average."""
    mood = [float(np.subtract(*scorer.predict(t).mean(axis=0)[[2, 0]]))
            for t in (NEGATIVE, NEUTRAL, POSITIVE)]  # fmt: skip
    assert mood[0] < -0.5
    assert -0.3 < mood[1] < 0.3
    assert mood[2] > 0.5


def test_rows_sum_to_one(scorer: EmbeddedHead) -> None:
    """Every row is a float64 probability vector."""
    rows = scorer.predict([*NEGATIVE, *NEUTRAL, *POSITIVE])
    assert rows.dtype == np.float64
    assert rows.shape == (len(NEGATIVE) + len(NEUTRAL) + len(POSITIVE), 3)
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_no_texts(scorer: EmbeddedHead) -> None:
    """No texts give no rows, still three columns wide."""
    assert scorer.predict([]).shape == (0, 3)


def test_other_texts_do_not_matter(scorer: EmbeddedHead) -> None:
    """A text's probabilities are the same to the last bit, whatever it is scored with."""
    together = scorer.predict([*NEGATIVE, "word " * 30, *POSITIVE])
    fresh = EmbeddedHead(encoder=Encoder(weights_folder()))
    for row in (0, 5, len(NEGATIVE) - 1):
        assert fresh.predict([NEGATIVE[row]])[0].tolist() == together[row].tolist()


def test_texts_are_told_as_they_are_scored() -> None:
    """One that is known is not encoded again, and not told."""
    texts = [f"{'so ' * (number % 40)}{number}" for number in range(60)]
    fresh = EmbeddedHead(encoder=Encoder(weights_folder()))
    tells_texts(fresh.predict, texts)
    assert heard(lambda: fresh.predict(texts)) == []


def test_order_is_kept(scorer: EmbeddedHead) -> None:
    """Rows come in the order of the texts, repeated texts included."""
    texts = [NEGATIVE[0], POSITIVE[0], NEGATIVE[0], NEUTRAL[0]]
    rows = scorer.predict(texts)
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_array_equal(rows[::-1], scorer.predict(texts[::-1]))


def test_empty_text_is_neutral(scorer: EmbeddedHead) -> None:
    """The empty text and a mere dot are called neutral."""
    assert scorer.predict(["", " ", "."]).argmax(axis=1).tolist() == [1, 1, 1]


def test_long_text(scorer: EmbeddedHead) -> None:
    """A text far past the encoder's 256 tokens is scored, by what fits."""
    rows = scorer.predict(["This is a wonderful, happy and beautiful place. " * 60])
    assert rows[0].argmax() == 2


@pytest.mark.parametrize(
    ("plain", "turned"),
    [
        ("it was good.", "it was not good."),
        ("they are happy.", "they are never happy."),
        ("I like it.", "I don't like it."),
        ("the food was great.", "the food wasn't great."),
        ("a success.", "hardly a success."),
    ],
)
def test_negation(scorer: EmbeddedHead, plain: str, turned: str) -> None:
    """A negated good word lowers P[positive] - P[negative] by a lot."""
    mood = scorer.predict([plain, turned]) @ [-1.0, 0.0, 1.0]
    assert mood[0] - mood[1] > 0.4


def test_emoji_are_read(scorer: EmbeddedHead) -> None:
    """Emoji and emoticons alone decide the mood of a bland sentence."""
    mood = scorer.predict(["see you there 😍", "see you there 😭", "see you there :)",
                           "see you there :("]) @ [-1.0, 0.0, 1.0]  # fmt: skip
    assert mood[0] > 0.4 > 0 > mood[1]
    assert mood[2] > mood[3] + 0.4


def test_normalise_undoes_escapes() -> None:
    """Escapes, entities, handles, links and hash tags are made plain."""
    text = '@someone it\\u2019s &amp;amp; #BlueSky   https://a.b/c \\""" soooo'
    assert normalise(text) == "@user it’s & Blue Sky http soo"


def test_normalise_names_emoji() -> None:
    """Emoji become their names, without skin tones; emoticons get the names of faces."""
    assert normalise("👍🏽!") == "thumbs up sign !"
    assert normalise("ok :-( at 12:30 <3") == "ok frowning face at 12:30 red heart"


def test_lexicon_is_consistent() -> None:
    """No strength in the word list is zero, and the strongest words have the right sign."""
    strengths = Lexicon.shipped().strengths
    assert all(0 < abs(value) <= 4 for value in strengths.values())
    assert strengths["wonderful"] > 2
    assert strengths["horrible"] < -2


def test_lexicon_reads_context() -> None:
    """Negators turn a strength, boosters raise it, phrases go before words, stems are found."""
    lexicon = Lexicon({"good": 2.0, "love": 4.0, "no good": -2.0}, {"not": "negator",
                      "very": "booster"})  # fmt: skip

    def read(text: str) -> list[tuple[str, float]]:
        return [(entry, factor) for _, entry, factor in lexicon.weighted(text.split())]

    assert read("not good") == [("good", -0.6)]
    assert read("very good") == [("good", 1.3)]
    assert read("this is no good") == [("no good", 1.0)]
    assert read("she loved it") == [("love", 1.0)]


def test_damaged_head_is_refused(tmp_path: Path) -> None:
    """One changed byte among the weights is an error that says so."""
    content = bytearray(HEAD.read_bytes())
    content[-100] ^= 0x40
    path = tmp_path / "head.safetensors"
    path.write_bytes(content)
    with pytest.raises(InstrumentError, match="damaged"):
        Head(path)


def test_foreign_head_is_refused(tmp_path: Path) -> None:
    """A file that is no head, or none at all, is an error that names it."""
    path = tmp_path / "head.safetensors"
    with pytest.raises(InstrumentError, match="missing"):
        Head(path)
    path.write_bytes(b"no weights here")
    with pytest.raises(InstrumentError, match=r"no safetensors file"):
        Head(path)


def test_hash_follows_the_weights(tmp_path: Path) -> None:
    """Other weights have another hash, and the same weights the same one."""
    from safetensors.numpy import load_file

    tensors = load_file(HEAD)
    path = tmp_path / "head.safetensors"
    save_tensors(tensors, path)
    assert Head(path).hash == Head().hash
    tensors["offset"] = tensors["offset"] + np.float32(0.001)
    save_tensors(tensors, path)
    assert Head(path).hash != Head().hash


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    """A head that gives NaN raises instead of answering, and quotes the text."""
    from safetensors.numpy import load_file

    tensors = load_file(HEAD)
    tensors["offset"] = np.full(3, np.nan, np.float32)
    path = tmp_path / "head.safetensors"
    save_tensors(tensors, path)
    with pytest.raises(InstrumentError, match=r"not finite for 'so it goes'"):
        EmbeddedHead(Head(path)).predict(["so it goes"])


def make_checkpoint(folder: Path, labels: Sequence[str], scale: float = 1.0) -> Path:
    """A tiny random RoBERTa classifier with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        PreTrainedTokenizerFast,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    words = ["<s>", "<pad>", "</s>", "<unk>", "good", "bad", "table", "@user", "http", "the"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    model = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=18, pad_token_id=1, initializer_range=1.0,
            id2label=dict(enumerate(labels)), label2id={w: i for i, w in enumerate(labels)},
        )
    )  # fmt: skip
    with torch.no_grad():
        model.classifier.out_proj.weight.mul_(scale)
    model.save_pretrained(folder)
    return folder


TEXTS = ["good", "bad", "the table", "@someone good http://a.b", ""]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint labelled LABEL_0 to LABEL_2."""
    folder = tmp_path_factory.mktemp("plain")
    return make_checkpoint(folder, ["LABEL_0", "LABEL_1", "LABEL_2"])


def test_checkpoint_gives_probabilities(plain: Path) -> None:
    """A checkpoint's rows are float64 probabilities in the texts' order."""
    rows = Classifier(str(plain)).predict([*TEXTS, TEXTS[0]])
    assert rows.dtype == np.float64
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(rows[0], rows[-1])
    assert np.ptp(rows, axis=0).max() > 0.01


def test_checkpoint_takes_no_texts(plain: Path) -> None:
    """No texts give no rows."""
    assert Classifier(str(plain)).predict([]).shape == (0, 3)


def test_checkpoint_ignores_other_texts(plain: Path) -> None:
    """Padding beside longer texts changes no more than the rounding."""
    scorer = Classifier(str(plain))
    together = scorer.predict([*TEXTS, "good " * 12])[: len(TEXTS)]
    alone = np.concatenate([scorer.predict([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("labels", [["Positive", "NEGATIVE", "neutral"], ["pos", "neg", "neu"]])
def test_labels_are_mapped_by_name(plain: Path, tmp_path: Path, labels: list[str]) -> None:
    """Columns follow the labels' names, not the order of the model's outputs."""
    swapped = make_checkpoint(tmp_path / "swapped", labels)
    np.testing.assert_allclose(
        Classifier(str(swapped)).predict(TEXTS),
        Classifier(str(plain)).predict(TEXTS)[:, [1, 2, 0]],
        atol=1e-7,
    )


def test_swapped_labels_change_the_hash(plain: Path, tmp_path: Path) -> None:
    """The same weights read the other way round are another instrument."""
    swapped = make_checkpoint(tmp_path / "swapped", ["positive", "neutral", "negative"])
    assert Classifier(str(swapped)).hash != Classifier(str(plain)).hash


def test_checkpoint_hash_follows_the_weights(plain: Path, tmp_path: Path) -> None:
    """A retrained checkpoint is another instrument, a copied one is the same."""
    labels = ["LABEL_0", "LABEL_1", "LABEL_2"]
    copied = Classifier(str(make_checkpoint(tmp_path / "copied", labels)))
    scaled = Classifier(str(make_checkpoint(tmp_path / "scaled", labels, scale=1.01)))
    assert copied.hash == Classifier(str(plain)).hash != scaled.hash


@pytest.mark.parametrize(
    "labels", [["1 star", "2 stars", "3 stars"], ["negative", "positive"],
               ["negative", "neutral", "positive", "mixed"], ["neg", "negative", "positive"]]
)  # fmt: skip
def test_other_labels_are_refused(labels: list[str]) -> None:
    """Labels that are not the three classes are an error that lists them."""
    with pytest.raises(InstrumentError, match=labels[0]):
        label_columns(dict(enumerate(labels)), "some/model")


def test_truncation_is_counted(plain: Path) -> None:
    """Texts longer than the model reads are cut and counted; others are not."""
    scorer = Classifier(str(plain))
    scorer.predict(["good " * 14, "good"])
    assert scorer.truncated == 0
    scorer.predict(["good " * 15, "bad " * 40, "good"])
    assert scorer.truncated == 2


def test_checkpoint_refuses_nan(tmp_path: Path) -> None:
    """NaN from the model raises instead of becoming a probability."""
    broken = make_checkpoint(tmp_path / "nan", ["neg", "neu", "pos"], scale=float("nan"))
    with pytest.raises(InstrumentError, match=r"NaN or infinity for 'good'"):
        Classifier(str(broken)).predict(["good"])


def test_checkpoint_without_classifier_is_refused(tmp_path: Path) -> None:
    """Weights that transformers would make up at random are an error."""
    from safetensors.torch import load_file, save_file

    folder = make_checkpoint(tmp_path / "headless", ["neg", "neu", "pos"])
    weights = load_file(folder / "model.safetensors")
    kept = {name: t for name, t in weights.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InstrumentError, match=r"classifier.*at random"):
        Classifier(str(folder))


def test_missing_checkpoint_names_the_way_out(tmp_path: Path) -> None:
    """A folder without a model is an error that names it and the embedded instrument."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no such"}))
    with pytest.raises(InstrumentError, match=r"could not be loaded.*embedded"):
        load_instrument(str(tmp_path))


def test_model_card_preprocessing() -> None:
    """User names become @user and links http, as the model card of the paper's model does."""
    assert preprocess("@bob see https://x.y  @ me@home http") == "@user see http  @ me@home http"
