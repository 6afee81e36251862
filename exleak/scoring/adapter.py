"""Low-rank changes to the encoder's linear layers, in eight bits.

The change of a weight (out, in) is b · diag(scale) · a, with a (rank, in) and b (out, rank) of
whole numbers up to 127 in size and one scale for each of the rank's components.

Source: E. J. Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exleak.scoring.encoder import DENSE, LAYERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["changes", "tensors_of"]

_MOST = 127
_NAMES = [f"encoder.layer.{layer}.{part}" for layer in range(LAYERS) for part in DENSE]


def tensors_of(
    name: str, a: NDArray[np.floating], b: NDArray[np.floating]
) -> dict[str, NDArray[np.generic]]:
    """What a file keeps of the change b · a to one linear layer.

    Args:
        name: The layer's name, one of six times six.
        a: Shape (rank, in).
        b: Shape (out, rank).
    """
    import numpy as np

    rows = np.maximum(np.abs(a).max(axis=1), 1e-12)
    columns = np.maximum(np.abs(b).max(axis=0), 1e-12)
    return {
        f"adapter.{name}.a": np.rint(a / rows[:, None] * _MOST).astype(np.int8),
        f"adapter.{name}.b": np.rint(b / columns * _MOST).astype(np.int8),
        f"adapter.{name}.scale": (rows * columns / _MOST**2).astype(np.float32),
    }


def changes(tensors: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
    """The changes by the names of the weights; none for a file without an adapter."""
    import numpy as np

    found = {}
    for name in _NAMES:
        if f"adapter.{name}.scale" in tensors:
            a, b, scale = (
                tensors[f"adapter.{name}.{x}"].astype(np.float32) for x in ("a", "b", "scale")
            )
            change = (b * scale) @ a
            found[f"{name}.weight"] = np.ascontiguousarray(change, dtype=np.float32)
    return found
