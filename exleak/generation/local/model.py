"""A loaded causal language model with its tokenizer: rendering, encoding, decoding."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError
from exleak.generation.local.changes import while_needed
from exleak.generation.local.devices import main_device
from exleak.generation.local.processes import Replica
from exleak.generation.local.templates import rendered
from exleak.generation.requests import ChatUse, Template
from exleak.generation.turns import Turns

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

#: Fixed date for templates that put today's date into every prompt, which would change the prompts
#: every day. It is the date that Llama 3's template falls back to.
_DATE = date(2024, 7, 26)


@dataclass(frozen=True)
class LocalModel:
    """A loaded checkpoint with its tokenizer.

    Attributes:
        name: The user's name for it.
        chat: Whether prompts are wrapped in the tokenizer's chat template; ``"prefill"`` if the
            answer begins with the control prompt.
        notes: Caveats on how it was loaded.
        template: System prompt and variables for the chat template.
        replicas: Copies of it on other devices, for :mod:`exleak.generation.local.replicas`.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    chat: ChatUse
    notes: tuple[str, ...] = ()
    template: Template = field(default_factory=Template)
    replicas: tuple[Replica, ...] = ()

    @property
    def device(self) -> torch.device:
        """The device on which the model runs; of a spread model the one that takes its inputs."""
        return main_device(self.model)

    @property
    def config(self) -> Any:
        """The configuration of the text model, which may be a part of the whole model's."""
        return self.model.config.get_text_config(decoder=True)

    @property
    def dtype(self) -> str:
        """The weights' data type, for example ``"float32"``."""
        return str(self.model.dtype).removeprefix("torch.")

    def render(self, text: str, begun: str | None = None) -> str:
        """Render a prompt as the model receives it: in the chat template, if one is used.

        Args:
            text: The prompt.
            begun: Prefilled beginning of the answer.

        Raises:
            ModelError: The template cannot be used.
        """
        if not self.chat:
            return text
        with _fixed_date():
            apply = self.tokenizer.apply_chat_template
            return rendered(apply, text, self.name, begun, self.template)

    def encode(self, rendered: str) -> list[int]:
        """Token ids of a rendered text, with at most one BOS and without an appended EOS.

        Raises:
            ModelError: The text has no tokens, or some without an embedding in the model.
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
        """The ids without special tokens that the tokenizer appended, since the text continues."""
        plain = self.tokenizer(rendered, add_special_tokens=False)["input_ids"]
        if not plain:
            return ids
        while len(ids) > 1 and ids[-1] in self.turns.specials and ids[-len(plain) :] != plain:
            ids = ids[:-1]
        return ids

    @cached_property
    def turns(self) -> Turns:
        """The meaning of the tokenizer's special tokens in an answer."""
        return Turns(self.tokenizer)

    def ends(self, tokens: Sequence[int], token: int) -> bool:
        """Whether a token after others ends the answer although it is not a stop token."""
        turns = self.turns
        return token in turns.ends and turns.ended(tokens, token, self._decode)

    def decode(self, tokens: list[int]) -> str:
        """The text of an answer's tokens, up to the end of its turn.

        Special tokens are dropped, except thought marks, which are removed later as text.
        """
        turns = self.turns
        if turns.told.isdisjoint(tokens):
            return self._decode(tokens)
        return turns.text(tokens[: turns.end(tokens, self._decode)], self._decode)

    def _decode(self, tokens: list[int]) -> str:
        """The text of tokens, without the clean-up of spaces, which would change earlier text."""
        if self._backend is not None:
            return str(self._backend.decode(tokens, skip_special_tokens=True))
        try:
            return self._decode_in_python(tokens)
        except Exception:  # a model may have more embeddings than tokens
            return self._decode_in_python([token for token in tokens if self._is_known(token)])

    def _is_known(self, token: int) -> bool:
        try:
            self._decode_in_python([token])
        except Exception:  # custom tokenizer code may raise anything
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
        """The backend of a standard fast tokenizer, called directly to save time; else ``None``."""
        from transformers import PreTrainedTokenizerFast

        kind = type(self.tokenizer)
        as_usual = isinstance(self.tokenizer, PreTrainedTokenizerFast) and all(
            getattr(kind, name) is getattr(PreTrainedTokenizerFast, name)
            for name in ("decode", "_decode")
        )
        return self.tokenizer.backend_tokenizer if as_usual else None

    @cached_property
    def _vocabulary(self) -> int | None:
        """Number of input embeddings; ``None`` if the embedding layer is not a standard one."""
        try:
            weight = self.model.get_input_embeddings().weight
        except (AttributeError, NotImplementedError):
            return None
        return len(weight)

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Ids that end a continuation: the generation config's and the tokenizer's.

        Raises:
            ModelError: The generation config has something other than token ids.
        """
        configured = getattr(self.model.generation_config, "eos_token_id", None)
        ids = configured if isinstance(configured, (list, tuple)) else [configured]
        stops = [i for i in [*ids, self.tokenizer.eos_token_id] if i is not None]
        if not all(isinstance(i, int) for i in stops):
            raise ModelError(
                f"model {self.name}: eos_token_id of its generation config is {configured!r}, "
                "which is no token id and no list of them"
            )
        return frozenset(stops)


def takes(model: PreTrainedModel, name: str) -> bool:
    """Whether a model's forward pass has a parameter, for example ``position_ids``.

    Looks into wrappers that hide the parameters: ``torch.compile`` and adapters (PEFT).
    """
    inner = getattr(model, "_orig_mod", model)
    unwrap = getattr(inner, "get_base_model", None)
    inner = unwrap() if callable(unwrap) else inner
    return name in inspect.signature(inner.forward).parameters


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch off dropout and the like; restore every module's mode on exit."""
    with ExitStack() as stack:
        for module in model.modules():
            if "training" in vars(module):  # a compiled model uses that of the inner model
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

    Their ``strftime_now`` is a global inside transformers; a function passed to a template in its
    place arrives as text.
    """
    from transformers.utils import chat_template_utils

    before = chat_template_utils.datetime
    chat_template_utils.datetime = _FixedDate
    try:
        yield
    finally:
        chat_template_utils.datetime = before
