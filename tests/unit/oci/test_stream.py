"""A blob on its way: hashed once, read again only from the last mark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ToolError
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry import stream
from rke2pack.oci.registry.stream import BytesOrigin, FileOrigin, Stream

DATA = bytes(range(256)) * 40
BLOB = Descriptor(media_type="a/b", digest=Digest.of(DATA), size=len(DATA))


@dataclass(kw_only=True)
class Source:
    """An origin in pieces that remembers from where it was read."""

    data: bytes = DATA
    piece: int = 100
    starts: list[int] = field(default_factory=list)

    def read(self, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        for place in range(start, len(self.data), self.piece):
            yield self.data[place : place + self.piece]


def opened(source: Source, counted: list[int] | None = None) -> Stream:
    counts = [] if counted is None else counted
    return Stream(BLOB, source, what="it", count=counts.append)


@given(
    st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, 700)), max_size=8),
    st.integers(1, 3000),
    st.integers(50, 5000),
)
def test_parts_are_the_blob_wherever_they_begin(
    jumps: list[tuple[int, int]], piece: int, mark: int
) -> None:
    source = Source(piece=piece)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "_MARK", mark)
        one = opened(source)
        for start, length in jumps:
            end = min(start + length, len(DATA))
            assert b"".join(one.part(start, end - start)) == DATA[start:end]
        assert b"".join(one.part(0, len(DATA))) == DATA


def test_going_back_reads_from_the_last_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_MARK", 1000)
    source = Source()
    one = opened(source)
    assert b"".join(one.part(0, 5500)) == DATA[:5500]
    assert b"".join(one.part(5200, 5040)) == DATA[5200:]
    assert source.starts == [0, 5000]


def test_last_bytes_are_held_back_until_all_are_right() -> None:
    wrong = DATA[:-1] + b"!"
    counted: list[int] = []
    one = opened(Source(data=wrong), counted)
    given_out = bytearray()
    with pytest.raises(IntegrityError, match="it: content is sha256:") as caught:
        given_out.extend(b"".join(one.part(0, len(DATA))))
    assert one.failure is caught.value
    assert sum(counted) < len(DATA)


def test_origin_that_is_too_short_is_an_error() -> None:
    one = opened(Source(data=DATA[:-1]))
    with pytest.raises(IntegrityError, match="it: ends at byte 10239 of 10240"):
        b"".join(one.part(0, len(DATA)))


def test_one_send_is_never_longer_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BLOCK", 64)
    blocks = list(opened(Source(piece=1000)).part(0, len(DATA)))
    assert max(map(len, blocks)) == 64
    assert b"".join(blocks) == DATA


def test_part_can_be_read_a_second_time() -> None:
    part = opened(Source()).part(300, 500)
    assert (part.len, b"".join(part), part.tell()) == (500, DATA[300:800], 500)
    part.seek(0)
    assert b"".join(part) == DATA[300:800]


def test_files_and_bytes_are_origins(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(DATA)
    for origin in (FileOrigin(path=path), BytesOrigin(data=DATA)):
        assert b"".join(origin.read(17)) == DATA[17:]
    with pytest.raises(ToolError, match=f"cannot read {path}"):
        list(FileOrigin(path=tmp_path / "blob2").read(0))
