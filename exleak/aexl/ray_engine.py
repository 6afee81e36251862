"""The Ray engine: processes blocks with Ray Data, on this machine or a cluster.

Ray reads the parts and scores their blocks in a pool of actors; this process only merges the
results. The assignment of blocks to actors and their order cannot change the dataset.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from exleak import errors
from exleak.aexl.formats import Part
from exleak.aexl.ray_cluster import connect
from exleak.aexl.sources import Block, read
from exleak.aexl.worker import Partial
from exleak.errors import ExleakError, SettingsError

if TYPE_CHECKING:
    from exleak.aexl.local_engine import Job

#: Size of Ray's blocks: small, because the default would leave most actors without work.
_RAY_BLOCK_BYTES = 1 << 20
#: Finds exleak's error in a traceback: Ray passes on a worker's error as text.
_OURS = re.compile(r"^exleak\.errors\.(\w+): (.+)$", re.M)


def run(job: Job, parts: Sequence[Part], actors: int) -> Iterator[tuple[Part, Partial]]:
    """Process all blocks of all parts, in any order.

    Args:
        job: The workers' settings; all machines must have access to the store's folder.
        parts: Files that all machines have access to, or hub datasets.
        actors: Number of scoring actors.

    Raises:
        SettingsError: Ray is not installed, its cluster cannot be reached, or a part cannot be
            read elsewhere.
        ExleakError: A part cannot be read, or a scorer fails.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise SettingsError("--engine ray needs ray: pip install 'exleak[ray]'") from None
    if any(part.kind == "stdin" for part in parts):
        raise SettingsError("standard input cannot be spread over a cluster: write it to a file")
    if not ray.is_initialized():
        connect()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    before = context.target_max_block_size, context.enable_progress_bars
    context.target_max_block_size, context.enable_progress_bars = _RAY_BLOCK_BYTES, False
    try:
        rows = [{"index": index, **dataclasses.asdict(part)} for index, part in enumerate(parts)]
        dataset = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            # Readers request no CPU. Otherwise actors that hold all CPUs would wait for readers
            # forever, or Ray would fuse the two steps, so that one actor processed a whole file.
            .flat_map(_Reader(job), num_cpus=0)
            .map(
                _Scorer,  # type: ignore[arg-type]
                fn_constructor_args=(job,),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
            )
        )
        for row in dataset.iter_rows():
            yield parts[row["index"]], Partial(**json.loads(row["partial"]))
    except ray.exceptions.RayError as error:
        raise _plain(error) from None
    finally:
        context.target_max_block_size, context.enable_progress_bars = before


class _Reader:
    """Reads a part and yields each block as a row."""

    def __init__(self, job: Job) -> None:
        self._reading = job.reading

    def __call__(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        part = Part(row["kind"], row["name"], int(row["size"]))
        for block in read(part, self._reading):
            yield {"index": row["index"], "block": json.dumps(dataclasses.asdict(block))}


class _Scorer:
    """Processes blocks in an actor."""

    def __init__(self, job: Job) -> None:
        self._worker = job.worker()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        content = json.loads(row["block"])
        block = Block(tuple(content["texts"]), content["problems"], content["position"])
        partial = self._worker.work(block)
        return {"index": row["index"], "partial": json.dumps(dataclasses.asdict(partial))}


def _plain(error: BaseException) -> ExleakError:
    """The exleak error that Ray wrapped, or the last line of Ray's message."""
    wrapped = _OURS.findall(str(error))
    if wrapped:
        name, message = wrapped[-1]
        return getattr(errors, name, ExleakError)(message)
    return ExleakError(f"Ray: {str(error).strip().splitlines()[-1]}")
