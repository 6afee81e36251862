"""The answer in a generation: its first sentence after thoughts, introductions and echoes.

What a chat model writes before it answers is not its continuation of the prompt: a thought, an
introduction ("Sure! Here is the completed sentence:"), the prompt again. A model that repeats "I
lost my keys. Her passion is painting." would be scored on the injected sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exleak.languages import ENGLISH
from exleak.sentences.echo import SEPARATOR, WORD, Echo, Part
from exleak.sentences.introductions import is_introduction, label_end, leads_to_echo
from exleak.sentences.segmentation import CLOSER, CONTENT, EMOJI, line_start, may_be_complete, span
from exleak.sentences.thoughts import answer_start

_LIST_MARKER = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•])\s+")
#: An echo of fewer words may be the model's own sentence; it counts only after an introduction.
_TELLING = 4


@dataclass(frozen=True)
class Answer:
    """The answer extracted from a generation.

    Attributes:
        sentence: The first sentence of the answer; empty if there is none.
        introduction: The introduction or label before it, if any.
        echoed: Whether a part of the prompt was repeated before it.
    """

    sentence: str
    introduction: str = ""
    echoed: bool = False


class FirstSentence:
    """Extract the first sentence of the answers to one prompt.

    An echo repeats the whole prompt, or its instruction, injected sentence or control, in any order
    and number: at the start of the answer, or after an introduction or a label. Sentences that only
    introduce the next one are skipped. A thought before the answer is dropped; with an unclosed
    thought the answer is empty.

    Use the same parts to stop generations early and to score them: a generation that was stopped
    for one set of parts may lack the sentence that another set extracts.

    Args:
        prompt: The text sent to the model.
        control: The control prompt; `prompt` itself if its parts are not known.
        injected: The sentence put before the control, if any.
        instruction: The instruction put before both, if any.
        language: Language of the continuation, an ISO 639 code.

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
        language: str = ENGLISH,
    ) -> None:
        self._language = language
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
        self._telling = {id(part) for part, whole in known if whole and part.size >= _TELLING}

    def of(self, generation: str) -> str:
        """The first sentence of the answer; empty if there are only echoes or thoughts."""
        return self.read(generation).sentence

    def read(self, generation: str) -> Answer:
        """The first sentence of the answer, and what precedes it."""
        return self._read(generation)[0]

    def quotes(self, sentence: str) -> bool:
        """Whether a sentence quotes the injected one: four consecutive words, or all of three.

        >>> first = FirstSentence(prompt="I won it all today. He", injected="I won it all today.")
        >>> first.quotes("You say that I won it all."), first.quotes("I won it.")
        (True, False)
        """
        return self._injected.quoted_in(sentence, 3)

    def is_complete(self, generation: str) -> bool:
        """Whether `of` returns the same for every continuation of `generation`."""
        return may_be_complete(generation) and self._read(generation)[1]

    def _read(self, generation: str) -> tuple[Answer, bool]:
        """The answer, and whether appended text can no longer change it."""
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
            begin, end, known = span(text, position, self._language)
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
        """The end of an echo that begins inside a sentence, after words that introduce it."""
        certain = True
        words = WORD.finditer(text, begin, end)
        for number, word in enumerate(words):
            # An echo at the start was searched for already, but not after an emoji.
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
        """Whether a match of a part, from `word` on and after `before`, counts as an echo."""
        return (
            id(part) in self._telling
            or leads_to_echo(before)
            or self._injected.quoted_in(before, 2)
            or (
                part.words == self._injected.words
                and part.size > 1
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
    """Where an echo may begin: after lines without letters and a list marker."""
    if content := CONTENT.search(text, position):
        position = line_start(text, position, content.start())
    marker = _LIST_MARKER.match(text, position)
    return marker.end() if marker else position


def _close(sentence: str, before: str) -> str:
    """Remove closing marks of quotes and emphasis that were opened before a sentence."""
    for mark in before:
        if (closer := CLOSER.get(mark)) is None:
            continue
        body = sentence.rstrip(closer)
        if mark not in body and not any(end in body for end in closer):
            sentence = body
    return sentence.strip()
