from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest

from rke2pack.serving import message
from rke2pack.serving.content import content
from rke2pack.serving.message import Answer, FilePart, Request

BODY = bytes(range(100))


def get(method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(method=method, path="/", headers=named)
    return content(request, BODY, tag="it", headers={"Content-Type": "a/b"})


def test_whole_has_a_tag_and_says_that_ranges_are_understood() -> None:
    reply = get()
    assert (reply.status, reply.body) == (HTTPStatus.OK, BODY)
    assert reply.headers == {"Content-Type": "a/b", "ETag": '"it"', "Accept-Ranges": "bytes"}


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=90-", 90, 100),
        ("bytes=90-1000", 90, 100),
        ("bytes=-10", 90, 100),
        ("bytes=-1000", 0, 100),
        ("bytes= 5-6 ", 5, 7),
    ],
)
def test_one_range_is_given(asked: str, start: int, end: int) -> None:
    reply = get(range=asked)
    assert (reply.status, reply.body) == (HTTPStatus.PARTIAL_CONTENT, BODY[start:end])
    assert reply.headers["Content-Range"] == f"bytes {start}-{end - 1}/100"
    assert reply.headers["ETag"] == '"it"'


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_range_behind_the_end_is_416(asked: str) -> None:
    reply = get(range=asked)
    assert (reply.status, reply.body) == (HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"")
    assert reply.headers == {"Content-Range": "bytes */100"}


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=5-4", "bytes=", "bytes=-", "items=0-1", "bytes=\u0661-\u0662"],
)
def test_what_is_no_single_range_gives_the_whole(asked: str) -> None:
    reply = get(range=asked)
    assert (reply.status, reply.body) == (HTTPStatus.OK, BODY)


def test_head_ignores_a_range() -> None:
    assert get("HEAD", range="bytes=0-1").status is HTTPStatus.OK


@pytest.mark.parametrize(
    ("known", "status"),
    [('"it"', 206), ('"other"', 200), ('W/"it"', 200), ("Mon, 01 Jan 2024 00:00:00 GMT", 200)],
)
def test_if_range_holds_only_with_the_same_tag(known: str, status: int) -> None:
    assert get(range="bytes=0-1", if_range=known).status == status


@pytest.mark.parametrize("known", ['"it"', 'W/"it"', '"a", "it"', "*"])
def test_known_tag_is_not_modified(known: str) -> None:
    reply = get(if_none_match=known)
    assert (reply.status, reply.body) == (HTTPStatus.NOT_MODIFIED, b"")
    assert reply.headers["ETag"] == '"it"'


@pytest.mark.parametrize(
    "headers", [{"range": "bytes=500-"}, {"if-none-match": "*"}], ids=["416", "304"]
)
def test_file_is_closed_when_it_is_not_sent(headers: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    part = message.opened(tmp_path / "file")
    content(Request(method="GET", path="/", headers=headers), part, tag="it", headers={})
    assert part.handle.closed


def test_range_of_a_file_is_a_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    part = message.opened(tmp_path / "file")
    request = Request(method="GET", path="/", headers={"range": "bytes=3-5"})
    body = content(request, part, tag="it", headers={}).body
    assert isinstance(body, FilePart)
    assert (body.start, len(body)) == (3, 3)
    body.close()


def test_request_is_decoded() -> None:
    request = Request.parse("GET", "/a%2Fb/%C3%A9?n=1&n=2&empty=", {}, iter(()))
    assert (request.path, dict(request.query)) == ("/a/b/é", {"n": "2", "empty": ""})


@pytest.mark.parametrize("target", ["/%ff", "http://[/x", f"/?{'&a' * 40}"])
def test_bad_target_is_a_value_error(target: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Request.parse("GET", target, {}, iter(()))
