"""Request and Answer: what a client asks for and what it gets."""

from __future__ import annotations

import http
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl, unquote, urlsplit

MAX_QUERY_FIELDS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: the path decoded, names of headers in lower case, the last of each name.

    ``body`` gives the bytes as they come; what is not read of it ends the connection.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Iterator[bytes] = field(default_factory=lambda: iter(()), repr=False)

    @classmethod
    def parse(
        cls, method: str, target: str, headers: Mapping[str, str], body: Iterator[bytes]
    ) -> Request:
        """Read a request's target; raises ValueError."""
        parts = urlsplit(target)
        fields = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        path = unquote(parts.path, errors="strict")
        return cls(method=method, path=path, query=dict(fields), headers=headers, body=body)


class FilePart:
    """A part of an open file as an answer's body; whoever sends it closes it."""

    def __init__(self, handle: IO[bytes], start: int, size: int) -> None:
        """Cover ``size`` bytes of ``handle`` from ``start`` on."""
        self.handle, self.start, self._size = handle, start, size

    def __len__(self) -> int:
        return self._size

    def part(self, start: int, size: int) -> FilePart:
        """Return a part of this part."""
        return FilePart(self.handle, self.start + start, size)

    def close(self) -> None:
        """Close the file."""
        self.handle.close()


def opened(path: Path) -> FilePart:
    """Open a whole file; raises OSError."""
    handle = path.open("rb", buffering=0)
    return FilePart(handle, 0, handle.seek(0, io.SEEK_END))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said; to HEAD, the same without the body."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FilePart = b""

    @classmethod
    def text(cls, status: HTTPStatus, text: str, **headers: str) -> Answer:
        """Say a line of plain text; ``_`` in the name of a header stands for ``-``."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = "text/plain; charset=utf-8"
        return cls(status=status, headers={"Content-Type": kind, **more}, body=f"{text}\n".encode())


Answerer = Callable[[Request], Answer]
READS = frozenset({http.HTTPMethod.GET, http.HTTPMethod.HEAD})


def not_found() -> Answer:
    """Say that there is no such thing."""
    return Answer.text(HTTPStatus.NOT_FOUND, "not found")


def read_only() -> Answer:
    """Say that nothing is written here."""
    text = "this server is read-only"
    return Answer.text(HTTPStatus.METHOD_NOT_ALLOWED, text, Allow="GET, HEAD")
