from __future__ import annotations

import os
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.files import Cache
from rke2pack.oci.coding import Gzip, Zstd
from rke2pack.oci.pack.framecache import Entry, FrameCache

LAYER = Digest.of(b"layer")
DAY = 86_400.0


@pytest.fixture
def cache(tmp_path: Path) -> FrameCache:
    return FrameCache(cache=Cache(tmp_path))


def keep(cache: FrameCache, *frames: bytes) -> Entry:
    with cache.growing(Zstd(level=9), LAYER) as growing:
        for frame in frames:
            growing.write(frame)
        return cache.keep(Zstd(level=9), LAYER, growing, raw_size=99)


def test_what_is_kept_is_found_under_the_same_coding_alone(cache: FrameCache) -> None:
    entry = keep(cache, b"one", b"two")
    assert entry.path.read_bytes() == b"onetwo"
    assert (entry.size, entry.raw_size) == (6, 99)
    assert cache.find(Zstd(level=9), LAYER) == entry
    for other in (Zstd(level=16), Gzip(level=9)):
        assert cache.find(other, LAYER) is None
    assert cache.find(Zstd(level=9), Digest.of(b"")) is None


def test_damaged_or_incomplete_entries_are_not_found(cache: FrameCache) -> None:
    for wrong in (b"onetwX", b"onetw", b""):
        keep(cache, b"onetwo").path.write_bytes(wrong)
        assert cache.find(Zstd(level=9), LAYER) is None
    keep(cache, b"onetwo").path.unlink()
    assert cache.find(Zstd(level=9), LAYER) is None
    for wrong in (b"", b"[]", b"{}", b'{"size": "x", "raw_size": 1, "sha256": ""}'):
        keep(cache, b"onetwo").path.with_suffix(".json").write_bytes(wrong)
        assert cache.find(Zstd(level=9), LAYER) is None
    assert cache.find(Zstd(level=9), LAYER) != keep(cache, b"onetwo")


def test_interrupted_frames_leave_nothing(cache: FrameCache, tmp_path: Path) -> None:
    with cache.growing(Zstd(level=9), LAYER) as growing:
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
    assert cache.find(Zstd(level=9), LAYER) is None


def test_use_makes_an_entry_young(cache: FrameCache) -> None:
    entry = keep(cache, b"onetwo")
    for path in (entry.path, entry.path.with_suffix(".json")):
        os.utime(path, (0, 0))
    assert cache.find(Zstd(level=9), LAYER) == entry
    assert cache.prune(now=entry.path.stat().st_mtime, days=1) == 0
    assert cache.find(Zstd(level=9), LAYER) == entry
