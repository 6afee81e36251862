"""The text of a dataset file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def dataset_text(header: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The text of a dataset file, and its version: eight digits of the hash of its samples.

    Args:
        header: ``dataset`` and further fields of the header; empty ones are left out.
        rows: The fields of each sample.
    """
    body = "".join(f"{json.dumps(row)}\n" for row in rows)
    version = hashlib.sha256(body.encode()).hexdigest()[:8]
    head = {"dataset": header["dataset"], "version": version, **header}
    return json.dumps({key: value for key, value in head.items() if value}) + "\n" + body, version
