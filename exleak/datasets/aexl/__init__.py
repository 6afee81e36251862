"""AEXL: leakage datasets built from free-form text by the paper's Algorithm 1 (section 3.1).

>>> from exleak.datasets.aexl import Recipe, build
>>> report = build(["corpus"], "aexl.jsonl", recipe=Recipe(seed=7))  # doctest: +SKIP
>>> list(report.lines())  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.datasets.aexl.builder import build
    from exleak.datasets.aexl.recipe import Recipe
    from exleak.datasets.aexl.report import Report
    from exleak.datasets.aexl.sources import Reading

_HOMES = {"build": "builder", "Recipe": "recipe", "Report": "report", "Reading": "sources"}

__all__ = ["Reading", "Recipe", "Report", "build"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'exleak.datasets.aexl' has no attribute {name!r}")
    return getattr(import_module(f"exleak.datasets.aexl.{_HOMES[name]}"), name)
