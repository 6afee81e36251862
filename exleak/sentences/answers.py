"""The answer in a generation: its first sentence, behind thoughts, introductions and echoes.

What a chat model writes before it answers is not its continuation of the prompt: a thought, an
introduction ("Sure! Here is the completed sentence:"), the prompt again. A model that repeats "I
lost my keys. Her passion is painting." would be scored on the sentence that was put into its mouth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exleak.sentences.echo import SEPARATOR, WORD, Echo, Part
from exleak.sentences.introductions import is_introduction, label_end, leads_to_echo
from exleak.sentences.segmentation import CLOSER, CONTENT, EMOJI, line_start, may_be_complete, span
from exleak.sentences.thoughts import answer_start

_LIST_MARKER = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•])\s+")
#: An echo of fewer words may be the model's own; it counts only behind an introduction.
_TELLING = 4


@dataclass(frozen=True)
class Answer:
    """What was found in a generation.

    Attributes:
        sentence: The first sentence of the answer; empty where there is none.
        introduction: The introduction or label that stood before it, if any.
        echoed: Whether a part of the prompt did.
    """

    sentence: str
    introduction: str = ""
    echoed: bool = False


class FirstSentence:
    """The first sentence of the answers to one prompt.

    An echo is the whole prompt, or its instruction, injected sentence or control, said again in any
    order and number: at the start of the answer, or behind an introduction or a label. Sentences
    that only introduce what follows are passed over. A thought before the answer is left out, and
    nothing remains where it is not closed.

    Cut generations short and score them with the same parts: what was cut short for one set of
    parts may lack the sentence that another set leaves.

    Args:
        prompt: The text sent to the model.
        control: The control prompt; `prompt` itself if its parts are not known.
        injected: The sentence put before the control, if any.
        instruction: The instruction put before both, if any.

    >>> first = FirstSentence(prompt="I won. Her passion is", control="Her passion is")
    >>> first.of('"Her passion is... painting." She loves it.')
    'painting.'
    >>> first.of("Sure! The completed sentence is: I won. Her passion is painting.")
    'painting.'
    """

    def __init__(
        self,
        *,
        prompt: str,
        control: str | None = None,
        injected: str | None = None,
        instruction: str | None = None,
    ) -> None:
        texts = {text for text in (prompt, control, injected, instruction) if text}
        if instruction:
            texts |= {text.removeprefix(instruction) for text in texts}
        weak = [Part(text).words for text in (instruction, control) if text]
        found = [Part(text, breakable=text == injected) for text in sorted(texts)]
        parts = [(part, part.words not in weak) for part in found]
        self._injected = Part(injected or "")
        known = [(part, whole) for part, whole in parts if part.words]
        known.sort(key=lambda item: len(item[0].words), reverse=True)
        self._parts = [part for part, _ in known]
        self._telling = {id(part) for part, whole in known if whole and len(part.words) >= _TELLING}

    def of(self, generation: str) -> str:
        """The first sentence of the answer; empty if it only repeats the prompt, or thinks."""
        return self.read(generation).sentence

    def read(self, generation: str) -> Answer:
        """The first sentence of the answer, and what stood before it."""
        return self._read(generation)[0]

    def quotes(self, sentence: str) -> bool:
        """Whether a sentence has words of the injected one: four in a row, or all of three.

        >>> first = FirstSentence(prompt="I won it all today. He", injected="I won it all today.")
        >>> first.quotes("You say that I won it all."), first.quotes("I won it.")
        (True, False)
        """
        return self._injected.quoted_in(sentence, 3)

    def is_complete(self, generation: str) -> bool:
        """Whether `of` gives the same for every continuation of `generation`."""
        return may_be_complete(generation) and self._read(generation)[1]

    def _read(self, generation: str) -> tuple[Answer, bool]:
        """The answer, and whether appended text can change it no more."""
        start = answer_start(generation)
        if start is None:
            return Answer(""), False
        text = generation[start:]
        position, certain, introduction, echoed = 0, True, "", False
        while True:
            end, known = self._echo(text, position)
            certain &= known
            echoed |= end > position
            position = end
            begin, end, known = span(text, position)
            certain &= known
            inner, known = self._inner_echo(text, begin, end)
            certain &= known
            step = inner if inner > 0 else self._introduction(text, begin, end)
            if step <= position:
                break
            echoed |= inner > 0
            introduction, position = introduction + text[position:step], step
        sentence = text[begin:end].strip()
        if position:
            sentence = _close(sentence, text[:position])
        if not CONTENT.search(sentence):
            sentence = "" if introduction else sentence
        return Answer(sentence, introduction, echoed), certain

    def _introduction(self, text: str, begin: int, end: int) -> int:
        """Where a label or an introductory sentence at `begin` ends; 0 if there is none."""
        sentence = text[begin:end]
        if is_introduction(sentence):
            return end
        length = label_end(sentence)
        return begin + length if length else 0

    def _inner_echo(self, text: str, begin: int, end: int) -> Echo:
        """The end of an echo that begins inside a sentence, behind an introduction of it."""
        certain = True
        words = WORD.finditer(text, begin, end)
        for number, word in enumerate(words):
            # An echo at the start was looked for already, but not behind an emoji.
            if not number and not EMOJI.search(text, begin, word.start()):
                continue
            for part in self._parts:
                if not part.may_begin(word.group()):
                    continue
                found, known = part.echo(text, word.start())
                certain &= known
                if found > 0 and self._tells(part, text[begin : word.start()], word.group()):
                    separator = SEPARATOR.match(text, found)
                    return Echo(separator.end() if separator else found, certain)
        return Echo(-1, certain)

    def _tells(self, part: Part, before: str, word: str) -> bool:
        """Whether a part that `word` begins, behind `before` in a sentence, is said as an echo."""
        return (
            id(part) in self._telling
            or leads_to_echo(before)
            or self._injected.quoted_in(before, 2)
            or (
                part.words == self._injected.words
                and len(part.words) > 1
                and word[0].isupper()
                and not word.startswith("I")
            )
        )

    def _echo(self, text: str, start: int) -> Echo:
        """The end of all echoes at `start` and of the marks that follow them."""
        end, certain = start, True
        while True:
            begin = _skip_marks(text, end)
            for part in self._parts:
                found, known = part.echo(text, begin)
                certain &= known
                if found > 0:
                    break
            else:
                return Echo(end, certain)
            separator = SEPARATOR.match(text, found)
            end = separator.end() if separator else found


def _skip_marks(text: str, position: int) -> int:
    """Where an echo may begin: behind lines without letters and the number of a list item."""
    if content := CONTENT.search(text, position):
        position = line_start(text, position, content.start())
    marker = _LIST_MARKER.match(text, position)
    return marker.end() if marker else position


def _close(sentence: str, before: str) -> str:
    """Remove the closing marks of quotes and emphasis that were opened before a sentence."""
    for mark in before:
        if (closer := CLOSER.get(mark)) is None:
            continue
        body = sentence.rstrip(closer)
        if mark not in body and not any(end in body for end in closer):
            sentence = body
    return sentence.strip()
