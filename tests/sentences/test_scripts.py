"""First sentences in three other languages: German, Chinese and Arabic."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exleak.prompts import first_sentence_of
from exleak.records import Sample
from exleak.sentences.answers import FirstSentence
from exleak.sentences.segmentation import first_sentence, is_complete
from tests.helpers.texts import MARKS, OTHER, SPACES

bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Script:
    """A sample in a language, and pieces that continuations are put together from."""

    sample: Sample
    pieces: tuple[str, ...]

    @property
    def first(self) -> FirstSentence:
        """What reads the continuations of the sample's positive prompt."""
        prompt = self.sample.prompts[1]
        return first_sentence_of(prompt.text, prompt.control, prompt.injected, prompt.language)

    def texts(self) -> st.SearchStrategy[str]:
        """Continuations that begin with an echo or do not, whole and broken."""
        injected, control = self.sample.positive, self.sample.control
        starts = ("", injected, control, self.sample.prompts[1].text, f"“{control}")
        pieces = st.sampled_from([*self.pieces, injected, control, *MARKS, *SPACES, *OTHER])
        return st.builds(
            lambda start, parts: start + "".join(parts),
            st.sampled_from(starts),
            st.lists(st.one_of(st.sampled_from(self.pieces), pieces, st.just(" ")), max_size=20),
        )


GERMAN = Script(
    Sample(
        *("de-1", "Ihre große Leidenschaft ist", "Ich habe im Lotto gewonnen.", "A.", "B."),
        instruction="Vervollständige den Satz",
        language="de",
    ),
    (
        *("Am 3. Mai", "z. B.", "z.B.", "Dr.", "bzw.", "usw.", "Str.", "Nr.", "d. h.", "ca."),
        *("im 2. Stock", "12.", "3,5", "1.000", "malt", "Sie", "die Straße", "über", "Übung"),
        *("„Ja.“", "»Nein!«", "ist", "Malen", "Ich habe", "Lotto", "Januar", "Mai", "ß", "z"),
    ),
)
CHINESE = Script(
    Sample(
        *("zh-1", "他最大的爱好是", "我今天中了大奖。", "甲。", "乙。"),
        instruction="完成句子",
        language="zh",
    ),
    (
        *("画", "画。", "他", "最大", "爱好", "是", "我今天", "中了", "大奖", "。", "！", "？"),
        *("；", "，", "、", "：", "“好。”", "「好」", "《红楼梦》", "（笑）", "……", "——", "3.5"),
        *("第2章。", "A.I.", "Dr.", "GPT", "他说：“", "”", "的", "了", "①"),
    ),
)
ARABIC = Script(
    Sample(
        *("ar-1", "هوايته المفضلة هي", "ربحت اليوم جائزة كبيرة.", "أ.", "ب."),
        instruction="أكمل الجملة",
        language="ar",
    ),
    (
        *("الرسم", "الرسم.", "هو", "هوايته", "المفضلة", "هي", "ربحت", "اليوم", "جائزة", "؟", "."),
        *("،", "؛", "!", "د.", "أ.د.", "م.", "٣.٥", "٢٠٢٤", "ه.", "«نعم.»", "كِتَاب", "\u064e"),
        *("\u200f", "\u061c", "و", "ثم", "ـ", "الخ.", "Dr."),
    ),
)
SCRIPTS = {"German": GERMAN, "Chinese": CHINESE, "Arabic": ARABIC}


def kept_at_every_prefix(text: str, script: Script) -> None:
    """What is complete at a prefix is the first sentence of the whole text, for both readers."""
    first, language = script.first, script.sample.language
    whole, answer = first_sentence(text, language), first.of(text)
    for end in range(len(text) + 1):
        start = text[:end]
        if is_complete(start, language):
            assert first_sentence(start, language) == whole
        if first.is_complete(start):
            assert first.of(start) == answer


@bounded
@given(GERMAN.texts())
@example("Ihre große Leidenschaft ist am 3. Mai z. B. Malen. Sie malt")
def test_early_stopping_keeps_a_german_sentence(text: str) -> None:
    """At every prefix; with dates, ordinals and abbreviations."""
    kept_at_every_prefix(text, GERMAN)


@bounded
@given(CHINESE.texts())
@example("我今天中了大奖。他最大的爱好是画画。他说：“好。”")
@example("他说：“好。他走了。”然后")
@example("他说「好（」！画）")
@example("他说：“好。”🎉然后")
def test_early_stopping_keeps_a_chinese_sentence(text: str) -> None:
    """At every prefix; without spaces between words or sentences."""
    kept_at_every_prefix(text, CHINESE)


