from __future__ import annotations

import socket
from http import HTTPStatus
from pathlib import Path

import pytest

from rke2pack.errors import ConfigError, ToolError
from rke2pack.serving import tls
from rke2pack.serving.message import Answer, Request
from rke2pack.serving.server import Listen, Server, running


def nothing(_: Request) -> Answer:
    return Answer(status=HTTPStatus.NO_CONTENT)


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:5000", "127.0.0.1", 5000, True),
        ("127.8.0.1:0", "127.8.0.1", 0, True),
        ("[::1]:80", "::1", 80, True),
        ("localhost:5000", "localhost", 5000, True),
        ("0.0.0.0:5000", "0.0.0.0", 5000, False),  # noqa: S104 - only parsed
        ("[::]:5000", "::", 5000, False),
        ("registry.example.com:443", "registry.example.com", 443, False),
        ("localhost.example.com:1", "localhost.example.com", 1, False),
    ],
)
def test_address_is_parsed(text: str, host: str, port: int, *, is_loopback: bool) -> None:
    listen = Listen.parse(text)
    assert (listen.host, listen.port, listen.is_loopback) == (host, port, is_loopback)
    assert Listen.parse(str(listen)) == listen


@pytest.mark.parametrize(
    "text", ["", "5000", ":5000", "::1:5000", "a:65536", "a:b", "a b:1", "a:1\n"]
)
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="not an address to listen on"):
        Listen.parse(text)


def test_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ToolError, match=f"^cannot listen on 127.0.0.1:{port}: "):
            Server(Listen(host="127.0.0.1", port=port), nothing)


def test_port_is_closed_afterwards() -> None:
    with running(nothing) as server:
        assert server.url == f"http://127.0.0.1:{server.listen.port}"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.listen.port), timeout=5)


def test_certificate_must_be_there_and_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.pem: no such file"):
        tls.context(tmp_path / "nowhere.pem", tmp_path / "key.pem")
    (tmp_path / "it.pem").write_text("nothing\n")
    with pytest.raises(ConfigError, match="not a certificate and its key"):
        tls.context(tmp_path / "it.pem", tmp_path / "it.pem")
