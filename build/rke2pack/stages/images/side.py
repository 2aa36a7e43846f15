"""Work on many images side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rke2pack.errors import PackError
from rke2pack.oci.completion import as_ready
from rke2pack.oci.registry.access import Access

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


def side_by_side(
    access: Access, jobs: int, items: Iterable[_Item], work: Callable[[_Item], _Found]
) -> Iterator[tuple[_Item, _Found | PackError]]:
    """Yield each item with what ``work`` found, or its error, as they are ready.

    When the caller stops early, requests under way are ended.
    """
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="image")
    try:
        pending = {pool.submit(work, item): item for item in items}
        for future in as_ready(pending):
            try:
                yield pending[future], future.result()
            except PackError as exc:
                yield pending[future], exc
    except BaseException:
        access.stopped.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
