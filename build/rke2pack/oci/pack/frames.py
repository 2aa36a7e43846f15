"""Frames: streams cut into pieces of at most 32 MiB, each encoded on its own.

Independent pieces are what makes the result the same however many workers
there are, and what lets a layer's frames be kept and used again elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from rke2pack.oci.coding import FRAME_BYTES, Buffer, Coding

WORKERS = 2
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[_Key]):
    """A stream to encode; it is read when its turn comes."""

    key: _Key
    coding: Coding
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Generic[_Key]):
    """One frame of a job; ``data`` is None after the job's last one."""

    key: _Key
    data: bytes | None


def split(chunks: Iterable[bytes], *, size: int = FRAME_BYTES) -> Iterator[Buffer]:
    """Join chunks to pieces of exactly ``size`` bytes; the last one may be shorter, never empty."""
    piece = bytearray()
    for chunk in chunks:
        if not piece and len(chunk) == size:  # as it is, not copied
            yield chunk
            continue
        rest = memoryview(chunk)
        while len(piece) + len(rest) >= size:
            room = size - len(piece)
            piece += rest[:room]
            rest = rest[room:]
            yield piece
            piece = bytearray()
        piece += rest
    if piece:
        yield piece


def encode(
    jobs: Iterable[Job[_Key]], *, workers: int = WORKERS, size: int = FRAME_BYTES
) -> Generator[Frame[_Key]]:
    """Yield the frames of all jobs in order, then for each job one without data.

    Holds as much as ``workers`` whole pieces under way, one that waits for them,
    and one being read; of smaller pieces more of them. An error of a stream ends it.
    """
    waiting: deque[_Turn[_Key]] = deque()
    held = 0
    pool = ThreadPoolExecutor(workers)
    try:
        for job in jobs:
            for piece in split(job.chunks, size=size):
                while held > workers * size:
                    turn = waiting.popleft()
                    held -= turn.length
                    yield turn.frame()
                length = len(piece)
                future = pool.submit(job.coding.encode, piece)
                waiting.append(_Turn(key=job.key, length=length, future=future))
                held += length
                del piece  # the worker drops it as soon as it is done
            waiting.append(_Turn(key=job.key))
            while waiting and waiting[0].is_done:  # the next job may be long in coming
                turn = waiting.popleft()
                held -= turn.length
                yield turn.frame()
        while waiting:
            yield waiting.popleft().frame()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn(Generic[_Key]):
    """A piece of ``length`` bytes under way, or the end of a job."""

    key: _Key
    length: int = 0
    future: Future[bytes] | None = None

    @property
    def is_done(self) -> bool:
        """Whether `frame` waits for nothing."""
        return self.future is None or self.future.done()

    def frame(self) -> Frame[_Key]:
        """Wait for it."""
        return Frame(key=self.key, data=None if self.future is None else self.future.result())
