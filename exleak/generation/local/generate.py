"""Continue prompts with a checkpoint: :func:`exleak.generate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import SettingsError
from exleak.generation.sampling import Sampling, check_batch_size

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exleak.generation.local.model import LocalModel


def generate(
    model: str | Path | PreTrainedModel | LocalModel,
    prompts: Sequence[str],
    sampling: Sampling | None = None,
    *,
    batch_size: int | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    first_sentence_only: bool = False,
) -> list[list[str]]:
    """Continue prompts.

    Args:
        model: A checkpoint folder, hub name, reference model, model object (with ``tokenizer``)
            or a model loaded with :func:`exleak.load_model`.
        prompts: Texts as the model receives them; no chat template is applied.
        sampling: Settings; the paper's by default.
        batch_size: Maximum number of continuations generated at once; affects only the rounding
            of logits.
        tokenizer: The tokenizer of a model object.
        first_sentence_only: Stop each continuation as soon as its first sentence is complete.

    Returns:
        For each prompt, in the order given, ``sampling.generations`` raw continuations. Equal
        prompts have the same continuations.

    Raises:
        ModelError: The model cannot be loaded, a prompt does not fit its context, or its logits
            are NaN or infinite.
        SettingsError: A batch size below 1, or a single text instead of a list.
    """
    from exleak.generation.local.loading import load_model
    from exleak.generation.local.replicas import continue_prompts
    from exleak.generation.requests import Request
    from exleak.sentences.answers import FirstSentence

    check_batch_size(batch_size)
    if isinstance(prompts, str):
        raise SettingsError(f"prompts must be a list of texts, not one text: [{prompts[:40]!r}]")
    settings = sampling or Sampling()
    distinct = list(dict.fromkeys(prompts))
    indices = tuple(range(settings.generations))

    def stop(text: str) -> Callable[[str], bool]:
        return FirstSentence(prompt=text).is_complete

    requests = [
        Request(text, indices, stop(text) if first_sentence_only else None) for text in distinct
    ]
    continuations: dict[str, list[str]] = {text: [""] * settings.generations for text in distinct}
    loaded = load_model(model, tokenizer)
    with closing(continue_prompts(loaded, requests, settings, batch_size=batch_size)) as items:
        for done in items:
            continuations[distinct[done.request]][done.index] = done.text
    return [continuations[text] for text in prompts]
