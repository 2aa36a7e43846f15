from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest


def test_unit_test_cannot_connect_beyond_loopback() -> None:
    with (
        socket.socket() as sock,
        pytest.raises(pytest.fail.Exception, match=r"reaches for '192\.0\.2\.1'"),
    ):
        sock.connect(("192.0.2.1", 80))


def test_unit_test_cannot_resolve_a_name() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"reaches for 'charts\.example\.com'"):
        socket.create_connection(("charts.example.com", 443), timeout=1)


def test_unit_test_may_use_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_home_and_caches_are_the_tests_own(isolated_env: Path) -> None:
    assert Path.home() == isolated_env
    assert Path(os.environ["XDG_CACHE_HOME"]).is_relative_to(isolated_env)


def test_no_setting_of_the_user_is_left() -> None:
    assert [name for name in os.environ if name.startswith("RKE2PACK_")] == []
