"""Thoughts: what a reasoning model writes before it answers.

Each model family marks thoughts differently. The answer follows the mark that closes the thought.
If the prompt opened the thought, as the templates of some servers do, the text has only the closing
mark. This can be decided only for a complete text, because the mark may still follow in a partial
one.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Marks(NamedTuple):
    """Marks of a thought in one model family.

    Attributes:
        open: Regular expression of the opening mark.
        close: Regular expression of the closing mark; the answer follows.
        alone: Whether the closing mark means a thought even without an opening mark.
    """

    open: str
    close: str
    alone: bool = True


#: By family: DeepSeek, Qwen and many others; Magistral; gpt-oss; Gemma 4; OpenThinker; Cohere;
#: Kimi; MedGemma; Granite.
FAMILIES: tuple[Marks, ...] = (
    *(
        Marks(rf"<{tag}>", rf"</{tag}>(?:\s*<answer>)?")
        for tag in ("think", "thinking", "thought", "reasoning", "reflection", "seed:think")
    ),
    Marks(r"\[THINK\]", r"\[/THINK\]"),
    Marks(
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)\b(?:[^<]*<\|message\|>)?",
        r"(?:<\|start\|>assistant)?<\|channel\|>final(?:\s*<\|constrain\|>\w+)?<\|message\|>",
    ),
    Marks(r"<\|channel>thought\b", r"<channel\|>"),
    Marks(
        r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>(?:\s*<\|begin_of_solution\|>)?"
    ),
    Marks(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>(?:\s*<\|START_RESPONSE\|>)?"),
    Marks(r"◁think▷", r"◁/think▷"),
    Marks(r"<unused94>thought\b", r"<unused95>"),
    Marks(
        r"Here is my thought process:", r"Here is my response:", alone=False
    ),
)  # fmt: skip
_OPEN = [re.compile(rf"\s*{marks.open}", re.IGNORECASE) for marks in FAMILIES]
_CLOSE = [re.compile(marks.close, re.IGNORECASE) for marks in FAMILIES]
_OPENED = [re.compile(rf"{marks.open}\s*\Z", re.IGNORECASE) for marks in FAMILIES]
_MARK = re.compile(r"[<\[◁]|Here is my")


def answer_start(text: str) -> int | None:
    """Where the answer starts, after a thought that the text opens; ``None`` while it is open.

    >>> answer_start("<think>A hobby.</think>painting"), answer_start("<think>A hobby")
    (23, None)
    """
    if _MARK.search(text) is None:
        return 0
    for opening, closing in zip(_OPEN, _CLOSE, strict=True):
        if opened := opening.match(text):
            closed = closing.search(text, opened.end())
            return closed.end() if closed else None
    begin = len(text) - len(text.lstrip())
    for marks, closing in zip(FAMILIES, _CLOSE, strict=True):
        if marks.alone and (closed := closing.match(text, begin)):
            return closed.end()
    return 0


def without_prompted_thought(text: str) -> str:
    """A complete text without a thought that was opened in its prompt.

    >>> without_prompted_thought("A hobby.</think>painting")
    'painting'
    """
    if _MARK.search(text) is None or any(opening.match(text) for opening in _OPEN):
        return text
    ends = [
        closed.end()
        for marks, closing in zip(FAMILIES, _CLOSE, strict=True)
        if marks.alone and (closed := closing.search(text))
    ]
    return text[max(ends, default=0) :]


def opens_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends in an open thought, so that a thought precedes the answer.

    >>> opens_thought("<|assistant|><think>"), opens_thought("<think></think>")
    (True, False)
    """
    return any(opened.search(prompt) for opened in _OPENED)
