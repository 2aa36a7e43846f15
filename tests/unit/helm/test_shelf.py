from __future__ import annotations

import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.files import Cache
from rke2pack.helm import archive
from rke2pack.helm.archive import Member, pack
from rke2pack.helm.chart import Chart
from rke2pack.helm.repository import Access, open_repository
from rke2pack.helm.shelf import Shelf
from rke2pack.serving.message import Answer, FilePart, Request


def ask(shelf: Shelf, path: str, method: str = "GET", **headers: str) -> tuple[Answer, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = shelf.answer(Request(method=method, path=path, headers=named))
    if isinstance(reply.body, FilePart):
        with reply.body.handle as handle:
            handle.seek(reply.body.start)
            return reply, handle.read(len(reply.body))
    return reply, reply.body


def status(shelf: Shelf, path: str) -> HTTPStatus:
    return ask(shelf, path)[0].status


def chart(name: str, version: str, more: str = "", first: int = 0) -> bytes:
    text = f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}"
    members = [Member(f"{name}/Chart.yaml", text.encode())]
    return pack([*(Member(f"{name}/{n}", b"x") for n in range(first)), *members])


# ---- a folder that has an index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("not for readers", encoding="ascii")
    served = tmp_path / "served"
    (served / "assets").mkdir(parents=True)
    (served / "index.yaml").write_bytes(b"entries: {}\n")
    (served / "assets" / "a+b.tgz").write_bytes(b"\x1f\x8b")
    (served / "link").symlink_to(tmp_path / "secret")
    return served


def test_file_is_answered_with_type_and_tag(folder: Path) -> None:
    reply, body = ask(Shelf(folder), "/index.yaml")
    assert (reply.status, body) == (HTTPStatus.OK, b"entries: {}\n")
    assert reply.headers["Content-Type"] == "application/yaml"
    assert ask(Shelf(folder), "assets/a+b.tgz")[1] == b"\x1f\x8b"


def test_known_tag_is_answered_without_a_body_until_the_file_changes(folder: Path) -> None:
    shelf = Shelf(folder)
    tag = ask(shelf, "/index.yaml")[0].headers["ETag"]
    assert ask(shelf, "/index.yaml", if_none_match=tag)[0].status is HTTPStatus.NOT_MODIFIED
    (folder / "index.yaml").write_bytes(b"entries: {a: []}\n")
    assert ask(shelf, "/index.yaml", if_none_match=tag)[1] == b"entries: {a: []}\n"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/assets",
        "/assets/",
        "/missing",
        "/../secret",
        "/assets/../../secret",
        "/..\\secret",
        "/index.yaml\0",
        "//secret",
        "/link",
        f"/{'x' * 300}",
        "*",
    ],
)
def test_folders_and_everything_outside_are_not_found(folder: Path, path: str) -> None:
    assert status(Shelf(folder), path) is HTTPStatus.NOT_FOUND


def test_absolute_path_is_not_found(folder: Path) -> None:
    assert status(Shelf(folder), f"//{folder.parent}/secret") is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_can_be_written(folder: Path, method: str) -> None:
    reply, _ = ask(Shelf(folder), "/index.yaml", method)
    assert (reply.status, reply.headers["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, HEAD")


def test_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        Shelf(tmp_path / "none")


# ---- a folder without one


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "one.tgz").write_bytes(chart("rke2-one", "1.47.003", "appVersion: 1.10\n", first=3))
    (plain / "two.tgz").write_bytes(chart("rke2-one", "1.47.004"))
    (plain / "three.tgz").write_bytes(chart("rke2-two", "v3.1908", "deprecated: true\n"))
    (plain / "secret.txt").write_text("not for readers", encoding="ascii")
    return plain


def index(shelf: Shelf) -> dict[str, list[dict[str, Any]]]:
    entries: dict[str, list[dict[str, Any]]] = json.loads(ask(shelf, "/index.yaml")[1])["entries"]
    return entries


