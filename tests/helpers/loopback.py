"""A server on a free port of this machine, while a `with` block lasts."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self


class Handler(BaseHTTPRequestHandler):
    """Answers as its server, which is its attribute ``fake``, says."""

    fake: Any
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def send(self, answer: Any, status: int = 200, **headers: str) -> None:
        """Send JSON, or bytes as they are; underscores in names of headers are hyphens."""
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


class Loopback:
    """A server whose requests a handler answers.

    Attributes:
        handler: The handler's class.
        port: Where it listens; 0 for any free port.
        url: Its address, while it runs.
    """

    handler: ClassVar[type[Handler]]
    port: int = 0
    url: str

    def __enter__(self) -> Self:
        handler = type("Bound", (self.handler,), {"fake": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
