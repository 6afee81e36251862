"""What is kept on disk: generations and scores by content, and generations files.

Everything is JSON lines, written in one piece and checked when read. Nothing is ever taken from a
file that is torn, foreign or of another run: it is skipped with a warning and computed again.
"""

from __future__ import annotations

from exleak.store.generations import read_generations, write_generations
from exleak.store.store import Store

__all__ = ["Store", "read_generations", "write_generations"]
