"""HEAD over an open connection: what is unusual is asked again in the usual way."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import RegistryError
from rke2pack.oci.registry import answer as answers
from rke2pack.oci.registry import heads, watch, wire
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.client import Registry
from rke2pack.oci.registry.keychain import Keychain

# An answer whose head goes on for ever, byte by byte.
TRICKLE = b"HTTP/1.1 200 OK\r\nX-Filler: "
# A chunk's length, and what follows it on its line up to the end, which never comes.
TRICKLING_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;"
FIRST, GOOD, BAD = (Digest.of(text) for text in (b"first", b"good", b"bad"))


def answer(digest: Digest, *, status: str = "200 OK", more: str = "", rest: bytes = b"") -> bytes:
    lines = f"Content-Length: 7\r\nDocker-Content-Digest: {digest}\r\n{more}"
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + rest


@contextlib.contextmanager
def scripted(
    replies: list[bytes], context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Give one answer after the other, on whatever connection; an empty one hangs up."""
    requests: list[bytes] = []
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk(plain: socket.socket) -> None:
            with contextlib.suppress(OSError):
                connection = context.wrap_socket(plain, server_side=True) if context else plain
                answered(connection)

        def answered(connection: socket.socket) -> None:
            with connection:
                while replies:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        more = connection.recv(65536)
                        if not more:
                            return
                        request += more
                    requests.append(request)
                    reply = replies.pop(0)
                    if not reply:
                        return
                    connection.sendall(reply)
                    while reply in {TRICKLE, TRICKLING_CHUNK}:
                        connection.sendall(b"x")
                        stop.wait(0.02)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", requests
        stop.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def client(
    host: str, stopped: threading.Event | None = None, ca_file: Path | None = None
) -> Registry:
    access = Access(
        keychain=Keychain({}),
        ca_file=ca_file,
        endpoints={host: f"{'https' if ca_file else 'http'}://{host}"},
        stopped=stopped or threading.Event(),
    )
    return access.registry(host)


@pytest.fixture(scope="module")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str, str], NoReturn]
) -> Path:
    """A file of certificate and key for 127.0.0.1."""
    if shutil.which("openssl") is None:
        missing("openssl", "openssl is not on PATH")
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    make = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
    make += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=it"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "both.pem", "-out", "cert.pem"]
    subprocess.run(make, cwd=path.parent, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_name("cert.pem").read_bytes())
    return path


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


def test_head_that_trickles_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_ALL_SECONDS", 0.1)
    with scripted([answer(FIRST), TRICKLE, answer(GOOD)]) as (host, requests):
        registry = client(host)
        assert registry.head_manifest("a/b", "v1").digest == FIRST
        assert registry.head_manifest("a/b", "v2").digest == GOOD
    assert len(requests) == 3


@pytest.mark.usefixtures("waits")
def test_answer_whose_head_trickles_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", 0.3)
    monkeypatch.setattr(watch, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(wire, "_ATTEMPTS", 2)
    with scripted([TRICKLE, TRICKLE]) as (host, requests):
        with pytest.raises(RegistryError, match="timed out") as caught:
            client(host).get_manifest("a/b", "v1")
        assert caught.value.temporary
        assert len(requests) == 2


@pytest.mark.usefixtures("waits")
def test_chunk_whose_length_trickles_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = answers.stream

    def impatient(response: answers.Response, *, what: str) -> object:
        return real(response, what=what, patience=0.2)

    monkeypatch.setattr(answers, "stream", impatient)
    monkeypatch.setattr(wire, "_ATTEMPTS", 2)
    with scripted([TRICKLING_CHUNK, TRICKLING_CHUNK]) as (host, requests):
        with pytest.raises(RegistryError, match="timed out") as caught:
            client(host).get_manifest("a/b", "v1")
        assert caught.value.temporary
        assert len(requests) == 2


def test_stop_ends_the_wait_for_a_body() -> None:
    stopped = threading.Event()
    with scripted([TRICKLING_CHUNK]) as (host, _):
        registry = client(host, stopped)
        timer = threading.Timer(0.1, stopped.set)
        timer.start()
        with pytest.raises(CancelledError):
            registry.get_manifest("a/b", "v1")
        timer.join()


@pytest.mark.parametrize("is_open", [True, False])
def test_stop_ends_the_wait_for_a_head(*, is_open: bool) -> None:
    stopped = threading.Event()
    answers = [answer(FIRST), TRICKLE] if is_open else [TRICKLE]
    with scripted(answers) as (host, requests):
        registry = client(host, stopped)
        if is_open:
            registry.head_manifest("a/b", "v1")
        timer = threading.Timer(0.1, stopped.set)
        timer.start()
        with pytest.raises(CancelledError):
            registry.head_manifest("a/b", "v2")
        timer.join()
        assert len(requests) == 1 + is_open


@pytest.mark.parametrize("is_open", [True, False])
def test_waits_below_tls_end_too(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, *, is_open: bool
) -> None:
    monkeypatch.setattr(heads, "_ALL_SECONDS", 0.1)
    monkeypatch.setattr(wire, "READ_SECONDS", 0.3)
    monkeypatch.setattr(watch, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(wire, "_ATTEMPTS", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    answers = [answer(FIRST), TRICKLE, answer(GOOD)] if is_open else [TRICKLE]
    with scripted(answers, context) as (host, _):
        registry = client(host, ca_file=certificate)
        if is_open:
            assert registry.head_manifest("a/b", "v1").digest == FIRST
            assert registry.head_manifest("a/b", "v2").digest == GOOD
        else:
            with pytest.raises(RegistryError, match="timed out"):
                registry.get_manifest("a/b", "v1")
