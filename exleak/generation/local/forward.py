"""The forward pass over rows in slots, in the fastest form that a model supports.

A form defines whether the model sees all columns of the cache or those up to the newest, whether it
gets a ready mask or one that it has to extend, and whether its attention is replaced. Forms are
tried on a few tokens, the fastest first: the logits must equal those of the unchanged model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

from exleak.generation.local.attention import attention_batched, can_be_batched
from exleak.generation.local.cache import SlotCache
from exleak.generation.local.memory import is_out_of_memory
from exleak.generation.local.model import LocalModel, takes
from exleak.generation.local.trial import is_close, trial_tokens

_log = logging.getLogger("exleak")
#: Number of padding tokens of the short row in a trial.
_PADDING = 5


@dataclass(frozen=True)
class Forward:
    """One form of a model's forward pass.

    Attributes:
        model: The model.
        whole: Whether the model sees all columns; otherwise it sees those up to the newest.
        batched: Whether the model's attention is replaced by
            :func:`exleak.generation.local.attention.batched`.
        ready_mask: Whether the model gets a mask of shape (rows, 1, 1, columns) that it adds to its
            scores. It would have to inspect one of shape (rows, columns), which requires a device
            synchronisation.
        cache_name: Name of the model's cache parameter.
        extra: Further arguments.
    """

    model: Any
    whole: bool = False
    ready_mask: bool = False
    batched: bool = False
    cache_name: str = "past_key_values"
    extra: tuple[tuple[str, int], ...] = ()

    @property
    def label(self) -> str:
        """Name of the form in logs."""
        parts = {"whole": self.whole, "ready mask": self.ready_mask, "batched": self.batched}
        return ", ".join(part for part, used in parts.items() if used) or "plain"

    def in_use(self) -> AbstractContextManager[None]:
        """Context in which the form may be called: changes the model, and restores it on exit."""
        return attention_batched(self.model) if self.batched else nullcontext()

    def __call__(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Cache
    ) -> torch.Tensor:
        """Logits of the last position, shape (rows, vocabulary).

        Args:
            ids: Token ids, int64, shape (rows, new).
            mask: Columns that each row may attend to, bool, shape (rows, columns).
            positions: Positions of the tokens, int64, shape (rows, new).
            cache: The KV cache; updated.
        """
        if self.ready_mask and ids.shape[1] == 1:
            given = torch.zeros(mask.shape, dtype=self.model.dtype, device=mask.device)
            given = given.masked_fill_(~mask, -torch.inf)[:, None, None, :]
        else:
            given = mask.long()
        output = self.model(
            input_ids=ids,
            attention_mask=given,
            position_ids=positions,
            use_cache=True,
            **{self.cache_name: cache},
            **dict(self.extra),
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


def forward_of(model: LocalModel, refused: list[str] | None = None) -> Forward | None:
    """The fastest form of a model's forward pass that keeps its rows independent.

    Args:
        model: The model.
        refused: Receives the reason why each form tried was refused, the slowest form last.

    Returns:
        ``None`` for a model whose rows depend on each other in every form: its cache is not a KV
        cache with one column per token, or it takes no positions.
    """
    refused = [] if refused is None else refused
    inner = model.model
    if not takes(inner, "position_ids"):
        refused.append("it takes no positions")
        return None
    layers = DynamicCache(config=model.config).layers
    if unknown := {type(layer).__name__ for layer in layers if type(layer) not in _KNOWN}:
        refused.append(f"its cache has layers of the kind {', '.join(sorted(unknown))}")
        return None
    plain = Forward(
        inner,
        cache_name=cache_name(inner),
        extra=_LAST_LOGIT if takes(inner, "logits_to_keep") else (),
    )
    slides = any(type(layer) is DynamicSlidingWindowLayer for layer in layers)
    trial = _Trial(trial_tokens(model.config), model.device)
    with torch.inference_mode():
        expected = trial.alone(plain)
        for form in _forms(plain, slides):
            reason = trial.refusal(form, expected)
            if reason is None:
                return form
            refused.append(reason)
            _log.debug("model %s: %s: %s", model.name, form.label, reason)
    return None


_KNOWN = (DynamicLayer, DynamicSlidingWindowLayer)
_LAST_LOGIT = (("logits_to_keep", 1),)


def cache_name(model: Any) -> str:
    """Name of the cache parameter of a model's forward pass: ``cache`` since transformers 5.24."""
    old = "past_key_values"
    return "cache" if takes(model, "cache") and not takes(model, old) else old


def _forms(plain: Forward, slides: bool) -> Iterator[Forward]:
    # Models that transformers can compile with a cache of fixed size can see all columns.
    if getattr(plain.model, "_can_compile_fullgraph", False):
        if not slides:
            if can_be_batched(plain.model):
                yield replace(plain, whole=True, ready_mask=True, batched=True)
            yield replace(plain, whole=True, ready_mask=True)
        yield replace(plain, whole=True)
    yield plain


class _Trial:
    """A long and a short row of few tokens, to compare slots with the unchanged model.

    Args:
        tokens: Token ids of the long row; the short row lacks the first ones.
        device: The model's device.
    """

    def __init__(self, tokens: list[int], device: torch.device) -> None:
        short = tokens[_PADDING:]
        self.rows = torch.tensor([tokens, short[:1] * _PADDING + short], device=device)
        self.padding = torch.tensor([0, _PADDING], device=device)

    def alone(self, form: Forward) -> torch.Tensor:
        """Logits of the last two tokens of each row, run alone: shape (2, 2, vocabulary)."""
        logits = []
        for row, padding in zip(self.rows, self.padding.tolist(), strict=True):
            for end in (-1, None):
                ids = row[padding:end].unsqueeze(0)
                positions = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
                logits.append(form(ids, torch.ones_like(ids).bool(), positions, DynamicCache()))
        return torch.cat(logits).view(2, 2, -1).transpose(0, 1)

    def together(self, form: Forward) -> torch.Tensor | None:
        """The same through a padded prefill and slots; ``None`` if the cache is not a plain one."""
        ids, padding = self.rows[:, :-1], self.padding.unsqueeze(1)
        columns = torch.arange(ids.shape[1], device=ids.device)
        prefilled = DynamicCache()
        positions = (columns - padding).clamp_(min=0)
        first = form(ids, columns >= padding, positions, prefilled)
        if not is_slotted(prefilled):
            return None
        rows, before = torch.arange(2, device=ids.device), 3
        column = before + ids.shape[1]
        cache = SlotCache(
            prefilled, 2, column + 5, most=column + 5, whole=form.whole, device=ids.device
        )
        cache.column = column
        cache.insert(rows, prefilled, ids, rows)
        shown = torch.arange(cache.columns if form.whole else column + 1, device=ids.device)
        mask = (shown >= before + padding) & (shown <= column)
        last = form(self.rows[:, -1:], mask, ids.shape[1] - padding, cache)
        return torch.stack([first, last])

    def refusal(self, form: Forward, expected: torch.Tensor) -> str | None:
        """Why a form does not give the expected logits in slots; ``None`` where it does."""
        try:
            with form.in_use():
                logits = self.together(form)
        except Exception as error:  # models raise many types on an unexpected mask
            if is_out_of_memory(error):
                raise
            return f"{type(error).__name__}: {error}".strip().split("\n")[0]
        if logits is None:
            return "its cache is not one of keys and values for each token"
        return None if is_close(logits, expected) else "it gives other logits than by itself"


def is_slotted(cache: DynamicCache) -> bool:
    """Whether a prefill filled every layer of a plain cache."""
    return bool(cache.layers) and all(
        type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers
    )
