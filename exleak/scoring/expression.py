"""The embedded expression scorer: a small trained head on the sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exleak.errors import InstrumentError
from exleak.scoring.encoder import WIDTH, Encoder, load_encoder
from exleak.scoring.head import Head, lexicon_features
from exleak.scoring.text import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EmbeddedHead"]


class EmbeddedHead:
    """Three-class expression probabilities, without network access.

    Args:
        head: The head; by default the newest in the package.
        encoder: The encoder as published; by default the one that all scorers of a process share.
            A head with an adapter reads an adapted copy of it.

    Raises:
        InstrumentError: Weights are missing or damaged.
    """

    languages = ("en",)

    def __init__(self, head: Head | None = None, encoder: Encoder | None = None) -> None:
        self._head = head if head is not None else Head()
        published = encoder if encoder is not None else load_encoder()
        changes = self._head.changes
        self._encoder = published.changed(changes) if changes else published

    @property
    def hash(self) -> str:
        """Hex sha256 over encoder, head, word list and preprocessing."""
        return self._head.hash

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities.

        Args:
            texts: n texts. Beyond 256 wordpieces, only the word list sees a text.

        Returns:
            Probabilities (n, 3): negative, neutral, positive; rows sum to 1. A text's row does
            not depend on the other texts.

        Raises:
            InstrumentError: A score is not finite.
        """
        import numpy as np

        plain = [normalise(text) for text in texts]
        pooled = self._encoder.pooled(plain)[:, self._head.layers].reshape(len(plain), 3 * WIDTH)
        scores = self._head.scores(pooled, lexicon_features(self._head.lexicons, plain))
        if not np.isfinite(scores).all():
            bad = texts[int((~np.isfinite(scores)).any(axis=1).argmax())]
            raise InstrumentError(
                f"The expression head gave a score that is not finite for {bad[:80]!r}. Its "
                "checksum was right: check this machine's torch and numpy installations."
            )
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return result
