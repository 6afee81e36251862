"""The paper's published numbers, as printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Cell:
    """The paper's numbers for one model on one dataset.

    Attributes:
        mu: Mean expression leakage rate.
        w: p-value of the Wilcoxon test.
        mu_l: Mean semantic leakage rate; Table 4 has none.
        flagged: ``mu`` and ``w`` cannot both be right as printed (docs/decisions.md).
    """

    mu: float
    w: float
    mu_l: float | None
    flagged: bool


@cache
def published(table: Literal[3, 4]) -> dict[str, dict[str, Cell]]:
    """The cells of Table 3, or of Table 4 (with the mitigation instruction).

    Returns:
        Cells by model, in table order, then by dataset: ``"hexl"`` and ``"aexl"``.
    """
    rows = json.loads(_FILE.read_text(encoding="utf-8"))["tables"][str(table)]
    return {row["model"]: {name: Cell(**row[name]) for name in ("hexl", "aexl")} for row in rows}
