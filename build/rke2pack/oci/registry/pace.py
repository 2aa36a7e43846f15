"""Pace: how often a registry may be asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError

HOUR = 3600.0


class Pace:
    """At most ``per_hour`` requests in any hour, and none while the host wants silence.

    Shared by the threads of one client. The hour is counted from this
    process's own requests.
    """

    def __init__(
        self,
        per_hour: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        stopped: threading.Event | None = None,
        sleep: Callable[[float], None] | None = None,
        notify: Callable[[float], None] | None = None,
    ) -> None:
        """End every wait when ``stopped`` is set; tell ``notify`` of waits, in seconds."""
        self.stopped = stopped or threading.Event()
        self._sleep = sleep or self.stopped.wait
        self._clock = clock
        self._per_hour = per_hour
        self._notify = notify or (lambda _: None)
        self._sent: deque[float] = deque(maxlen=per_hour)
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def take(self, *, is_free: bool = False) -> None:
        """Wait for one request's turn; a free one waits for silence only.

        Raises CancelledError where the work was stopped.
        """
        while True:
            self.check()
            with self._lock:
                now = self._clock()
                wait = self._silent_until - now
                if not is_free and self._per_hour and len(self._sent) == self._per_hour:
                    wait = max(wait, self._sent[0] + HOUR - now)
                if wait <= 0:
                    if not is_free and self._per_hour:
                        self._sent.append(now)
                    return
            self.sleep(wait)

    def silence(self, seconds: float) -> None:
        """Send nothing for so long, as Retry-After asks."""
        with self._lock:
            self._silent_until = max(self._silent_until, self._clock() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait; raises CancelledError where the work was stopped meanwhile."""
        self._notify(seconds)
        self.pause(seconds)

    def pause(self, seconds: float) -> None:
        """Wait as `sleep` does, for what nobody needs to be told of."""
        self._sleep(seconds)
        self.check()

    def check(self) -> None:
        """Raise CancelledError where the work was stopped."""
        if self.stopped.is_set():
            raise CancelledError
