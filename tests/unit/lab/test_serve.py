from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rke2pack.errors import ToolError
from rke2pack.lab import repository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("not for readers", encoding="ascii")
    served = tmp_path / "served"
    (served / "assets").mkdir(parents=True)
    (served / "index.yaml").write_bytes(b"entries: {}\n")
    (served / "assets" / "a+b.tgz").write_bytes(b"\x1f\x8b")
    (served / "link").symlink_to(tmp_path / "secret")
    return served.resolve()


@pytest.fixture
def connection(folder: Path) -> Iterator[http.client.HTTPConnection]:
    with repository.serve(folder) as address:
        found = http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)
        yield found
        found.close()


def test_file_is_answered_with_type_size_and_tag(folder: Path) -> None:
    reply = repository.answer(folder, "/index.yaml")
    assert (reply.status, reply.body) == (HTTPStatus.OK, b"entries: {}\n")
    assert reply.headers["Content-Type"] == "application/yaml"
    assert reply.headers["Content-Length"] == "12"
    assert reply.headers["ETag"].startswith('"')


def test_query_is_ignored_and_escapes_are_decoded(folder: Path) -> None:
    assert repository.answer(folder, "/index.yaml?x=1").status is HTTPStatus.OK
    assert repository.answer(folder, "/assets/a%2Bb.tgz").body == b"\x1f\x8b"


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
def test_known_tag_is_answered_without_a_body(folder: Path, form: str) -> None:
    tag = repository.answer(folder, "/index.yaml").headers["ETag"]
    reply = repository.answer(folder, "/index.yaml", if_none_match=form.format(tag=tag))
    assert (reply.status, reply.body) == (HTTPStatus.NOT_MODIFIED, b"")
    assert reply.headers["ETag"] == tag


def test_other_tag_is_answered_with_the_body(folder: Path) -> None:
    reply = repository.answer(folder, "/index.yaml", if_none_match='"other"')
    assert reply.status is HTTPStatus.OK


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/assets",
        "/assets/",
        "/missing",
        "/../secret",
        "/%2e%2e/secret",
        "/assets/../../secret",
        "/assets/..%2f..%2fsecret",
        "/..%5csecret",
        "/index.yaml%00",
        "//secret",
        "/link",
        f"/{'x' * 300}",
        "*",
    ],
)
def test_folders_and_everything_outside_are_not_found(folder: Path, target: str) -> None:
    reply = repository.answer(folder, target)
    assert (reply.status, reply.body) == (HTTPStatus.NOT_FOUND, b"not found\n")


def test_absolute_path_is_not_found(folder: Path) -> None:
    outside = folder.parent / "secret"
    assert repository.answer(folder, f"/{outside}").status is HTTPStatus.NOT_FOUND


def test_get_and_head_say_the_same_on_one_connection(
    connection: http.client.HTTPConnection,
) -> None:
    connection.request("GET", "/index.yaml")
    got = connection.getresponse()
    assert (got.status, got.read()) == (200, b"entries: {}\n")
    connection.request("HEAD", "/index.yaml")
    head = connection.getresponse()
    assert (head.status, head.read()) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type"):
        assert head.headers[name] == got.headers[name]


def test_if_none_match_travels(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/index.yaml")
    first = connection.getresponse()
    tag, _ = first.headers["ETag"], first.read()
    connection.request("GET", "/index.yaml", headers={"If-None-Match": tag})
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (304, b"")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_can_be_written(
    connection: http.client.HTTPConnection, folder: Path, method: str
) -> None:
    connection.request(method, "/index.yaml", body=b"x")
    assert connection.getresponse().status == HTTPStatus.NOT_IMPLEMENTED
    assert (folder / "index.yaml").read_bytes() == b"entries: {}\n"


def test_server_says_nothing(
    connection: http.client.HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    connection.request("GET", "/missing")
    assert connection.getresponse().status == HTTPStatus.NOT_FOUND
    assert capfd.readouterr() == ("", "")


def test_port_is_closed_afterwards(folder: Path) -> None:
    with repository.serve(folder) as address:
        split = urlsplit(address)
        assert (split.scheme, split.hostname, split.path) == ("http", "127.0.0.1", "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((split.hostname, split.port), timeout=5)


def test_two_repositories_are_served_at_once(folder: Path) -> None:
    with repository.serve(folder) as one, repository.serve(folder) as other:
        assert one != other


def test_no_port_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_HOST", "192.0.2.1")
    with (
        pytest.raises(ToolError, match=r"^cannot open a port on 192\.0\.2\.1: "),
        repository.serve(folder),
    ):
        pass
