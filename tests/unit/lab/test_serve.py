from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rke2pack.lab import repository


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.build(tmp_path_factory.mktemp("lab") / "charts")


def test_repository_is_served_as_it_was_built(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with repository.serve(folder) as address:
        parts = urlsplit(address)
        assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", "")
        connection = http.client.HTTPConnection(parts.netloc, timeout=5)
        connection.request("GET", "/index.yaml")
        index = connection.getresponse().read()
        assert index == (folder / "index.yaml").read_bytes()
        url = json.loads(index)["entries"]["rke2-multus"][0]["urls"][0]
        connection.request("GET", f"/{url}")
        assert connection.getresponse().read() == (folder / url).read_bytes()
        connection.close()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((parts.hostname, parts.port), timeout=5)


def test_two_repositories_are_served_at_once(folder: Path) -> None:
    with repository.serve(folder) as one, repository.serve(folder) as other:
        assert one != other
