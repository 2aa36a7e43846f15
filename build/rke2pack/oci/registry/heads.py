"""Heads: HEAD over a connection that is open already, the one request that mirrors send often.

Its answer ends with its header lines, so that reading it needs none of HTTP's
rules for bodies, and a tenth of the time that a client for everything takes.
Whatever is not as usual is left to `rke2pack.oci.registry.wire`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3._collections import HTTPHeaderDict

from rke2pack.oci.registry.watch import Watch

_STATUS = re.compile(r"HTTP/1\.1 ([2345]\d\d)(?: |\Z)")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_END = b"\r\n\r\n"
_MAX_BYTES = 64 * 1024
# From one byte to the next, and in all.
_READ_SECONDS = 30.0
_ALL_SECONDS = 60.0


class Bare:
    """An answer without a body, read as urllib3's are."""

    def __init__(self, status: int, headers: HTTPHeaderDict) -> None:
        """Take what came."""
        self.status = status
        self.headers = headers

    def read1(self, *_: object, **__: object) -> bytes:
        """Return nothing."""
        return b""

    read = read1

    def close(self) -> None:
        """Do nothing: the connection is back."""

    release_conn = close


def ask(
    pool: urllib3.HTTPConnectionPool,
    target: str,
    host: str,
    headers: Mapping[str, str],
    watch: Watch,
) -> Bare | None:
    """Send one HEAD; None where no connection is open, or where its answer is unusual or late.

    Raises CancelledError where the work was stopped meanwhile.
    """
    lines = [f"HEAD {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        return None
    # The pool's own way to lend a connection; it looks whether the other side has closed it.
    connection: Any = pool._get_conn()  # noqa: SLF001 - there is no other name for it
    found = None
    try:
        if connection.sock is not None:
            request = "\r\n".join([*lines, "", ""]).encode("latin-1")
            with watch.over(connection.sock, _ALL_SECONDS):
                found = _asked(connection, request)
    except (OSError, ValueError):
        found = None
    finally:
        if found is None and connection.sock is not None:
            connection.close()
        pool._put_conn(connection)  # noqa: SLF001 - as above
    return found


def _asked(connection: Any, request: bytes) -> Bare | None:  # noqa: ANN401 - urllib3 has several
    """Send and read; None for an answer that is not whole or not alone."""
    # The request before may have been one that waits longer.
    connection.sock.settimeout(_READ_SECONDS)
    connection.sock.sendall(request)
    answer = b""
    while _END not in answer:
        if len(answer) > _MAX_BYTES or not (more := connection.sock.recv(_MAX_BYTES)):
            return None
        answer += more
    if not answer.endswith(_END) or answer.count(_END) > 1:
        return None
    first, *lines = answer[: -len(_END)].decode("latin-1").split("\r\n")
    status = _STATUS.match(first)
    headers = HTTPHeaderDict()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.match(name):
            return None
        headers.add(name, value.strip())
    if status is None or headers.get("Connection", "").lower() == "close":
        return None
    return Bare(int(status[1]), headers)
