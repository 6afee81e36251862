"""Semantic similarity: SentenceBERT all-MiniLM-L6-v2 embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exleak.errors import InstrumentError
from exleak.scoring.encoder import SHA256, Encoder, load_encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SentenceBert"]

POOLING = "mean over at most 256 tokens, unit length, version 1"


class SentenceBert:
    """SentenceBERT all-MiniLM-L6-v2, the paper's model for semantic leakage.

    Args:
        encoder: The encoder; by default the one that all scorers of a process share.

    Raises:
        InstrumentError: The weights are missing or are not the published ones.
    """

    languages = ("en",)

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._encoder = encoder if encoder is not None else load_encoder()

    @property
    def hash(self) -> str:
        """Hex sha256 over the weights' sha256 and the pooling."""
        return hashlib.sha256(f"{SHA256} {POOLING}".encode()).hexdigest()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embed texts.

        Args:
            texts: n texts, not preprocessed. The empty text has an embedding too.

        Returns:
            Unit vectors (n, 384). A text's row does not depend on the other texts.

        Raises:
            InstrumentError: An embedding is not finite.
        """
        import numpy as np

        vectors = self._encoder.pooled(texts)[:, -1].astype(np.float64)
        if not np.isfinite(vectors).all():
            raise InstrumentError(
                "SentenceBERT gave an embedding that is not finite. Check this machine's torch "
                "installation: the weights' checksum was right."
            )
        unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit
