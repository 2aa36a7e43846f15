"""Completion: what is done first comes first, and Ctrl-C is seen while nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

_Result = TypeVar("_Result")
# A signal that comes just before a wait without end is not seen in it (Python's own
# `as_completed` waits so): this is how long it then takes.
_TICK = 0.25


def as_ready(futures: Iterable[Future[_Result]]) -> Iterator[Future[_Result]]:
    """Yield the futures as they are done, each once."""
    ready: SimpleQueue[Future[_Result]] = SimpleQueue()
    count = 0
    for future in futures:
        future.add_done_callback(ready.put)
        count += 1
    for _ in range(count):
        yield _next(ready)


def _next(ready: SimpleQueue[Future[_Result]]) -> Future[_Result]:
    while True:
        try:
            return ready.get(timeout=_TICK)
        except Empty:
            continue
