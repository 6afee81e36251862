"""Where the exleak that runs came from, so that a workflow installs the same."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution

#: What is installed from the package index.
FROM_INDEX = "exleak"


def requirement() -> tuple[str, bool]:
    """What pip installs elsewhere to get this exleak, and whether that is known.

    Returns:
        ``exleak @ git+URL@COMMIT`` if it was installed from a repository, ``exleak @ URL`` if from
        an archive on a server, ``exleak`` if from a package index (PEP 610). From a folder or file
        of this machine, ``exleak`` and ``False``: no other machine finds those.
    """
    try:
        content = distribution("exleak").read_text("direct_url.json")
    except PackageNotFoundError:  # imported from a clone that is not installed
        return FROM_INDEX, False
    if content is None:
        return FROM_INDEX, True
    try:
        origin = json.loads(content)
        url, system = str(origin["url"]), origin.get("vcs_info")
        if url.startswith("file:"):
            return FROM_INDEX, False
        where = f"{system['vcs']}+{url}@{system['commit_id']}" if system else url
    except (ValueError, KeyError, TypeError):
        return FROM_INDEX, False
    return f"{FROM_INDEX} @ {where}", True
