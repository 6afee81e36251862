"""Loading a causal language model: a folder, a hub name, a reference model or an object."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from exleak.errors import ModelError, SettingsError
from exleak.generation.changes import while_needed
from exleak.generation.folder import check_end_of_text, check_folder
from exleak.generation.templates import rendered
from exleak.generation.turns import Turns
from exleak.generation.weights import check_sets, check_weights
from exleak.generation.wrappers import unwrapped
from exleak.hub import bounded
from exleak.model_names import short_names
from exleak.resources import limit_torch

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Chat = Literal["auto", "always", "never", "prefill"]
#: How a chat template is used in the end: not at all, for the prompt, or for the prompt and the
#: beginning of the answer.
ChatUse = bool | Literal["prefill"]
#: Some templates put today's date into every prompt; a checkpoint would then be measured on other
#: prompts every day. This is the date that Llama 3's template falls back to.
_DATE = date(2024, 7, 26)
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LONGEST_REASON = 600


def check_chat(chat: Chat) -> None:
    """Refuse a use of the chat template that is none of :data:`Chat`.

    Raises:
        SettingsError: It is unknown.
    """
    if chat not in get_args(Chat):
        raise SettingsError(f"chat {chat!r} is unknown; use {', '.join(map(repr, get_args(Chat)))}")


@dataclass(frozen=True)
class LocalModel:
    """A loaded checkpoint with its tokenizer.

    Attributes:
        name: What the user called it.
        chat: Whether prompts are wrapped in the tokenizer's chat template; ``"prefill"`` where
            the answer begins with the control prompt.
        notes: What a reader must know of how it was loaded.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    chat: ChatUse
    notes: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        device: torch.device = self.model.device
        return device

    @property
    def config(self) -> Any:
        """The configuration of what reads and writes text, which may be a part of the model's."""
        return self.model.config.get_text_config(decoder=True)

    @property
    def dtype(self) -> str:
        """The weights' type, ``"float32"`` for example."""
        return str(self.model.dtype).removeprefix("torch.")

    def render(self, text: str, begun: str | None = None) -> str:
        """The text as the model shall see it: in the chat template, where one is used.

        Args:
            text: The prompt.
            begun: How the answer begins, in the model's own turn.

        Raises:
            ModelError: The template cannot be used.
        """
        if not self.chat:
            return text
        with _fixed_date():
            return rendered(self.tokenizer.apply_chat_template, text, self.name, begun)

    def encode(self, rendered: str) -> list[int]:
        """Token ids of a rendered text, with one BOS at most, and no EOS of the tokenizer's own.

        Raises:
            ModelError: The text has no tokens, or some that the model has no embedding for.
        """
        bos = self.tokenizer.bos_token
        special = not (self.chat or (bos and rendered.startswith(bos)))
        ids = list(self.tokenizer(rendered, add_special_tokens=special)["input_ids"])
        if special and ids and ids[-1] in self.turns.specials:
            ids = self._without_appended(ids, rendered)
        while len(ids) > 1 and ids[0] == ids[1] == self.tokenizer.bos_token_id:
            ids = ids[1:]
        if not ids:
            raise ModelError(f"model {self.name}: the tokenizer gives no tokens for {rendered!r}")
        if self._vocabulary is not None and max(ids) >= self._vocabulary:
            raise ModelError(
                f"model {self.name}: the tokenizer gives token {max(ids)}, but the model has "
                f"{self._vocabulary} embeddings; was it resized (resize_token_embeddings) when "
                "tokens were added?"
            )
        return ids

    def _without_appended(self, ids: list[int], rendered: str) -> list[int]:
        """The ids without what the tokenizer added behind the text: a text that goes on."""
        plain = self.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        if not plain:
            return ids
        while len(ids) > 1 and ids[-1] in self.turns.specials and ids[-len(plain) :] != plain:
            ids = ids[:-1]
        return ids

    @cached_property
    def turns(self) -> Turns:
        """What the tokenizer's special tokens mean in an answer."""
        return Turns(self.tokenizer)

    def ends(self, tokens: Sequence[int], token: int) -> bool:
        """Whether a token behind others ends the answer, though it is no stop token."""
        turns = self.turns
        return token in turns.ends and turns.ended(tokens, token, self._decode)

    def decode(self, tokens: list[int]) -> str:
        """The text of an answer's tokens, up to the end of its turn.

        Special tokens are dropped, but for the marks of thoughts, which are cut as text.
        """
        turns = self.turns
        if turns.told.isdisjoint(tokens):
            return self._decode(tokens)
        return turns.text(tokens[: turns.end(tokens, self._decode)], self._decode)

    def _decode(self, tokens: list[int]) -> str:
        """The text of tokens; without the clean-up of spaces, which would change its past."""
        if self._backend is not None:
            return str(self._backend.decode(tokens, skip_special_tokens=True))
        try:
            return self._decode_in_python(tokens)
        except Exception:  # models have more embeddings than their tokenizer has tokens
            return self._decode_in_python([token for token in tokens if self._is_known(token)])

    def _is_known(self, token: int) -> bool:
        try:
            self._decode_in_python([token])
        except Exception:  # of whatever kind a tokenizer's own code raises
            return False
        return True

    def _decode_in_python(self, tokens: list[int]) -> str:
        return str(
            self.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    @cached_property
    def _backend(self) -> Any:
        """What a tokenizer decodes with in the end, where it adds nothing to that but time."""
        from transformers import PreTrainedTokenizerFast

        kind = type(self.tokenizer)
        as_usual = isinstance(self.tokenizer, PreTrainedTokenizerFast) and all(
            getattr(kind, name) is getattr(PreTrainedTokenizerFast, name)
            for name in ("decode", "_decode")
        )
        return self.tokenizer.backend_tokenizer if as_usual else None

    @cached_property
    def _vocabulary(self) -> int | None:
        """Rows of the input embeddings; ``None`` where they are none of the usual kind."""
        try:
            weight = self.model.get_input_embeddings().weight
        except (AttributeError, NotImplementedError):
            return None
        return len(weight)

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Ids that end a continuation: the generation config's and the tokenizer's.

        Raises:
            ModelError: The generation config has something else in their place.
        """
        configured = getattr(self.model.generation_config, "eos_token_id", None)
        ids = configured if isinstance(configured, (list, tuple)) else [configured]
        found = [i for i in [*ids, self.tokenizer.eos_token_id] if i is not None]
        if not all(isinstance(i, int) for i in found):
            raise ModelError(
                f"model {self.name}: eos_token_id of its generation config is {configured!r}, "
                "which is no token id and no list of them"
            )
        return frozenset(found)


def takes(model: PreTrainedModel, name: str) -> bool:
    """Whether a model's forward pass has a parameter, ``position_ids`` for example.

    Wrappers hide what the model in them takes: ``torch.compile`` and adapters (PEFT) are looked
    into.
    """
    inner = getattr(model, "_orig_mod", model)
    unwrap = getattr(inner, "get_base_model", None)
    inner = unwrap() if callable(unwrap) else inner
    return name in inspect.signature(inner.forward).parameters


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch dropout and the like off, and leave every module as it was."""
    with ExitStack() as stack:
        for module in model.modules():
            if "training" in vars(module):  # a compiled model has that of the model in it
                stack.enter_context(_evaluated(module))
        yield


@while_needed
@contextmanager
def _evaluated(module: torch.nn.Module) -> Iterator[None]:
    before, module.training = module.training, False
    try:
        yield
    finally:
        module.training = before


class _FixedDate(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _FixedDate:
        return cls(_DATE.year, _DATE.month, _DATE.day, tzinfo=tz)


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Show templates :data:`_DATE` as today.

    Their ``strftime_now`` is a global of transformers' own; a function handed to a template in its
    place arrives as a text.
    """
    from transformers.utils import chat_template_utils

    before = chat_template_utils.datetime
    chat_template_utils.datetime = _FixedDate
    try:
        yield
    finally:
        chat_template_utils.datetime = before


def load_model(
    source: str | Path | PreTrainedModel | LocalModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    name: str | None = None,
) -> LocalModel:
    """Load a causal language model for generation.

    Args:
        source: A checkpoint folder, a hub name, a reference model's name, or a model object.
        tokenizer: Needed with a model object; elsewhere the checkpoint's own is used.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``…; by default CUDA where there is one.
        dtype: ``"float32"``, ``"bfloat16"``…; by default float32 on the CPU, bfloat16 elsewhere.
        chat: ``"auto"`` uses the tokenizer's chat template where there is one; ``"always"``
            demands one; ``"never"`` sends the bare text; ``"prefill"`` demands one and lets the
            model go on in its own turn, which begins with the control prompt.
        name: What reports call the model; by default the source.

    Raises:
        ModelError: Nothing usable at ``source``; the message says what was looked for.
        SettingsError: An unknown ``chat`` or ``dtype``.
    """
    check_chat(chat)
    if isinstance(source, LocalModel):
        return source
    if not isinstance(source, (str, Path)):
        if tokenizer is None:
            raise ModelError("a model object needs its tokenizer: measure(model, tokenizer=…)")
        source = unwrapped(source)
        label = name or getattr(source.config, "name_or_path", "") or type(source).__name__
        label = name or short_names([label])[0]
        return LocalModel(label, source, tokenizer, _use_chat(chat, tokenizer, label))
    label = name or short_names([str(source)])[0]
    path = locate(source)
    model, loaded, notes = _load(path, label, device, dtype)
    return LocalModel(label, model, loaded, _use_chat(chat, loaded, label), notes)


def locate(source: str | Path) -> str:
    """Turn a source into what transformers loads, refusing what cannot be a checkpoint.

    Imports nothing heavy, so that a mistyped path is told before anything else starts.

    Args:
        source: A checkpoint folder, a hub name or a reference model's name.

    Returns:
        A folder or a hub name.

    Raises:
        ModelError: A path that does not exist, or a folder without a checkpoint.
    """
    from exleak import reference

    name = str(source)
    if name in reference.names():
        return str(reference.path(name))
    path = Path(source).expanduser()
    if path.is_dir():
        check_folder(path, name)
        return str(path)
    if path.exists():
        raise ModelError(f"model {name}: this is a file; give the checkpoint's folder")
    if isinstance(source, Path) or not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise ModelError(f"model {name}: there is no such folder")
    return name


def has_cuda() -> bool:
    """Whether models run on CUDA here, told without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    if "+cpu" in metadata.version("torch"):
        return False
    return any(Path(path).exists() for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"))


def placement(device: str | None, dtype: str | None) -> tuple[str, str]:
    """Device and dtype that a model gets: CUDA and bfloat16 where there is CUDA.

    >>> placement("cpu", None)
    ('cpu', 'float32')
    """
    where = device or ("cuda" if has_cuda() else "cpu")
    return where, dtype or ("float32" if where == "cpu" else "bfloat16")


@bounded
def _load(
    path: str, name: str, device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, tuple[str, ...]]:
    """Model, tokenizer, and what a reader must know of how they were loaded."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from exleak.store.identity import local_folder

    limit_torch()  # whoever hands over a loaded model has set torch's threads
    logging.disable_progress_bar()
    where, name_of_dtype = placement(device, dtype)
    kind = _dtype(name_of_dtype)
    part = "its tokenizer "
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        part = ""
        model, loaded = AutoModelForCausalLM.from_pretrained(
            path, dtype=kind, output_loading_info=True, ignore_mismatched_sizes=True
        )
        folder = local_folder(path)
        if folder is not None:
            check_folder(folder, name)
            check_sets(folder, name)
            check_end_of_text(folder, getattr(model.generation_config, "eos_token_id", None), name)
        notes = check_weights(model, loaded, folder, name)
        return model.to(where).eval(), tokenizer, tuple(notes)
    except ModelError:
        raise
    except Exception as error:  # safetensors and tokenizers raise types of their own
        place = "its folder" if Path(path).is_dir() else "the hub or its cache, nor is it a folder"
        raise ModelError(
            f"model {name}: {part}cannot be loaded from {place}: {one_line(error)}"
        ) from error


def one_line(error: BaseException) -> str:
    """All that an error says, in one line."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"


def _dtype(name: str) -> Any:
    import torch

    kind = getattr(torch, name, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise SettingsError(f"dtype {name!r} is unknown; use float32, bfloat16 or float16")
    return kind


def _use_chat(chat: Chat, tokenizer: PreTrainedTokenizerBase, name: str) -> ChatUse:
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if chat in ("always", "prefill") and not has_template:
        raise ModelError(f"model {name}: chat is {chat!r}, but its tokenizer has no chat template")
    if chat == "prefill":
        return "prefill"
    return has_template if chat == "auto" else chat == "always"
