"""HEAD over an open connection: what is unusual is asked again in the usual way."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.registry import heads
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.client import Registry
from rke2pack.oci.registry.keychain import Keychain

FIRST, GOOD, BAD = (Digest.of(text) for text in (b"first", b"good", b"bad"))


def answer(digest: Digest, *, status: str = "200 OK", more: str = "", rest: bytes = b"") -> bytes:
    lines = f"Content-Length: 7\r\nDocker-Content-Digest: {digest}\r\n{more}"
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + rest


@contextlib.contextmanager
def scripted(answers: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Give one answer after the other, on whatever connection; an empty one hangs up."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while answers:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        more = connection.recv(65536)
                        if not more:
                            return
                        request += more
                    requests.append(request)
                    reply = answers.pop(0)
                    if not reply:
                        return
                    connection.sendall(reply)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", requests
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def client(host: str) -> Registry:
    access = Access(keychain=Keychain({}), endpoints={host: f"http://{host}"})
    return access.registry(host)


def test_second_head_goes_over_the_open_connection() -> None:
    more = "X-Name:  several   words \r\n"
    with scripted([answer(FIRST), answer(GOOD, more=more)]) as (host, requests):
        registry = client(host)
        assert registry.head_manifest("a/b", "v1").digest == FIRST
        head = registry.head_manifest("a/b", "v2")
    assert (head.digest, head.size) == (GOOD, 7)
    first, second = (request.split(b"\r\n") for request in requests)
    assert second[0] == b"HEAD /v2/a/b/manifests/v2 HTTP/1.1"
    # What is said is the same, whoever says it.
    assert sorted(first[1:]) == sorted(second[1:])


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        answer(BAD)[:40],
        answer(BAD, rest=b"a body"),
        answer(BAD, rest=answer(BAD)),
        answer(BAD, more="no colon\r\n"),
        answer(BAD, more=" folded: line\r\n"),
        answer(BAD).replace(b"HTTP/1.1", b"HTTP/1.0"),
        answer(BAD, more="Connection: close\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
    ],
)
def test_unusual_answer_is_not_believed(odd: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted([answer(FIRST), odd, answer(GOOD)]) as (host, requests):
        registry = client(host)
        assert registry.head_manifest("a/b", "v1").digest == FIRST
        if odd == answer(BAD)[:40]:
            monkeypatch.setattr(heads, "_MAX_BYTES", 20)
        assert registry.head_manifest("a/b", "v2").digest == GOOD
    assert len(requests) == 3


def test_endless_headers_are_not_read_to_their_end() -> None:
    endless = answer(BAD)[:-2] + b"X-Filler: " + b"x" * 200_000
    with scripted([answer(FIRST), endless, answer(GOOD)]) as (host, _):
        registry = client(host)
        assert registry.head_manifest("a/b", "v1").digest == FIRST
        assert registry.head_manifest("a/b", "v2").digest == GOOD
