from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from rke2pack.oci.registry.pace import HOUR, Pace


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_no_hour_has_more_requests_than_allowed(clock: Clock) -> None:
    pace = Pace(5, clock=clock, sleep=clock.sleep)
    sent = []
    for _ in range(23):
        pace.take()
        sent.append(clock.now)
        clock.now += 7.0
    assert all(later - first >= HOUR for first, later in zip(sent, sent[5:], strict=False))


def test_free_requests_do_not_count(clock: Clock) -> None:
    pace = Pace(1, clock=clock, sleep=clock.sleep)
    for _ in range(10):
        pace.take(is_free=True)
    pace.take()
    assert clock.waits == []
    pace.take()
    assert clock.waits == [HOUR]


def test_silence_is_for_all(clock: Clock) -> None:
    told: list[float] = []
    pace = Pace(clock=clock, sleep=clock.sleep, notify=told.append)
    pace.silence(9.0)
    pace.silence(4.0)
    pace.take(is_free=True)
    pace.take()
    assert clock.waits == told == [9.0]


def test_stop_ends_a_wait() -> None:
    stopped = threading.Event()
    pace = Pace(1, stopped=stopped)
    pace.take()
    threading.Timer(0.05, stopped.set).start()
    with pytest.raises(CancelledError):
        pace.take()


def test_threads_do_not_exceed_it(clock: Clock) -> None:
    pace = Pace(50, clock=clock, sleep=clock.sleep)
    threads = [threading.Thread(target=pace.take) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.waits == []
    pace.take()
    assert clock.waits == [HOUR]
