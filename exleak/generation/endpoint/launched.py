"""A checkpoint on this machine, served by a server that exleak starts when it has to generate."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError
from exleak.generation.endpoint import kinds
from exleak.generation.endpoint.launch import Launch, Order, Servers
from exleak.generation.endpoint.running import Running
from exleak.generation.endpoint.source import TIMEOUT, EndpointSource
from exleak.generation.requests import (
    Chat,
    ChatUse,
    Continued,
    Counts,
    Request,
    Template,
    check_chat,
)
from exleak.model_names import spelled

if TYPE_CHECKING:
    from exleak.generation.endpoint.server import Server
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

#: Seconds after which a server on this machine that refuses connections has ended.
_PATIENCE = 3.0


@dataclass(frozen=True)
class LaunchedBackend:
    """A started server that continues prompts; its errors carry the end of its log.

    Attributes:
        source: The probed server.
        running: The process.
    """

    source: EndpointSource
    running: Running

    @property
    def server(self) -> Server:
        """The server, after it was probed."""
        with self.explained():
            return self.source.backend

    @property
    def name(self) -> str:
        """The model's name in reports."""
        return self.source.name

    @property
    def chat(self) -> ChatUse:
        """How the chat template is used."""
        return self.server.chat

    @property
    def loading_notes(self) -> tuple[str, ...]:
        """Empty: what is noted depends on the sampling settings, and is said with them."""
        return ()

    @property
    def flush_seconds(self) -> float:
        """As of any server."""
        return self.source.server.flush_seconds

    def render(self, text: str, begun: str | None = None) -> str:
        """The text itself: the server applies the chat template, if any."""
        return self.source.server.render(text, begun)

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """As :meth:`Server.continue_prompts`; notes go to the counts, and so into the store."""
        server = self.server
        notes = counts.notes if counts else []
        notes += self.source.probe_notes(sampling)
        with self.explained():
            yield from server.continue_prompts(
                requests, sampling, batch_size=batch_size, counts=counts
            )
        notes += self.source.course_notes(sampling)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add the end of the server's log to errors."""
        try:
            yield
        except ModelError as error:
            raise ModelError(f"{error}\n{self.running.told()}") from None


@dataclass
class LaunchedSource:
    """A checkpoint and the server to start on it.

    Continuations are stored by the content of the checkpoint, so that a run with everything stored
    starts no server.

    Attributes:
        name: The model's name in reports.
        path: A checkpoint folder, a hub name (``NAME@REVISION``) that is in the cache, or a GGUF
            file.
        launch: The server.
        chat, template: As for :class:`EndpointSource`.
        timeout: Time limit of one request in seconds, including retries.
    """

    name: str
    path: str
    launch: Launch
    chat: Chat = "auto"
    timeout: float = TIMEOUT
    template: Template = field(default_factory=Template)

    def __post_init__(self) -> None:
        check_chat(self.chat)

    @cached_property
    def checkpoint(self) -> Path:
        """The checkpoint's folder or file.

        Raises:
            ModelError: It is not on this machine, or the server needs another format.
        """
        from exleak.store.identity import is_whole, local_folder

        suffix = kinds.kind_of(self.launch.kind).suffix
        path = Path(self.path).expanduser()
        if path.is_file():
            return self._file(path, suffix)
        named, _ = spelled(str(path) if path.is_dir() else self.path)
        folder = local_folder(named.name, named.revision)
        if folder is not None and suffix:
            return self._file_in(folder, suffix)
        if folder is None or not is_whole(folder):
            raise ModelError(
                f"model {self.path}: --leakage-server needs the whole checkpoint on this machine; "
                f"give its folder, or download it first (hf download {self.path})"
            )
        return folder.absolute()

    def _file(self, path: Path, suffix: str) -> Path:
        if path.suffix != (suffix or ".gguf"):
            wanted = f"a {suffix} file" if suffix else "a checkpoint's folder"
            raise ModelError(f"model {self.path}: {self.launch.kind} serves {wanted}")
        return path.absolute()

    def _file_in(self, folder: Path, suffix: str) -> Path:
        files = sorted(folder.glob(f"*{suffix}"))
        if len(files) != 1:
            held = f"holds {len(files)} of them" if files else "holds none"
            raise ModelError(
                f"model {self.path}: {self.launch.kind} serves a {suffix} file, and this folder "
                f"{held}; give the file (llama.cpp's convert_hf_to_gguf.py makes one)"
            )
        return files[0].absolute()

    @cached_property
    def backend(self) -> LaunchedBackend:
        """The server, started unless the session has it already.

        Raises:
            ModelError: It cannot be started.
        """
        launch, kind = self.launch, kinds.kind_of(self.launch.kind)
        path, arguments = self.checkpoint, launch.argument_words
        command = kinds.command_for(launch.kind, launch.command_words)
        order = Order(
            f"{launch.kind} on {path.name}",
            lambda port: kinds.full_command(launch.kind, command, path, port, arguments),
            kind.health,
            launch.timeout,
        )
        running = self._servers.get(order)
        model = kind.model.format(path=path)
        source = EndpointSource(
            self.name, running.url, model, self.chat, self.timeout, self.template
        )
        source.server.transport.patience = _PATIENCE
        return LaunchedBackend(source, running)

    @cached_property
    def _servers(self) -> Servers:
        if self.launch.servers is not None:
            return self.launch.servers
        servers = Servers(Path(tempfile.mkdtemp(prefix="exleak-server-")))
        weakref.finalize(self, servers.close)
        return servers

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any]:
        """The store key: checkpoint, server and settings; neither its port nor its version."""
        from exleak.store.identity import checkpoint_hash

        path, settings = self.checkpoint, sampling.to_json()
        del settings["generations"]
        folder, file = (path.parent, path.name) if path.is_file() else (path, None)
        return {
            "checkpoint": checkpoint_hash(folder, store.memo, file=file),
            **self.template.entry,
            "server": self.launch.kind,
            "arguments": self.launch.argument_words,
            "chat": self.chat,
            "sampling": settings,
        }

    @property
    def environment(self) -> dict[str, Any]:
        """The kind of server, and its arguments."""
        return {"server": " ".join([self.launch.kind, *self.launch.argument_words])}

    @cached_property
    def made_with(self) -> dict[str, str]:
        """The server's version, if it can be found out without starting it."""
        try:
            command = kinds.command_for(self.launch.kind, self.launch.command_words)
        except ModelError:
            return {}  # with everything stored, no server is needed
        return kinds.version_of(self.launch.kind, command)

    def check(self) -> None:
        """Find the checkpoint."""
        _ = self.checkpoint

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """Hash of the checkpoint, and how it was served."""
        known = {"chat": chat, "server": self.launch.kind, **self.template.entry}
        return known if about is None else {**known, "checkpoint": about["checkpoint"]}

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """Whether continuations are alike; other caveats are stored with the continuations."""
        from exleak.generation.endpoint.source import alike

        return tuple(filter(None, [alike(rows, sampling)]))