def test_index_is_made_of_the_archives(plain: Path) -> None:
    entries = index(Shelf(plain))
    assert list(entries) == ["rke2-one", "rke2-two"]
    assert [each["version"] for each in entries["rke2-one"]] == ["1.47.004", "1.47.003"]
    assert entries["rke2-one"][1] == {
        "apiVersion": "v2",
        "name": "rke2-one",
        "version": "1.47.003",
        "appVersion": "1.10",
        "digest": Digest.of((plain / "one.tgz").read_bytes()).hex,
        "urls": ["rke2-one-1.47.003.tgz"],
    }
    assert entries["rke2-two"][0]["deprecated"] is True


def test_archives_are_given_by_the_indexs_address_alone(plain: Path) -> None:
    shelf = Shelf(plain)
    reply, body = ask(shelf, "/rke2-one-1.47.003.tgz")
    assert (reply.status, body) == (HTTPStatus.OK, (plain / "one.tgz").read_bytes())
    for path in ("/one.tgz", "/secret.txt", "/rke2-one-1.47.005.tgz", "/../secret"):
        assert status(shelf, path) is HTTPStatus.NOT_FOUND


def test_our_own_client_reads_it(plain: Path, tmp_path: Path) -> None:
    shelf, copied = Shelf(plain), tmp_path / "copied"
    copied.mkdir()
    for path in ("index.yaml", "rke2-one-1.47.003.tgz"):
        (copied / path).write_bytes(ask(shelf, path)[1])
    access = Access(fetcher=lambda: pytest.fail("asked the network"), cache=Cache(tmp_path / "c"))
    repository = open_repository(str(copied), access)
    (entry,) = [e for e in repository.index().charts["rke2-one"] if e.version == "1.47.003"]
    assert isinstance(repository.fetch(entry), Chart)


def test_what_is_no_chart_is_left_out_and_said(plain: Path) -> None:
    broken = {
        "text.tgz": b"no archive",
        "empty.tgz": b"",
        "headless.tgz": pack([Member("a/values.yaml", b"")]),
        "nameless.tgz": pack([Member("a/Chart.yaml", b"version: 1.0.0\n")]),
        "list.tgz": pack([Member("a/Chart.yaml", b"- name\n")]),
        "path.tgz": pack([Member("a/Chart.yaml", b"name: ../a\nversion: 1.0.0\n")]),
        "version.tgz": pack([Member("a/Chart.yaml", b"name: a\nversion: a/b\n")]),
        "cut.tgz": chart("rke2-three", "1.0.0")[:-20],
    }
    for name, data in broken.items():
        (plain / name).write_bytes(data)
    shelf = Shelf(plain)
    assert sorted(index(shelf)) == ["rke2-one", "rke2-two"]
    assert len(shelf.problems) == len(broken)


def test_archives_that_come_and_go_are_seen(plain: Path) -> None:
    shelf = Shelf(plain)
    assert len(shelf.books) == 3
    (plain / "four.tgz").write_bytes(chart("rke2-four", "1.0.0"))
    (plain / "one.tgz").unlink()
    assert set(shelf.books) == {
        "rke2-one-1.47.004.tgz",
        "rke2-two-v3.1908.tgz",
        "rke2-four-1.0.0.tgz",
    }
    assert status(shelf, "/rke2-one-1.47.003.tgz") is HTTPStatus.NOT_FOUND


def test_of_two_archives_of_a_version_the_newer_is_taken(plain: Path) -> None:
    newer = chart("rke2-one", "1.47.003", "description: newer\n")
    (plain / "again.tgz").write_bytes(newer)
    os.utime(plain / "one.tgz", (1000, 1000))
    assert ask(Shelf(plain), "/rke2-one-1.47.003.tgz")[1] == newer
    os.utime(plain / "again.tgz", (500, 500))
    assert ask(Shelf(plain), "/rke2-one-1.47.003.tgz")[1] != newer


def test_bomb_is_not_unpacked(plain: Path) -> None:
    members = [Member("a/zeros", bytes(archive.MAX_UNPACKED_BYTES))]
    (plain / "bomb.tgz").write_bytes(pack(members, level=1))
    (problem,) = Shelf(plain).problems
    assert "unpacks to more than" in problem
