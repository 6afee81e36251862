"""The embedded expression head: its weights file and its forward pass.

The head is an ensemble of small networks, trained from different seeds, whose class scores are
averaged. Their inputs are the encoder's mean-pooled states after three of its layers and the word
list's features. The second version reads the encoder through an adapter. `HEAD.md` describes
training data and accuracy of both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import InstrumentError
from exleak.scoring.adapter import changes
from exleak.scoring.encoder import SHA256
from exleak.scoring.lexicon import FEATURES, LIST, Lexicon
from exleak.scoring.text import VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HEAD", "HEADS", "Head", "lexicon_features", "save_tensors"]

#: The shipped heads by version, and the newest.
HEADS = {version: Path(__file__).with_name(f"head-{version}.safetensors") for version in (1, 2)}
HEAD = HEADS[2]
FORMAT = "exleak expression head 1"
ROWS = 256
CLIP = 8.0
_REPAIR = "Reinstall exleak."


def _digest(tensors: Mapping[str, NDArray[np.generic]]) -> str:
    """Hex sha256 over names, types, shapes and contents."""
    digest = hashlib.sha256(f"{FORMAT} text {VERSION} encoder {SHA256}\n".encode())
    digest.update(LIST.read_bytes())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def save_tensors(tensors: Mapping[str, NDArray[np.generic]], path: Path) -> None:
    """Write a head with its digest, which `Head` verifies on loading."""
    from safetensors.numpy import save_file

    save_file(dict(tensors), path, metadata={"format": FORMAT, "sha256": _digest(tensors)})


def lexicon_features(lexicons: Sequence[Lexicon], texts: Sequence[str]) -> NDArray[np.float64]:
    """Features of normalised texts from each word list, shape (n, lists * FEATURES)."""
    import numpy as np

    rows = [[x for lexicon in lexicons for x in lexicon.features(text)] for text in texts]
    return np.array(rows, dtype=np.float64).reshape(len(texts), len(lexicons) * FEATURES)


class Head:
    """The head's verified weights and its forward pass.

    Args:
        path: A file written by `save_tensors`.

    Attributes:
        hash: Hex sha256 over weights, word list and preprocessing version.
        changes: What the head adds to the encoder's weights, by name; none in the first version.
        layers: Positions of the three layers that it reads, among the encoder's pooled ones.
        lexicons: The word list as written, and with the strengths refined in training.

    Raises:
        InstrumentError: The file is missing or damaged, or was trained with another word list
            or other preprocessing.
    """

    def __init__(self, path: Path = HEAD) -> None:
        import numpy as np

        tensors, expected = _read(path)
        self.hash = _digest(tensors)
        if self.hash != expected:
            raise InstrumentError(
                f"{path} is damaged, or was trained with another lexicon.txt or preprocessing: "
                f"its content has the sha256 {self.hash[:12]}…, it says {expected[:12]}…. {_REPAIR}"
            )
        written = Lexicon.shipped()
        refined = dict(zip(written.strengths, map(float, tensors["strengths"]), strict=True))
        self.lexicons = (written, Lexicon(refined, written.roles))
        self.changes = changes(tensors)
        self.layers = slice(1, 4) if self.changes else slice(0, 3)
        self._weights = {
            name: tensor.astype(np.float64)
            for name, tensor in tensors.items()
            if name != "strengths" and not name.startswith("adapter.")
        }

    def scores(
        self, pooled: NDArray[np.float32], words: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Calibrated class scores before the softmax.

        Rows are processed in blocks of fixed size, so that a text's scores do not depend on the
        number of other texts, not even in the last bit.

        Args:
            pooled: Mean-pooled states of the three layers, (n, 1152).
            words: `lexicon_features` of the same texts, (n, 38).

        Returns:
            Scores (n, 3): negative, neutral, positive.
        """
        import numpy as np

        features = np.concatenate([pooled.astype(np.float64), words], axis=1)
        blocks = []
        for start in range(0, len(features), ROWS):
            block = np.zeros((ROWS, features.shape[1]))
            part = features[start : start + ROWS]
            block[: len(part)] = part
            blocks.append(self._block(block)[: len(part)])
        return np.concatenate(blocks) if blocks else np.zeros((0, 3))

    def _block(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        w = self._weights
        members, width, hidden = w["w1"].shape
        x = ((x - w["mean"]) * w["scale"]).clip(-CLIP, CLIP)
        first = x @ w["w1"].transpose(1, 0, 2).reshape(width, members * hidden)
        inner = _gelu(first.reshape(len(x), members, hidden).swapaxes(0, 1) + w["b1"][:, None])
        code = np.tanh(inner @ w["w2"] + w["b2"][:, None])
        each = code @ w["w3"] + w["b3"][:, None]
        calibrated: NDArray[np.float64] = each.mean(axis=0) * w["slope"] + w["offset"]
        return calibrated


def _gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tanh form of GELU, as in training."""
    import numpy as np

    result: NDArray[np.float64] = (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x)))
    )
    return result


def _read(path: Path) -> tuple[dict[str, NDArray[np.generic]], str]:
    """The file's tensors and the digest stored with them."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InstrumentError(f"The expression head is missing at {path}. {_REPAIR}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InstrumentError(f"{path} is no safetensors file: {error}. {_REPAIR}") from error
    if metadata.get("format") != FORMAT:
        raise InstrumentError(f"{path} is no expression head of this version. {_REPAIR}")
    return tensors, metadata.get("sha256", "")
