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

from rke2pack.oci.coding import FRAME_BYTES, Coding

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


def split(chunks: Iterable[bytes], *, size: int = FRAME_BYTES) -> Iterator[bytearray]:
    """Join chunks to pieces of exactly ``size`` bytes; the last one may be shorter, never empty."""
    piece = bytearray()
    for chunk in chunks:
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

    Holds at most ``workers`` pieces under way, one that waits for them, and one
    being read. An error of a stream ends it.
    """
    waiting: deque[tuple[_Key, Future[bytes] | None]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for job in jobs:
            for piece in split(job.chunks, size=size):
                while sum(future is not None for _, future in waiting) > workers:
                    yield _frame(*waiting.popleft())
                waiting.append((job.key, pool.submit(job.coding.encode, piece)))
                del piece  # the worker drops it as soon as it is done
            waiting.append((job.key, None))
        while waiting:
            yield _frame(*waiting.popleft())


def _frame(key: _Key, future: Future[bytes] | None) -> Frame[_Key]:
    return Frame(key=key, data=None if future is None else future.result())
