"""Reference models: small Llama checkpoints with known leakage.

Each was trained on text from a probabilistic grammar, so its true rates can be computed by
sampling the grammar. They show, without a network or a GPU, that the instrument distinguishes
leaking from non-leaking models:

    >>> from exleak import reference
    >>> "reference-leaky" in reference.names()
    True
    >>> (reference.path("reference-clean") / "config.json").is_file()
    True
"""

import json
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "models"

_NAMES = (
    "reference-clean",
    "reference-leaky",
    "reference-mild",
    "reference-negative",
    "reference-dispersed",
    "reference-chat",
    "reference-echo",
    "reference-both",
)


def names() -> tuple[str, ...]:
    """Return the names of all reference models, packaged or not yet trained."""
    return _NAMES


def path(name: str) -> Path:
    """Return the checkpoint folder of a reference model.

    Args:
        name: One of `names()`, with or without the ``reference-`` prefix.

    Raises:
        KeyError: There is no reference model with this name.
    """
    full = name if name.startswith("reference-") else f"reference-{name}"
    if full not in _NAMES:
        raise KeyError(f"no reference model {name!r}; there are: {', '.join(_NAMES)}")
    return MODELS / full


def true_rates(name: str) -> dict[str, float]:
    """Return the rates on HEXL of the grammar that a model was trained on.

    They hold for the `embedded` instrument. `rate`, `negative` and `positive` are expectations
    at K = 10 generations. `superiority`, `directional`, `carry_over`, `residual_superiority` and
    `residual_directional` hold for any K.

    Args:
        name: As for `path`.
    """
    loaded = _rates(name)
    return {
        key: float(value)
        for key, value in loaded.items()
        if key not in ("generations", "instrument")
    }


def instrument_hash(name: str) -> str:
    """Return the hash of the expression scorer that `true_rates` holds for.

    Args:
        name: As for `path`.
    """
    return str(_rates(name)["instrument"])


def _rates(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((path(name) / "rates.json").read_text(encoding="utf-8"))
    return loaded
