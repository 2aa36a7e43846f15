"""The frame of the simulators: an HTTP server on loopback for the length of a block."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def server_bind(self) -> None:
        """Bind without asking for the host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is part of the tests."""


@contextlib.contextmanager
def listening(
    handler: type[http.server.BaseHTTPRequestHandler],
    stop: threading.Event,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Answer with ``handler``; give ``address:port``, and set ``stop`` at the end of the block."""
    with _Server((address, port), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        loop = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        loop.start()
        try:
            yield f"{address}:{server.server_port}"
        finally:
            stop.set()
            server.shutdown()
            loop.join()


def wait_for(claim: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until ``claim()`` is true."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)
