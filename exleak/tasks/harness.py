"""Documents and metrics of the tasks in this folder, for lm-evaluation-harness.

Written by ``exleak export lm-eval`` beside the tasks, which find it there. It runs without exleak,
but then there are no rates: ``exleak score`` computes them from the samples that the harness logs.
"""

from __future__ import annotations

import functools
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def documents(exleak_file: str, **_: object) -> dict[str, Any]:
    """The prompts of a task.

    Args:
        exleak_file: A file in this folder.
    """
    import datasets

    text = Path(__file__).with_name(exleak_file).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.split("\n") if line]
    return {"test": datasets.Dataset.from_list(lines)}


def answered(document: Mapping[str, Any], results: Sequence[Sequence[str]]) -> dict[str, str]:
    """A document with all its generations, for each metric."""
    item = json.dumps([dict(document), list(results[0])])
    return {"mu_EL": item, "directional": item}


def mu_el(items: Sequence[str]) -> float:
    """The paper's rate μ_EL; .5 is no leakage."""
    return _rates(tuple(items)).get("mu_EL", math.nan)


def directional(items: Sequence[str]) -> float:
    """The directional rate; .5 is no leakage."""
    return _rates(tuple(items)).get("directional", math.nan)


@functools.lru_cache(maxsize=1)
def _rates(items: tuple[str, ...]) -> dict[str, float]:
    # The harness writes its samples only after this: no error may lose them.
    try:
        from exleak.tasks.documents import rates

        return rates(map(json.loads, items), "embedded")
    except Exception as error:
        logging.getLogger(__name__).warning(
            "No rates (%s): score the samples with exleak score.", error
        )
        return {}
