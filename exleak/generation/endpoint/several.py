"""One model on several servers: they share the prompts, and take over those of one that fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError, SettingsError
from exleak.generation.endpoint.server import Job, jobs_of, raisable
from exleak.generation.endpoint.source import TIMEOUT, EndpointSource, alike
from exleak.generation.endpoint.transport import base_url
from exleak.generation.requests import Chat, ChatUse, Continued, Counts, Request, Template
from exleak.remarks import remark

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

#: Seconds after which others take over from a server that cannot be connected to.
_PATIENCE = 15.0


@dataclass
class SeveralSource:
    """A model on several servers.

    Attributes:
        name: The model's name in reports.
        urls: The servers' addresses.
        path: The model's name on the servers; by default ``name``.
        chat, timeout, template: As for :class:`EndpointSource`.
    """

    name: str
    urls: Sequence[str]
    path: str | None = None
    chat: Chat = "auto"
    timeout: float = TIMEOUT
    template: Template = field(default_factory=Template)
    members: list[EndpointSource] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        bases = dict.fromkeys(map(base_url, self.urls))
        self.members = [
            EndpointSource(self.name, base, self.path, self.chat, self.timeout, self.template)
            for base in bases
        ]
        if not self.members:
            raise SettingsError("endpoint: at least one address is needed")
        for member in self.members:
            member.server.transport.patience = _PATIENCE

    @cached_property
    def backend(self) -> SeveralBackend:
        """The servers that answer, after they were probed.

        Raises:
            ModelError: None answers, or they do not serve the same model.
        """
        with ThreadPoolExecutor(len(self.members), thread_name_prefix="exleak") as pool:
            problems = [*pool.map(_problem, self.members)]
        dead = [problem for problem in problems if problem is not None]
        there = [m for m, problem in zip(self.members, problems, strict=True) if problem is None]
        if not there:
            raise ModelError("; ".join(map(str, dead)))
        for problem in dead:
            remark(f"{problem}; the run goes on without it")
        for other in there[1:]:
            _check_same(there[0], other)
        return SeveralBackend(there)

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any]:
        """The store key: the model as it answers, on whichever servers.

        Addresses count only if the servers cannot be told by their answers.
        """
        there = self.backend.members
        about = there[0].about(sampling, store)
        del about["endpoint"], about["honoured"]
        ignored = {n for m in there for n, ok in m.findings.honoured.items() if ok is False}
        if about["fingerprint"] is None:
            about["endpoint"] = sorted(member.base for member in self.members)
        return {**about, "ignored": sorted(ignored)}

    @property
    def environment(self) -> dict[str, Any]:
        """The servers' addresses."""
        return {"endpoint": ", ".join(member.base for member in self.members)}

    @property
    def made_with(self) -> dict[str, str]:
        """Empty: continuations do not depend on the packages of this machine."""
        return {}

    def check(self) -> None:
        """Do nothing: the servers are contacted only to generate."""

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """Identity of the model, for comparisons."""
        one = self.backend.members[0].identity(chat, about)
        return {**one, **self.environment}

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """Caveats on how the servers made these continuations, each said once."""
        there = self.backend.members
        said = [note for m in there for note in m.probe_notes(sampling)]
        said += [note for m in self.members for note in m.course_notes(sampling)]
        return tuple(dict.fromkeys([*said, *filter(None, [alike(rows, sampling)])]))


def _problem(source: EndpointSource) -> ModelError | None:
    try:
        _ = source.findings
    except ModelError as error:
        return error
    return None


def _check_same(one: EndpointSource, other: EndpointSource) -> None:
    """Check that two servers serve the same model in the same way.

    Raises:
        ModelError: They do not; the message names them.
    """
    both = f"{one.base} and {other.base}"
    if one.findings.fingerprint != other.findings.fingerprint:
        raise ModelError(
            f"endpoints {both}: model {one.name} answers differently there; give servers of one "
            "kind and version with the same checkpoint and data type"
        )
    if one.server.chat != other.server.chat:
        raise ModelError(f"endpoints {both}: only one of them knows the model's chat template")
    theirs = other.findings.honoured
    differing = [n for n, ok in one.findings.honoured.items() if {ok, theirs[n]} == {True, False}]
    if differing:
        raise ModelError(f"endpoints {both}: only one of them applies {', '.join(differing)}")


@dataclass
class SeveralBackend:
    """Probed servers of one model.

    Attributes:
        members: Those that answered; one that fails later is dropped.
    """

    members: list[EndpointSource]

    @property
    def name(self) -> str:
        """The model's name in reports."""
        return self.members[0].name

    @property
    def chat(self) -> ChatUse:
        """How the chat template is used."""
        return self.members[0].server.chat

    @property
    def loading_notes(self) -> tuple[str, ...]:
        """Empty: a server does not report how the model was loaded."""
        return ()

    @property
    def flush_seconds(self) -> float:
        """As of a single server."""
        return self.members[0].server.flush_seconds

    def render(self, text: str, begun: str | None = None) -> str:
        """The text itself: the server applies the chat template, if any."""
        return self.members[0].server.render(text, begun)

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """Continue every request on the server that is free for it first.

        Args:
            requests, sampling, counts: As for a single server.
            batch_size: Maximum number of continuations generated at once by each server.

        Raises:
            ModelError: The failure of the last server.
        """
        run = _Run(jobs_of(requests), sampling, batch_size)
        try:
            run.start(self.members)
            while run.working:
                item = run.take()
                if isinstance(item, Continued):
                    yield item
                else:
                    self._drop(*item)
                    run.start(self.members)
        finally:
            run.stop()

    def _drop(self, member: EndpointSource, failure: Exception | None) -> None:
        """Go on without a server that failed.

        Raises:
            ModelError: It was the last one.
        """
        if failure is None:
            return
        if len(self.members) == 1:
            raise failure
        self.members.remove(member)
        remark(f"{failure}; its prompts go to the others ({len(self.members)} left)")


#: A continuation, or the end of a server's work: with its failure, if any.
_Item = Continued | tuple[EndpointSource, Exception | None]


@dataclass
class _Run:
    """One thread for each server; all take from one queue of jobs."""

    jobs: deque[Job]
    sampling: Sampling
    batch_size: int | None
    results: SimpleQueue[_Item] = field(default_factory=SimpleQueue)
    working: dict[str, Thread] = field(default_factory=dict)

    def start(self, members: Sequence[EndpointSource]) -> None:
        """Have the servers that have nothing to do work on what is left."""
        for member in members if self.jobs else ():
            if member.base not in self.working:
                thread = Thread(target=self._work, args=(member,), name="exleak", daemon=True)
                self.working[member.base] = thread
                thread.start()

    def _work(self, member: EndpointSource) -> None:
        failure = None
        try:
            for item in member.server.work(self.jobs, self.sampling, self.batch_size):
                self.results.put(item)
        except Exception as error:
            failure = raisable(error)
        self.results.put((member, failure))

    def take(self) -> _Item:
        """The next result; waits for it."""
        item = self.results.get()
        if not isinstance(item, Continued):
            self.working.pop(item[0].base).join()
        return item

    def stop(self) -> None:
        """End the threads, after the requests that they have sent."""
        self.jobs.clear()
        for thread in self.working.values():
            thread.join()
