"""The reference models' tokenizer: one token a word, letters and bytes for everything else.

Built from our own word lists rather than learnt, so every word of the grammar, and with it
every mark of a mood, is a single token and no two moods share the beginning of a word.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from exleak.reference.grammar import words
from exleak.reference.prompts import hexl, slots

PAD, UNKNOWN, BOS, EOS = "<pad>", "<unk>", "<s>", "</s>"
USER, ASSISTANT = "<|user|>", "<|assistant|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{{ ' ' + message['content'] }}</s>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_SPECIAL = (PAD, UNKNOWN, BOS, EOS, USER, ASSISTANT)
_SPACE = "▁"


def build(chat: bool = False) -> PreTrainedTokenizerFast:
    """Return the tokenizer.

    Args:
        chat: Whether to give it the chat template.
    """
    pieces = [(piece, 0.0) for piece in _SPECIAL]
    pieces += [(f"<0x{byte:02X}>", -20.0) for byte in range(256)]
    pieces += [(piece, -10.0) for piece in _pieces()]
    tokenizer = Tokenizer(models.Unigram(pieces, _SPECIAL.index(UNKNOWN), True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, "never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in _SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A $B:1",
        special_tokens=[(BOS, _SPECIAL.index(BOS))],
    )
    made: PreTrainedTokenizerFast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BOS,
        eos_token=EOS,
        additional_special_tokens=[USER, ASSISTANT],
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        model_max_length=512,
        chat_template=CHAT_TEMPLATE if chat else None,
    )
    return made


def _pieces() -> list[str]:
    """Return characters, word parts and words, in an order that never changes."""
    corpus = [*_strings(words()), *_strings(slots()), *_strings(list(hexl()))]
    spelled = {word for text in corpus for word in re.findall(r"[A-Za-z]+", text)}
    whole = {_SPACE + word for word in spelled} | {word for word in spelled if word.istitle()}
    parts: Counter[str] = Counter()
    for word in spelled:
        low = word.lower()
        for size in (2, 3, 4):
            parts.update({_SPACE + low[:size], low[-size:]} if len(low) > size else ())
    common = {part for part, count in parts.items() if count >= 12}
    characters = {*string.printable[:95], _SPACE} - {" "}
    return sorted(characters | common | whole)


def _strings(data: Any) -> Iterator[str]:
    """Yield every string in nested lists and dictionaries, dictionary keys left out."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        yield from _strings(list(data.values()))
    elif isinstance(data, Iterable):
        for item in data:
            yield from _strings(item)


def save(folder: Path, chat: bool = False) -> PreTrainedTokenizerFast:
    """Write the tokenizer's files, readable by transformers 4 and 5, and load it from them."""
    build(chat).save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config["additional_special_tokens"] = config.pop("extra_special_tokens", [USER, ASSISTANT])
    text = json.dumps(config, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    loaded: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return loaded
