from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.oci import wrapping
from rke2pack.oci.coding import Buffer
from rke2pack.oci.pack import content, frames
from rke2pack.oci.pack.frames import Frame, Job


@dataclass(kw_only=True)
class Recorder:
    """A coding that changes nothing and counts."""

    name: str = "plain"
    delays: tuple[float, ...] = ()
    active: int = 0
    most: int = 0
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def encode(self, data: Buffer) -> bytes:
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
            delay = self.delays[self.calls % len(self.delays)] if self.delays else 0
            self.calls += 1
        time.sleep(delay)
        with self.lock:
            self.active -= 1
        return bytes(data)


@given(st.lists(st.binary(max_size=25), max_size=12), st.integers(1, 20))
def test_pieces_are_full_but_the_last(chunks: list[bytes], size: int) -> None:
    found = [bytes(piece) for piece in frames.split(chunks, size=size)]
    assert b"".join(found) == b"".join(chunks)
    assert all(len(piece) == size for piece in found[:-1])
    assert all(0 < len(piece) <= size for piece in found)


@pytest.mark.parametrize(
    ("length", "sizes"),
    [(0, []), (1, [1]), (9, [9]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (21, [10, 10, 1])],
)
def test_boundaries_at_exact_multiples(length: int, sizes: list[int]) -> None:
    assert [len(piece) for piece in frames.split([bytes(length)], size=10)] == sizes
    assert [len(piece) for piece in frames.split([b"x"] * length, size=10)] == sizes


def test_a_chunk_that_is_a_piece_is_not_copied() -> None:
    chunk = bytes(10)
    assert next(iter(frames.split([chunk], size=10))) is chunk
    assert content._READ == wrapping.PIECE_BYTES, "so are the blobs of fast archives"


def test_default_piece_is_32_mib() -> None:
    sizes = [len(piece) for piece in frames.split([bytes(1024 * 1024)] * 65)]
    assert sizes == [2**25, 2**25, 2**20]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_frames_come_in_order_whatever_is_ready_first(workers: int) -> None:
    coding = Recorder(delays=(0.02, 0.0, 0.01))
    jobs = [
        Job(key=number, coding=coding, chunks=[bytes([number, n]) for n in range(3)])
        for number in range(6)
    ]
    found = list(frames.encode(jobs, workers=workers, size=2))
    expected = [
        Frame(key=number, data=data)
        for number in range(6)
        for data in (*(bytes([number, n]) for n in range(3)), None)
    ]
    assert found == expected
    assert coding.most <= workers


def test_empty_job_has_only_its_end() -> None:
    jobs = [Job(key=name, coding=Recorder(), chunks=()) for name in "ab"]
    assert list(frames.encode(jobs)) == [Frame(key="a", data=None), Frame(key="b", data=None)]


def test_no_more_is_read_than_the_workers_need() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"12345678"

    found = frames.encode([Job(key=0, coding=Recorder(), chunks=endless())], workers=2, size=8)
    for taken in range(1, 20):
        next(found)
        assert read <= taken + 3
    found.close()


def test_small_pieces_do_not_wait_behind_a_large_one() -> None:
    small = [bytes([number]) for number in range(1, 9)]
    done: list[bytes] = []
    all_done = threading.Event()
    waited: list[bool] = []

    class Slow:
        name = "slow"

        def encode(self, data: Buffer) -> bytes:
            if len(data) > 1:
                waited.append(all_done.wait(10))
            else:
                done.append(bytes(data))
            if done == small:
                all_done.set()
            return bytes(data)

    jobs = [Job(key=0, coding=Slow(), chunks=[chunk]) for chunk in (b"12345678", *small)]
    found = [frame.data for frame in frames.encode(jobs, workers=2, size=8)]
    assert [data for data in found if data] == [b"12345678", *small]
    assert waited == [True]


def test_what_is_done_does_not_wait_for_a_job_that_is_long_in_coming() -> None:
    yielded: list[object] = []

    def jobs() -> Iterator[Job[int]]:
        yield Job(key=1, coding=Recorder(), chunks=[b"1"])
        time.sleep(0.2)
        yield Job(key=2, coding=Recorder(), chunks=[b"2"])
        assert Frame(key=1, data=b"1") in yielded
        yield Job(key=3, coding=Recorder(), chunks=[b"3"])

    for frame in frames.encode(jobs(), workers=2, size=8):
        yielded.append(frame)  # noqa: PERF402 - seen by the jobs
    assert [frame.data for frame in yielded if isinstance(frame, Frame) and frame.data] == [
        b"1", b"2", b"3"
    ]  # fmt: skip


def test_what_waits_for_a_worker_is_not_done_for_work_that_is_over() -> None:
    coding = Recorder(delays=(0.2,))
    found = frames.encode(
        [Job(key=n, coding=coding, chunks=[b"x"]) for n in range(8)], workers=1, size=8
    )
    assert next(found).data == b"x"
    found.close()
    assert coding.calls <= 2


def test_error_of_a_stream_ends_the_work() -> None:
    def broken() -> Iterator[bytes]:
        yield b"12345678"
        msg = "broken"
        raise ValueError(msg)

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        list(frames.encode([Job(key=0, coding=Recorder(), chunks=broken())], size=4))
    assert threading.active_count() == before
