"""AEXL: builds leakage datasets from free-form text by the paper's Algorithm 1 (section 3.1).

>>> from exleak.aexl import Recipe, build
>>> report = build(["corpus"], "aexl.jsonl", recipe=Recipe(seed=7))  # doctest: +SKIP
>>> list(report.lines())  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.aexl.builder import build
    from exleak.aexl.formats import Reading
    from exleak.aexl.recipe import Recipe
    from exleak.aexl.report import Report

_HOMES = {"build": "builder", "Recipe": "recipe", "Report": "report", "Reading": "formats"}

__all__ = ["Reading", "Recipe", "Report", "build"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'exleak.aexl' has no attribute {name!r}")
    return getattr(import_module(f"exleak.aexl.{_HOMES[name]}"), name)
