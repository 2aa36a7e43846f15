"""Connection: HTTP/1.1 with one client, one request after the other, within limits.

A client that sends its request slowly, takes nothing of an answer or is silent
between two requests is left after the time that `Limits` gives it.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11

from rke2pack.address import hidden
from rke2pack.serving.message import Answer, Answerer, FilePart, Request

_READ = 64 * 1024
_MAX_DRAIN = 256 * 1024
_TLS_RECORD = b"\x16"
_NO_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a client gets: connections of all clients, bytes of a head, seconds.

    ``head_seconds`` is for a whole request head (and TLS handshake),
    ``idle_seconds`` between requests, ``stall_seconds`` without any progress
    of a body, ``drain_seconds`` for what a refused client still sends.
    """

    connections: int = 256
    head_bytes: int = 32 * 1024
    head_seconds: float = 30.0
    idle_seconds: float = 60.0
    stall_seconds: float = 60.0
    drain_seconds: float = 2.0


class Connection:
    """One client's connection; `serve` is its thread, all else is for other threads."""

    def __init__(
        self, sock: socket.socket, peer: str, limits: Limits, tell: Callable[[str], None]
    ) -> None:
        """Speak on ``sock``; ``tell`` gets one line an answer."""
        self._socket, self._peer, self._limits, self._tell = sock, peer, limits, tell
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._is_ending = False
        self.idle_since: float | None = None

    def serve(self, answer: Answerer, tls: ssl.SSLContext | None) -> None:
        """Answer requests until one side ends the connection."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket.settimeout(self._limits.head_seconds)
                if self._socket.recv(1, socket.MSG_PEEK) not in {b"", _TLS_RECORD}:
                    text = "bad request: this server speaks TLS, use https"
                    self._send(Answer.text(HTTPStatus.BAD_REQUEST, text), asked="(no TLS)")
                    return
                self._socket.settimeout(0)
                self._socket = tls.wrap_socket(
                    self._socket, server_side=True, do_handshake_on_connect=False
                )
                _shake_hands(self._socket, self._limits.head_seconds)
            while self._exchange(answer):
                self._http.start_next_cycle()
        except (OSError, h11.ProtocolError) as exc:
            _log.debug("%s: %s", self._peer, exc)
        finally:
            self._socket.close()

    def end(self) -> None:
        """End after the answer that is under way; at once where there is none."""
        self._is_ending = True
        if self.idle_since is not None:
            self.cut(socket.SHUT_RD)

    def cut(self, how: int = socket.SHUT_RDWR) -> None:
        """End at once."""
        with contextlib.suppress(OSError):
            # TLS's own shutdown is not for another thread than the one that reads.
            socket.socket.shutdown(self._socket, how)

    def _exchange(self, answer: Answerer) -> bool:
        """Answer one request; return whether another may follow."""
        try:
            event = self._next_request()
        except h11.RemoteProtocolError as exc:
            status = HTTPStatus(exc.error_status_hint)
            self._send(Answer.text(status, f"bad request: {exc}"), asked="(unreadable)")
            return False
        if event is None:
            return False
        method, target = event.method.decode(), event.target.decode()
        headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        try:
            request = Request.parse(method, target, headers, self._body())
        except ValueError:
            reply = Answer.text(HTTPStatus.BAD_REQUEST, "bad request: not an address")
        else:
            reply = _answered(answer, request)
        # Some clients put a password or a token into the address.
        shown = hidden(target.partition("?")[0])
        self._send(reply, asked=f"{method} {shown}", is_head=method == "HEAD")
        return self._http.their_state is h11.DONE and self._http.our_state is h11.DONE

    def _next_request(self) -> h11.Request | None:
        """Read a request's head; None where the client is gone."""
        limits, deadline = self._limits, None
        if self._http.trailing_data[0]:
            deadline = time.monotonic() + limits.head_seconds
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if deadline is None:
                self.idle_since = time.monotonic()
                if self._is_ending:
                    return None
                self._socket.settimeout(limits.idle_seconds)
            else:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._socket.recv(_READ)
            self.idle_since = None
            deadline = deadline or time.monotonic() + limits.head_seconds
            self._http.receive_data(data)
            if not data and self._http.their_state is h11.IDLE:
                return None
        return event if isinstance(event, h11.Request) else None

    def _body(self) -> Iterator[bytes]:
        while True:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                self._socket.sendall(self._http.send(go_on) or b"")
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._socket.settimeout(self._limits.stall_seconds)
                self._http.receive_data(self._socket.recv(_READ))
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    def _send(self, reply: Answer, *, asked: str, is_head: bool = False) -> None:
        body, size = reply.body, len(reply.body)
        try:
            headers = {"Date": formatdate(usegmt=True), **reply.headers}
            if reply.status not in _NO_BODY:
                headers["Content-Length"] = str(size)
            is_read = self._is_read()
            if self._is_ending or not is_read:
                headers["Connection"] = "close"
            self._tell(f"{self._peer} {asked} {reply.status.value} {0 if is_head else size}")
            self._socket.settimeout(self._limits.stall_seconds)
            has_body = size > 0 and not is_head and reply.status not in _NO_BODY
            self._send_parts(self._head(reply.status, headers), body if has_body else b"")
            if not is_read:
                self._linger()
        finally:
            if isinstance(body, FilePart):
                body.close()

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> bytes:
        response = h11.Response(
            status_code=status.value,
            reason=status.phrase.encode(),
            headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        )
        return self._http.send(response) or b""

    def _send_parts(self, head: bytes, body: bytes | FilePart) -> None:
        if isinstance(body, bytes):
            data = self._http.send(h11.Data(data=body)) if body else b""
            self._socket.sendall(
                head + (data or b"") + (self._http.send(h11.EndOfMessage()) or b"")
            )
            return
        self._http.send_with_data_passthrough(h11.Data(data=body))  # type: ignore[arg-type] # a length is all that h11 looks at
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.sendall(head)
            _send_file_in_tls(self._socket, body)
        else:
            self._socket.sendall(head, socket.MSG_MORE)
            _send_file(self._socket, body)
        self._http.send(h11.EndOfMessage())

    def _is_read(self) -> bool:
        """Whether the whole request has come; the rest of its body is let go."""
        with contextlib.suppress(h11.RemoteProtocolError):
            while self._http.their_state is h11.SEND_BODY:
                if self._http.they_are_waiting_for_100_continue:
                    return False
                if self._http.next_event() is h11.NEED_DATA:
                    return False
        return self._http.their_state is h11.DONE

    def _linger(self) -> None:
        """Take in what the client still sends, so that it reads our answer before the end."""
        deadline, taken = time.monotonic() + self._limits.drain_seconds, 0
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        while taken < _MAX_DRAIN and (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            data = self._socket.recv(_READ)
            if not data:
                return
            taken += len(data)


def _answered(answer: Answerer, request: Request) -> Answer:
    try:
        return answer(request)
    except (ConnectionError, TimeoutError, ssl.SSLError, h11.ProtocolError):
        raise  # the client's end, met while its body was read
    except Exception:  # noqa: BLE001 - a bug in one answer ends no server; it is logged whole
        _log.exception("%s %s", request.method, request.path)
        return Answer.text(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a bug in rke2pack")


def _shake_hands(sock: ssl.SSLSocket, seconds: float) -> None:
    """Begin TLS; the time is for all of it, not for each byte."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            ready = select.poll()
            ready.register(sock, select.POLLIN)
            if not ready.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise TimeoutError from None


def _send_file(sock: socket.socket, part: FilePart) -> None:
    """Let the kernel copy; it waits only while the client takes nothing at all."""
    sent = sock.sendfile(part.handle, part.start, len(part))
    if sent != len(part):
        msg = "the file has become shorter"
        raise ConnectionError(msg)


def _send_file_in_tls(sock: ssl.SSLSocket, part: FilePart) -> None:
    part.handle.seek(part.start)
    left = len(part)
    while left:
        data = part.handle.read(min(left, _READ))
        if not data:
            msg = "the file has become shorter"
            raise ConnectionError(msg)
        sock.sendall(data)
        left -= len(data)
