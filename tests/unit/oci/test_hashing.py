"""Hashing beside reading and writing: the same digests, and an end in every case."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.hashing import Hashing, Trail

MEGABYTE = 1024 * 1024


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("sizes", [[], [0], [1], [MEGABYTE] * 9, [5, 0, 3 * MEGABYTE, 1]])
def test_chunks_give_the_digest_of_all(sizes: list[int]) -> None:
    chunks = [os.urandom(size) for size in sizes]
    with Hashing() as hashing:
        for chunk in chunks:
            hashing.update(chunk)
        assert hashing.digest() == Digest.of(b"".join(chunks))


def test_chunks_that_are_left_end_the_thread() -> None:
    before = threading.active_count()
    with Hashing() as hashing:
        hashing.update(bytes(MEGABYTE))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


@pytest.mark.parametrize("sizes", [[], [1], [MEGABYTE + 1, 2 * MEGABYTE], [10] * 50])
def test_file_is_hashed_while_it_grows(descriptor: int, sizes: list[int]) -> None:
    data = [os.urandom(size) for size in sizes]
    trail = Trail(descriptor)
    trail.start()
    for number, part in enumerate(data):
        os.write(descriptor, part)
        trail.grown(sum(sizes[: number + 1]))
    assert trail.digest() == Digest.of(b"".join(data))
    assert not trail.is_alive()


def test_file_that_is_cut_is_an_error(descriptor: int) -> None:
    trail = Trail(descriptor)
    trail.start()
    trail.grown(10)
    with pytest.raises(OSError, match="cut short"):
        trail.digest()


def test_stop_leaves_the_rest(descriptor: int) -> None:
    trail = Trail(descriptor)
    trail.start()
    trail.stop()
    trail.stop()
    assert not trail.is_alive()
