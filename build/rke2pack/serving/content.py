"""Content: the answer to a GET of something that is there (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from rke2pack.serving.message import Answer, FilePart, Request

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*\Z", re.ASCII)


def content(
    request: Request, body: bytes | FilePart, *, tag: str, headers: Mapping[str, str]
) -> Answer:
    """Answer with ``body``, or a range of it, or 304 where the client knows ``tag``.

    One range alone is honoured; several, and what is no range, give the whole.
    ``If-Range`` holds only with the same tag.
    """
    quoted = f'"{tag}"'
    own = {**headers, "ETag": quoted, "Accept-Ranges": "bytes"}
    known = {each.strip().removeprefix("W/") for each in _header(request, "if-none-match")}
    if known & {quoted, "*"}:
        _close(body)
        return Answer(status=HTTPStatus.NOT_MODIFIED, headers=own)
    whole = Answer(status=HTTPStatus.OK, headers=own, body=body)
    match = _RANGE.match(request.headers.get("range", ""))
    if match is None or request.method != "GET":
        return whole
    if request.headers.get("if-range", quoted) != quoted:
        return whole
    return _ranged(whole, match)


def _ranged(whole: Answer, match: re.Match[str]) -> Answer:
    size = len(whole.body)
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return whole
    if start >= size or start >= end:
        _close(whole.body)
        headers = {"Content-Range": f"bytes */{size}"}
        return Answer(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    part: bytes | FilePart
    match whole.body:
        case FilePart() as file:
            part = file.part(start, end - start)
        case bytes() as data:
            part = data[start:end]
    headers = {**whole.headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return replace(whole, status=HTTPStatus.PARTIAL_CONTENT, headers=headers, body=part)


def _header(request: Request, name: str) -> list[str]:
    return request.headers.get(name, "").split(",")


def _close(body: bytes | FilePart) -> None:
    if isinstance(body, FilePart):
        body.close()
