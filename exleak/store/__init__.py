"""The on-disk store: generations and scores under content keys, and generations files.

Everything is JSON lines, written atomically and checked on reading. A file that is damaged, foreign
or of another run is never used: it is skipped with a warning, and its content computed again.
"""

from __future__ import annotations

from exleak.store.generations import read_generations, write_generations, write_run
from exleak.store.store import Store

__all__ = ["Store", "read_generations", "write_generations", "write_run"]
