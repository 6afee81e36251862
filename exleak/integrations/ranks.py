"""A measurement shared by the processes of a distributed training (torch.distributed, DDP).

Each rank continues its share of the prompts, the texts are gathered, rank 0 scores them, and every
rank gets the measurement. A draw depends on its own row alone, so the texts are those of one
process, up to the rounding of logits.

A rank that fails, is slow or is gone must not hold the others: the ranks talk over a process group
of their own, with a time-out that is a share of the training's; each gives up by itself after half
of that; and a rank that failed says so to the others instead of not coming.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from exleak.errors import ModelError, one_line
from exleak.generation.local.source import LoadedSource, LocalBackend
from exleak.generation.requests import Continued, Counts, Request

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling

Result = TypeVar("Result")

#: Share of the measurement's time-out after which a rank stops continuing its prompts.
_GENERATING = 0.5


@dataclass
class Ranks:
    """The processes of a training, during one measurement.

    Attributes:
        rank: This process, from 0.
        size: Number of processes.
        timeout: Maximum seconds to wait for the others.
        group: Their process group; ``None`` for a single process.
    """

    rank: int = 0
    size: int = 1
    timeout: float = float("inf")
    group: Any = None
    _begun: float = field(default_factory=time.monotonic)
    _has_shared: bool = False

    def check(self, done: int) -> None:
        """Give up continuing in time, so that the others need not wait.

        Args:
            done: Number of sentences so far.

        Raises:
            ModelError: This process has taken too long.
        """
        patience = _GENERATING * self.timeout
        if time.monotonic() - self._begun > patience:
            raise ModelError(
                f"gave up after {done} sentences and {patience:.0f} s, so that the other ranks "
                "need not wait; measure fewer samples (limit=…) or allow more time (ddp_timeout)"
            )

    def gather(self, value: Any, error: BaseException | None = None) -> list[Any]:
        """The values of all ranks, in their order.

        Args:
            value: This rank's value; anything that can be pickled.
            error: What went wrong on this rank instead.

        Raises:
            ModelError: A rank failed, or did not come in time.
        """
        self._has_shared = True
        told = (value, one_line(error) if error is not None else None)
        try:
            answers = [told] if self.group is None else self._gathered(told)
        except ModelError:
            if error is not None:  # which says more than that the others do not come
                raise error from None
            raise
        failed = [f"rank {n}: {reason}" for n, (_, reason) in enumerate(answers) if reason]
        if failed:
            raise error or ModelError("; ".join(failed))
        return [value for value, _ in answers]

    def _gathered(self, told: Any) -> list[Any]:
        import torch.distributed as dist

        answers: list[Any] = [None] * self.size
        try:
            dist.all_gather_object(answers, told, group=self.group)
        except Exception as error:  # a time-out, or the connection of a process that is gone
            raise _alone(self.rank, self.timeout, error) from error
        return answers

    def share(self, work: Callable[[], Result]) -> Result:
        """The result of a work in which the ranks gather; an error is told to those who wait.

        Raises:
            Exception: What the work raised here; :class:`ModelError` if it failed elsewhere.
        """
        self._has_shared = False
        try:
            return work()
        except Exception as error:
            if not self._has_shared:
                self.gather(None, error)
            raise

    def by_first(self, work: Callable[[], Result]) -> Result:
        """The result of a work that rank 0 does; the others wait for it.

        Raises:
            Exception: What the work raised; :class:`ModelError` on the other ranks.
        """
        of_first: Result = self.by_all(work if self.rank == 0 else lambda: None)[0]
        return of_first

    def by_all(self, work: Callable[[], Any]) -> list[Any]:
        """The results of a work that every rank does, in their order.

        Raises:
            Exception: What the work raised here; :class:`ModelError` if it failed elsewhere.
        """
        result = error = None
        try:
            result = work()
        except Exception as raised:
            error = raised
        return self.gather(result, error)


@contextmanager
def ranks(timeout: float) -> Iterator[Ranks]:
    """The processes of this training; a single one without torch.distributed.

    Every process has to enter.

    Args:
        timeout: Maximum seconds to wait for the others.

    Raises:
        ModelError: Another process did not come in time.
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        yield Ranks()
        return
    try:
        group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout))
    except Exception as error:
        raise _alone(dist.get_rank(), timeout, error) from error
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), timeout, group)
    finally:
        dist.destroy_process_group(group)


def _alone(rank: int, timeout: float, error: Exception) -> ModelError:
    return ModelError(
        f"rank {rank}: another rank failed, or did not come within {timeout:.0f} s: "
        f"{one_line(error)}"
    )


@dataclass(frozen=True)
class SharedSource(LoadedSource):
    """A loaded model of which every rank has the same copy.

    Attributes:
        ranks: The processes.
    """

    ranks: Ranks = field(default_factory=Ranks)

    @property
    def backend(self) -> LocalBackend:
        """The model, whose prompts are continued by all ranks."""
        return SharedBackend(self.model, ranks=self.ranks)


@dataclass(frozen=True)
class SharedBackend(LocalBackend):
    """Continues prompts with the copies of all ranks."""

    ranks: Ranks = field(default_factory=Ranks)

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """As :meth:`LocalBackend.continue_prompts`, on all ranks."""
        counts = counts or Counts()
        own: list[Continued] = []
        error = None
        try:
            own = self._own(requests, sampling, batch_size, counts)
        except Exception as raised:
            error = raised
        for items, notes in self.ranks.gather((own, counts.notes), error):
            counts.notes += [note for note in notes if note not in counts.notes]
            yield from items

    def _own(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        batch_size: int | None,
        counts: Counts,
    ) -> list[Continued]:
        from exleak.generation.local.run import continue_prompts
        from exleak.generation.local.threads import shares

        ranks = self.ranks
        items = continue_prompts(
            self.model,
            shares(requests, ranks.size)[ranks.rank],
            sampling,
            batch_size=batch_size,
            counts=counts,
            processes=ranks.size if self.model.device.type == "cpu" else 1,
        )
        done: list[Continued] = []
        with closing(items):
            for item in items:
                done.append(item)
                ranks.check(len(done))
        return done
