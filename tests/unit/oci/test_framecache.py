from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.files import Cache
from rke2pack.oci.coding import Coding, Gzip, Zstd
from rke2pack.oci.pack.framecache import Entry, FrameCache

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LAYER = Digest.of(b"layer")
CODING = Zstd(level=9)
DAY = 86_400.0


@pytest.fixture
def cache(tmp_path: Path) -> FrameCache:
    return FrameCache(cache=Cache(tmp_path))


def keep(cache: FrameCache, *pieces: bytes, coding: Coding = CODING) -> Entry:
    with cache.growing(coding, LAYER) as growing:
        for piece in pieces:
            growing.write(coding.encode(piece))
        return cache.keep(coding, LAYER, growing, raw_size=sum(map(len, pieces)))


@pytest.mark.parametrize("coding", [CODING, Gzip(level=6)], ids=["zstd", "gzip"])
@pytest.mark.parametrize("sizes", [(), (1,), (255, 256), (65_535, 65_536, 70_000), (33_554_432, 3)])
def test_what_is_kept_is_found_under_the_same_coding_alone(
    cache: FrameCache, coding: Coding, sizes: tuple[int, ...]
) -> None:
    pieces = [bytes(size) for size in sizes]
    entry = keep(cache, *pieces, coding=coding)
    assert entry.path.read_bytes() == b"".join(map(coding.encode, pieces))
    assert (entry.size, entry.raw_size) == (entry.path.stat().st_size, sum(sizes))
    assert cache.find(coding, LAYER) == entry
    for other in (Zstd(level=16), Gzip(level=9)):
        assert cache.find(other, LAYER) is None
    assert cache.find(coding, Digest.of(b"")) is None


@pytest.mark.parametrize(
    "change",
    [
        {"raw_size": 7},
        {"raw_size": "six"},
        {"raw_size": float("inf")},
        {"coding": "zstd-1"},
        {"digest": str(Digest.of(b"other"))},
        {"frames": [1]},
        {"frames": None},
        {"frames": [2**70, -(2**70)]},
    ],
    ids=str,
)
def test_entry_that_says_something_else_than_its_frames_is_not_found(
    cache: FrameCache, change: dict[str, object]
) -> None:
    note = keep(cache, b"onetwo").path.with_suffix(".json")
    known = json.loads(note.read_bytes())
    for wrong in (change, {**change, "size": 0}):
        note.write_text(json.dumps(known | wrong))
        assert cache.find(CODING, LAYER) is None
    note.write_text(json.dumps(known))
    assert cache.find(CODING, LAYER) is not None


def test_entry_of_another_layer_is_not_found(cache: FrameCache) -> None:
    entry = keep(cache, b"onetwo")
    other = Digest.of(b"other")
    for path in (entry.path, entry.path.with_suffix(".json")):
        path.rename(path.with_stem(other.hex))
    assert cache.find(CODING, other) is None


def test_bytes_that_are_no_frames_are_not_found(cache: FrameCache) -> None:
    options: dict[int, int] = {zstd.CompressionParameter.content_size_flag: 0}
    unsaid = zstd.compress(b"onetwo", options=options)
    for data in (b"onetwo", b"", b"\x28\xb5\x2f\xfd", unsaid):
        with cache.growing(CODING, LAYER) as growing:
            growing.write(data)
            cache.keep(CODING, LAYER, growing, raw_size=6)
        assert cache.find(CODING, LAYER) is None


def test_damaged_or_incomplete_entries_are_not_found(cache: FrameCache) -> None:
    good = CODING.encode(b"onetwo")
    for wrong in (good[:6] + b"X" + good[7:], good[:-1], b""):
        keep(cache, b"onetwo").path.write_bytes(wrong)
        assert cache.find(CODING, LAYER) is None
    keep(cache, b"onetwo").path.unlink()
    assert cache.find(CODING, LAYER) is None
    for wrong in (b"", b"[]", b"{}", b'{"size": "x", "raw_size": 1, "sha256": ""}'):
        keep(cache, b"onetwo").path.with_suffix(".json").write_bytes(wrong)
        assert cache.find(CODING, LAYER) is None
    entry = keep(cache, b"onetwo")
    assert cache.find(CODING, LAYER) == entry


def test_interrupted_frames_leave_nothing(cache: FrameCache, tmp_path: Path) -> None:
    with cache.growing(CODING, LAYER) as growing:
        growing.write(b"one")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_entries_that_nobody_uses_are_removed(cache: FrameCache) -> None:
    entry = keep(cache, b"onetwo")
    for path in (entry.path, entry.path.with_suffix(".json")):
        os.utime(path, (0, 0))
    rest = entry.path.with_name("killed.tmp")
    rest.write_bytes(b"12")
    os.utime(rest, (29 * DAY, 29 * DAY))
    assert cache.prune(now=30 * DAY, days=30) == 0
    assert cache.prune(now=30.5 * DAY, days=31) == 2
    assert not rest.exists()
    assert cache.prune(now=30.5 * DAY, days=30) > 6
    assert cache.find(CODING, LAYER) is None


def test_use_makes_an_entry_young(cache: FrameCache) -> None:
    entry = keep(cache, b"onetwo")
    for path in (entry.path, entry.path.with_suffix(".json")):
        os.utime(path, (0, 0))
    assert cache.find(CODING, LAYER) == entry
    assert cache.prune(now=entry.path.stat().st_mtime, days=1) == 0
    assert cache.find(CODING, LAYER) == entry


def test_file_that_another_run_removes_meanwhile_is_no_failure(cache: FrameCache) -> None:
    folder = keep(cache, b"onetwo").path.parent
    (folder / "gone.tmp").symlink_to("nowhere")
    assert cache.prune(now=0.0, days=30) == 0
