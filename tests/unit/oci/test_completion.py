from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from rke2pack.oci.completion import as_ready


def test_what_is_done_first_comes_first() -> None:
    first, second, third = futures = [Future[str]() for _ in range(3)]
    third.set_result("third")
    found = as_ready(futures)
    assert next(found) is third
    second.set_result("second")
    assert next(found) is second
    threading.Timer(0.3, first.set_result, ("first",)).start()
    assert [each.result() for each in found] == ["first"]


def test_every_future_comes_once_with_its_error() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(as_ready([pool.submit(divmod, 1, n % 3) for n in range(300)]))
    assert len({id(each) for each in found}) == 300
    failed = [each for each in found if each.exception()]
    assert len(failed) == 100
    with pytest.raises(ZeroDivisionError):
        failed[0].result()


def test_nothing_comes_of_nothing() -> None:
    assert list(as_ready([])) == []
