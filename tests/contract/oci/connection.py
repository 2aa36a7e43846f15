"""A request to a simulated registry: how it is logged, answered, let in and broken off."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.contract.oci.simulated import Request, Simulator

PATH = re.compile(
    r"/v2/(?P<repository>.+?)/(?P<kind>manifests|blobs|tags|uploads|referrers)/(?P<rest>.*)\Z"
)


class Connection(http.server.BaseHTTPRequestHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    simulator: Simulator
    status = 0

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle_one_request()

    def log_message(self, *_: object) -> None:
        """Say nothing; ``requests`` has it."""

    def log_error(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _answer(self) -> None:
        self.status = 0
        try:
            self.route()
        finally:
            if not self.status:
                self._log()

    def _log(self) -> None:
        headers = dict(self.headers)
        request = Request(
            method=self.command, target=self.path, headers=headers, status=self.status
        )
        with self.simulator.lock:
            self.simulator.requests.append(request)

    def route(self) -> None:
        """Answer; whoever knows the registry's content says how."""
        raise NotImplementedError

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str) -> None:
        document = {"errors": [{"code": code, "message": f"no luck with {code.lower()}"}]}
        self.send(status, json.dumps(document).encode())

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self._log()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def reset(self) -> None:
        """End the connection as a crash does, with RST."""
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def is_allowed(self) -> bool:
        simulator, given = self.simulator, self.headers.get("Authorization", "")
        if simulator.auth == "none":
            return True
        if simulator.auth == "basic":
            if given == f"Basic {base64.b64encode(simulator.credentials.encode()).decode()}":
                return True
            self.send(401, b"", {"WWW-Authenticate": 'Basic realm="it, and more"'})
            return False
        with simulator.lock:
            token = given.removeprefix("Bearer ")
            uses = simulator.tokens.get(token, 0)
            if uses is not None and uses > 0:
                simulator.tokens[token] = uses - 1
            if uses is None or uses > 0:
                return True
        match = PATH.match(urlsplit(self.path).path)
        realm = simulator.realm or f"http://{simulator.host}/token"
        scope = f',scope="repository:{match["repository"]}:pull"' if match else ""
        if match and self.command not in {"GET", "HEAD"}:
            scope = ""
        asks = f'Bearer realm="{realm}",service="it"{scope},error="invalid_token"'
        self.drain()
        self.send(401, b"", {"WWW-Authenticate": asks})
        return False

    def drain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def token(self, query: Mapping[str, list[str]]) -> None:
        simulator = self.simulator
        form = parse_qs(self.drain().decode())
        given = self.headers.get("Authorization", "")
        basic = f"Basic {base64.b64encode(simulator.credentials.encode()).decode()}"
        known = (
            form.get("refresh_token") == [simulator.identity_token]
            if self.command == "POST"
            else given == basic or (simulator.is_public and not given)
        )
        if not known:
            self.fail(401, "UNAUTHORIZED")
            return
        with simulator.lock:
            simulator.scopes += form.get("scope", []) + query.get("scope", [])
            token = f"token-{len(simulator.tokens)}"
            simulator.tokens[token] = simulator.token_uses
        name = "access_token" if self.command == "POST" else "token"
        answer: dict[str, Any] = {name: token}
        if simulator.expires_in is not None:
            answer["expires_in"] = simulator.expires_in
        self.send(200, json.dumps(answer).encode())
