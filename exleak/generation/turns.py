"""End of an answer: a special token after content, regardless of the configured EOS."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from exleak.sentences.thoughts import FAMILIES, answer_start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ROLES = r"(?:assistant|model|user|system|human)"
_MARKERS = (
    r"<\|(?:im_end|im_start|eot_id|eom_id|end|eot|eos|endoftext|end_of_text|end_of_turn|endofturn"
    r"|end_of_role|role_end|start|channel|start_header_id|start_of_role|turn_end|return|user|assistant"
    r"|system|(?:START|END)_OF_TURN_TOKEN)\|>"
    r"|<(?:end|start)_of_turn>|<turn\|>|<\|turn>|<end_of_utterance>|<eos>|\[\|endofturn\|\]"
    r"|\[/?INST\]|<｜(?:end▁of▁sentence|User|Assistant)｜>"
)
#: In a text, ``</s>`` may also be the HTML tag that closes a strikethrough.
_MARKER = re.compile(rf"{_MARKERS}|</s>(?=\s*(?:\Z|[\r\n]|<|\[INST\]|{_ROLES}\b))")
_MARKER_TOKEN = re.compile(rf"{_MARKERS}|</s>")
_PATTERNS = [mark.lower() for family in FAMILIES for mark in (family.open, family.close)]
_CLOSES = [re.compile(family.close, re.IGNORECASE) for family in FAMILIES]
#: Special tokens that are content: bytes, and the sentinels of span-infilling models.
_CONTENT = re.compile(r"<0x[0-9A-F]{2}>|<extra_id_\d+>")
#: Rest of the next turn after a server dropped special tokens: a role glued to the answer.
_GLUED = re.compile(r"(?<=\w)assistant(?=\s*\n|\Z)|(?<=[.!?…\"”])(?:assistant|user)(?=\s*\n|\Z)")
_ROLE = re.compile(r"\s*(?:assistant|model)\s*(?:\n|\Z)", re.IGNORECASE)
#: Turn header before an answer, in a text that still has its special tokens.
_HEADER = re.compile(
    r"(?:\s*(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|turn>|<\|start_of_role\|>)"
    r"\s*(?:assistant|model)\s*(?:<\|end_header_id\|>|<\|im_sep\|>|<\|end_of_role\|>|\n|\Z)"
    r"|\s*<\|assistant\|>|\s*<｜Assistant｜>|\s*\[/INST\])\s*",
    re.IGNORECASE,
)
_CHANNEL = "<|channel|>"
_CHANNEL_MARK = re.compile(r"<\|(?:start|channel|message)\|>")
#: Message header of gpt-oss, possibly without a channel or incomplete.
_CHANNEL_HEADER = re.compile(
    r"\s*(?:<\|start\|>[^<]*)?(?:<\|channel\|>[^<]*)?(?:<\|constrain\|>[^<]*)?(?:<\|message\|>|\Z)"
)


class Turns:
    """The special tokens of a tokenizer, and their meaning in an answer.

    The unknown token and the mask token stand for content, so they do not end an answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def specials(self) -> frozenset[int]:
        """Ids that decoding drops from a text."""
        added = self._tokenizer.added_tokens_decoder
        return frozenset(self._tokenizer.all_special_ids) | {
            token for token, about in added.items() if about.special
        }

    @cached_property
    def marks(self) -> frozenset[int]:
        """Special tokens that mark thoughts; they stay in the text until thoughts are removed."""
        return frozenset(
            i
            for i in self.specials
            if any(re.escape(self._spelling(i)).lower() in pattern for pattern in _PATTERNS)
        )

    @cached_property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer if they follow content."""
        tokenizer = self._tokenizer
        kept = {tokenizer.unk_token_id, tokenizer.mask_token_id} - {tokenizer.eos_token_id}
        special = {i for i in self.specials if not _CONTENT.match(self._spelling(i))}
        plain = {
            i
            for i, about in tokenizer.added_tokens_decoder.items()
            if _MARKER_TOKEN.fullmatch(about.content)
        }
        # A closing mark may end a thought that the prompt opened.
        closing = {i for i in self.marks if any(c.match(self._spelling(i)) for c in _CLOSES)}
        return frozenset((special - kept - closing) | plain)

    @cached_property
    def told(self) -> frozenset[int]:
        """Ids that need special handling; an answer without them is decoded directly."""
        return self.specials | self.ends

    def end(self, tokens: Sequence[int], decode: Callable[[list[int]], str]) -> int:
        """Number of leading tokens that belong to the answer."""
        for place, token in enumerate(tokens):
            if token in self.ends and self.ended(tokens[:place], token, decode):
                return place
        return len(tokens)

    def ended(self, tokens: Sequence[int], token: int, decode: Callable[[list[int]], str]) -> bool:
        """Whether ``token``, one of :attr:`ends`, ends an answer after these tokens."""
        return _is_over(self.text(tokens, decode), self._spelling(token))

    def text(self, tokens: Sequence[int], decode: Callable[[list[int]], str]) -> str:
        """Text of an answer without special tokens and role headers, but with thought marks."""
        text, run, header = "", list[int](), False
        for token in [*tokens, None]:
            if token is not None and token not in self.told:
                run.append(token)
                continue
            piece = decode(run) if run else ""
            text += _ROLE.sub("", piece, count=1) if header and not text.strip() else piece
            run, header = [], True
            if token in self.marks and token is not None:
                text += self._spelling(token)
        return _without_channel_header(text)

    def _spelling(self, token: int) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(token))


def _is_over(text: str, marker: str) -> bool:
    """Whether a marker after an answer's text ends it: after content or in an open thought."""
    start = answer_start(text)
    if start is None:  # gpt-oss puts a marker after each channel of a turn
        return _CHANNEL not in text and _MARKER_TOKEN.fullmatch(marker) is not None
    rest = text[start:]
    header = _CHANNEL_HEADER.match(rest)
    return bool(rest[header.end() :].strip() if header else rest.strip())


def _without_channel_header(text: str) -> str:
    """The text without a leading header that names no channel."""
    header = _CHANNEL_HEADER.match(text)
    if header and header.group().endswith("<|message|>") and _CHANNEL not in header.group():
        return text[header.end() :]
    return text


def cut_turn(text: str) -> str:
    r"""Cut a served text at the end of its turn, if the server left the marker in.

    >>> cut_turn("<|im_start|>assistant\nPainting tulips.<|im_end|>\n<|im_start|>user")
    'Painting tulips.'
    """
    if header := _HEADER.match(text):
        text = text[header.end() :]
    text = _without_channel_header(text)
    for marker in _MARKER.finditer(text):
        before = text[: marker.start()]
        bare = before if _CHANNEL_MARK.search(before) else _MARKER.sub("", before)
        if _is_over(bare, marker.group()):
            return before
    glued = _GLUED.search(text)
    return text[: glued.start()] if glued else text
