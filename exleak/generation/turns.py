"""Where an answer ends: special tokens behind content, whatever the configured EOS is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ENDS = (
    r"<\|(?:im_end|im_start|eot_id|eom_id|end|eot|endoftext|end_of_text|end_of_turn|end_of_role"
    r"|start_header_id|END_OF_TURN_TOKEN|return)\|>"
    r"|</s>|<(?:end|start)_of_turn>|<turn\|>|<｜end▁of▁sentence｜>|<eos>"
)
_END = re.compile(_ENDS)
#: Thoughts are cut from the text, by their tags.
_THOUGHT = re.compile(r"think|thought|reason", re.IGNORECASE)
#: Special by name alone: bytes, and the blanks of models that fill in spans.
_CONTENT = re.compile(r"<0x[0-9A-F]{2}>|<extra_id_\d+>")
_ROLE = re.compile(r"\s*(?:assistant|model)\s*(?:\n|\Z)", re.IGNORECASE)


class Turns:
    """The special tokens of a tokenizer, and what they mean in an answer.

    An unknown or a mask token stands for content, and so ends nothing.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def specials(self) -> frozenset[int]:
        """Ids that are dropped from a text."""
        added = self._tokenizer.added_tokens_decoder
        return frozenset(self._tokenizer.all_special_ids) | {
            token for token, about in added.items() if about.special
        }

    @cached_property
    def thoughts(self) -> frozenset[int]:
        """Special tokens that open or close a thought; they stay in the text until it is cut."""
        return frozenset(i for i in self.specials if _THOUGHT.search(self._spelling(i)))

    @cached_property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer behind content."""
        tokenizer = self._tokenizer
        kept = {tokenizer.unk_token_id, tokenizer.mask_token_id} - {tokenizer.eos_token_id}
        special = {
            i for i in self.specials - self.thoughts if not _CONTENT.match(self._spelling(i))
        }
        plain = {
            i
            for i, about in tokenizer.added_tokens_decoder.items()
            if _END.fullmatch(about.content)
        }
        return frozenset((special - kept) | plain)

    def end(self, tokens: Sequence[int], decode: Callable[[list[int]], str]) -> int:
        """How many of these tokens belong to the answer."""
        for place, token in enumerate(tokens):
            if token in self.ends and self.text(tokens[:place], decode).strip():
                return place
        return len(tokens)

    def text(self, tokens: Sequence[int], decode: Callable[[list[int]], str]) -> str:
        """The text of an answer: without special tokens and role headers, with thought tags."""
        text, run, header = "", list[int](), False
        for token in [*tokens, None]:
            if token is not None and token not in self.specials | self.ends:
                run.append(token)
                continue
            piece = decode(run) if run else ""
            text += _ROLE.sub("", piece, count=1) if header and not text.strip() else piece
            run, header = [], True
            if token in self.thoughts and token is not None:
                text += self._spelling(token)
        return text

    def _spelling(self, token: int) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(token))


def cut_turn(text: str) -> str:
    r"""A served text up to the end of its turn, where the server did not drop the marker.

    >>> cut_turn("Painting tulips.<|im_end|>\n<|im_start|>user")
    'Painting tulips.'
    """
    for marker in _END.finditer(text):
        before = text[: marker.start()]
        if _END.sub("", before).strip():
            return before
    return text