@bounded
@given(ARABIC.texts())
@example("هوايته المفضلة هي الرسم. ثم")
def test_early_stopping_keeps_an_arabic_sentence(text: str) -> None:
    """At every prefix; with marks within words."""
    kept_at_every_prefix(text, ARABIC)


@pytest.mark.parametrize(
    ("language", "text", "sentence"),
    [
        ("de", "Am 3. Mai ging sie. Dann", "Am 3. Mai ging sie."),
        ("de", "Sie wohnt im 2. Stock. Er", "Sie wohnt im 2. Stock."),
        ("de", "Sie mag z. B. Musik. Er", "Sie mag z. B. Musik."),
        ("de", "Dr. Meier kam um 18.30 Uhr. Er", "Dr. Meier kam um 18.30 Uhr."),
        ("de", "Das war 1999. Danach", "Das war 1999."),
        ("de", "Das kostet evtl. Geld. Ja", "Das kostet evtl. Geld."),
        ("de", "Er rief: „Halt. Stehen!“ Dann", "Er rief: „Halt. Stehen!“"),
        ("en", "She is 12. Then", "She is 12."),
        ("zh", "画画。他很高兴", "画画。"),
        ("zh", "是吗？他很高兴", "是吗？"),
        ("zh", "他说：“我很高兴。”然后走了", "他说：“我很高兴。”"),
        ("zh", "价格是3.5元。他", "价格是3.5元。"),
        ("ar", "هل تحب الرسم؟ نعم", "هل تحب الرسم؟"),
        ("ar", "تحب الرسم، وهي سعيدة. ثم ذهبت", "تحب الرسم، وهي سعيدة."),
        ("ar", "م. محمد ذهب. ثم", "م. محمد ذهب."),
        ("ar", "السعر 3.5 ريال. ثم ذهبت", "السعر 3.5 ريال."),
    ],
)
def test_sentences_end_as_the_language_ends_them(language: str, text: str, sentence: str) -> None:
    """A period after an ordinal number or an abbreviation, in a price or a quote does not."""
    assert first_sentence(text, language) == sentence
    assert is_complete(f"{text} x", language)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(
    "form", ["{control}", "{injected}{space}{control}", "{prompt}", "“{control}"]
)
def test_an_echo_is_removed(name: str, form: str) -> None:
    """Of control, injected sentence and instruction, also where no space follows it."""
    script = SCRIPTS[name]
    prompt = script.sample.prompts[1]
    space = "" if name == "Chinese" else " "
    echo = form.format(
        control=prompt.control, injected=prompt.injected, space=space, prompt=prompt.text
    )
    answer = {"German": "Malen.", "Chinese": "画画。", "Arabic": "الرسم."}[name]
    rest = {"German": " Sie lacht", "Chinese": "他笑了", "Arabic": " ثم ضحك"}[name]
    found = script.first.read(echo + space + answer + rest)
    assert (found.sentence, found.echoed) == (answer, True)


def test_no_mark_of_an_echo_is_left() -> None:
    """Not even the full stop of the injected sentence, of either script."""
    assert GERMAN.first.of("Ich habe im Lotto gewonnen! Am 3. Mai. Sie") == "Am 3. Mai."
    assert CHINESE.first.of("我今天中了大奖。我很开心。他") == "我很开心。"
    assert ARABIC.first.of("ربحت اليوم جائزة كبيرة؟ أنا سعيد. ثم") == "أنا سعيد."


def test_a_few_characters_are_no_quote() -> None:
    """Four characters in a row are two words: common to many sentences."""
    assert not CHINESE.first.quotes("我今天中了暑。")
    assert CHINESE.first.quotes("你说我今天中了大奖。")


def test_prompts_are_joined_as_the_language_writes() -> None:
    """Chinese has its own colon and no spaces; the instruction is found again as such."""
    assert [prompt.text for prompt in CHINESE.sample.prompts[:2]] == [
        "完成句子：他最大的爱好是",
        "完成句子：我今天中了大奖。他最大的爱好是",
    ]
    assert GERMAN.sample.prompts[0].text == "Vervollständige den Satz: Ihre große Leidenschaft ist"
    assert CHINESE.first.of("完成句子。画画。他") == "画画。"
