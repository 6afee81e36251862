"""Several devices for one model: each has a copy of it, and continues a share of the prompts.

The first copy is in this process, every other one in a process of its own. A row's draws depend on
that row alone, so the texts are those of one process, up to the rounding of logits.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from exleak.errors import ExleakError, ModelError
from exleak.generation.local.processes import Parent, Replica
from exleak.generation.requests import Continued, Counts, Request
from exleak.remarks import heard, remark

if TYPE_CHECKING:
    from exleak.generation.local.model import LocalModel
    from exleak.generation.sampling import Sampling


@dataclass(frozen=True)
class _Share:
    """What a process is asked to do.

    Attributes:
        requests: All requests; those of other processes have no indices.
        threads: Number of torch's threads.
        processes: Number of processes that share the memory of its device.
    """

    requests: Sequence[Request]
    sampling: Sampling
    batch_size: int | None
    threads: int
    processes: int


@dataclass(frozen=True)
class _Remark:
    """A message to the user."""

    text: str


def with_replicas(load: Callable[..., LocalModel], devices: Sequence[str]) -> LocalModel:
    """A model on the first device, with copies of it on the others.

    Args:
        load: Loads the model on the ``device`` that it is given; can be pickled.
        devices: The devices.

    Raises:
        ExleakError: What loading raised, on any of the devices.
    """
    first, *others = devices
    model = load(device=first)
    serve = f"{__name__}:serve"
    replicas = tuple(
        Replica(model.name, name, partial(load, device=name), serve) for name in others
    )
    _start(replicas)
    return replace(model, replicas=replicas)


def _start(replicas: Sequence[Replica]) -> None:
    """Start the processes that are not there, and wait until each has loaded its copy."""
    new = [one for one in replicas if one.pid is None]
    try:
        for one in new:
            one.start()
        for one in new:
            one.receive()
    except BaseException:
        for one in new:
            one.stop()
        raise


def continue_prompts(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    batch_size: int | None = None,
    counts: Counts | None = None,
) -> Generator[Continued, None, None]:
    """As :func:`exleak.generation.local.run.continue_prompts`, on all devices of the model.

    ``batch_size`` applies to each device. When the run fails or is given up, the processes end; the
    next run starts them again.
    """
    from exleak.generation.local import run

    if not model.replicas:
        return run.continue_prompts(model, requests, sampling, batch_size=batch_size, counts=counts)
    return _continue_on_all(model, requests, sampling, batch_size, counts or Counts())


def _continue_on_all(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    batch_size: int | None,
    counts: Counts,
) -> Generator[Continued, None, None]:
    import torch

    from exleak.generation.local.run import continue_prompts as continue_here
    from exleak.generation.local.threads import shares

    replicas = model.replicas
    if any(one.busy for one in replicas):
        raise ModelError(f"model {model.name}: its processes are still at work on other prompts")
    own, *others = shares(requests, 1 + len(replicas))
    threads = max(1, torch.get_num_threads() // (1 + len(replicas)))
    devices = [str(model.device), *(one.device for one in replicas)]
    share = partial(_Share, sampling=sampling, batch_size=batch_size, threads=threads)
    done = False
    try:
        _start(replicas)
        work = _Work(counts)
        for one, part in zip(replicas, others, strict=True):
            work.give(one, share(part, processes=devices.count(one.device)))
        with _threads(threads):
            here = continue_here(
                model, own, sampling, batch_size=batch_size, counts=counts,
                processes=devices.count(devices[0]),
            )  # fmt: skip
            with closing(here):
                for item in here:
                    yield item
                    yield from work.finished(wait=False)
            yield from work.finished(wait=True)
        done = True
    finally:
        for one in replicas:
            one.busy = False
            if not done:
                one.stop()


class _Work:
    """What the processes of the replicas have finished; one thread each listens to them."""

    def __init__(self, counts: Counts) -> None:
        self.counts, self.left = counts, 0
        self.news: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def give(self, one: Replica, share: _Share) -> None:
        """Have a process do its share."""
        one.busy = True
        one.send(share)
        self.left += 1
        threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def _listen(self, one: Replica) -> None:
        message: Any = None
        while not isinstance(message, (Counts, BaseException)):
            try:
                message = one.receive()
            except BaseException as error:
                message = error
            self.news.put(message)

    def finished(self, wait: bool) -> Iterator[Continued]:
        """What has come by now; with ``wait``, all that will come.

        Raises:
            ExleakError: What a process raised.
        """
        while self.left and (wait or not self.news.empty()):
            message = self.news.get()
            if isinstance(message, BaseException):
                raise message
            if isinstance(message, Continued):
                yield message
            elif isinstance(message, _Remark):
                remark(message.text)
            else:
                self.left -= 1
                self._add(message)

    def _add(self, found: Counts) -> None:
        self.counts.add(found)
        self.counts.notes += [note for note in found.notes if note not in self.counts.notes]
        # More than one size tells the reader that memory ran out, not that there are processes.
        self.counts.batch_sizes += found.batch_sizes[1:]


@contextmanager
def _threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def serve() -> None:
    """The work of a replica's process: load the model, and continue what is sent."""
    parent = Parent()
    messages = parent.messages()
    where = "a copy of the model"
    try:
        model: LocalModel = next(messages)()
        where = f"model {model.name} on {model.device}"
        parent.send("loaded")
        for share in messages:
            with heard(lambda text: parent.send(_Remark(text))):
                _serve(model, share, parent)
    except ExleakError as error:
        parent.send(error)
    except Exception as error:
        parent.send(ModelError(f"{where}: {type(error).__name__}: {error}"))


def _serve(model: LocalModel, share: _Share, parent: Parent) -> None:
    from exleak.generation.local.run import continue_prompts as continue_here

    counts = Counts()
    with _threads(share.threads):
        for item in continue_here(
            model, share.requests, share.sampling, batch_size=share.batch_size, counts=counts,
            processes=share.processes,
        ):  # fmt: skip
            parent.send(item)
    parent.send(counts)
