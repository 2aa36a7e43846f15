"""A client that says exactly what a test wants, byte for byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

from rke2pack.serving.server import Server


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One connection."""

    sock: socket.socket
    stream: BufferedReader

    def say(self, text: str | bytes) -> None:
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def hear(self, *, is_head: bool = False) -> Reply:
        """Read one answer."""
        version, status, _ = self.stream.readline().decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = dict(http.client.parse_headers(self.stream).items())
        has_body = not is_head and int(status) not in {100, 204, 304}
        size = int(headers.get("Content-Length", 0)) if has_body else 0
        return Reply(status=int(status), headers=headers, body=self.stream.read(size))

    def is_over(self) -> bool:
        """Whether the server has ended the connection; waits for it."""
        with contextlib.suppress(ConnectionResetError):
            return self.stream.read() == b""
        return True


@contextlib.contextmanager
def talking(server: Server) -> Iterator[Talk]:
    """Connect for the length of a block."""
    address = (server.listen.host, server.listen.port)
    with socket.create_connection(address, timeout=20) as sock, sock.makefile("rb") as stream:
        yield Talk(sock=sock, stream=stream)


def get(target: str = "/", *more: str, method: str = "GET") -> str:
    """Write a request's head."""
    lines = (f"{method} {target} HTTP/1.1", "Host: it", *more, "", "")
    return "\r\n".join(lines)
