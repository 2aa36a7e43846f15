"""Progress: bytes on their way, as bars on a terminal and as a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.progress import Progress

EVERY = 10.0
_KILO = 1000
Advance = Callable[[int], None]


class Meter(Protocol):
    """Told what is to come and what has come; safe for threads."""

    def expect(self, size: int) -> None:
        """Count ``size`` bytes more (fewer where it is negative) to the whole."""

    def item(self, name: str, size: int) -> AbstractContextManager[Advance]:
        """Show one thing of ``size`` bytes until the end of the block.

        The block gets a function to call with the number of bytes that came,
        which is negative where they have to come again.
        """


class Position:
    """How far one thing has come, told by place instead of by step."""

    def __init__(self, advance: Advance) -> None:
        """Begin at 0."""
        self._advance = advance
        self._at = 0

    def move(self, place: int) -> None:
        """Be at ``place``, before or behind the last one."""
        self._advance(place - self._at)
        self._at = place


class Silence:
    """Shows nothing."""

    def expect(self, size: int) -> None:
        """Do nothing."""

    @contextlib.contextmanager
    def item(self, name: str, size: int) -> Iterator[Advance]:  # noqa: ARG002 - a Meter's form
        """Do nothing."""
        yield nothing


class Lines:
    """A plain line every ten seconds, for logs."""

    def __init__(
        self, title: str, write: Callable[[str], None], *, clock: Callable[[], float] | None = None
    ) -> None:
        """Write lines that begin with ``title``."""
        self._title, self._write = title, write
        self._clock = clock or time.monotonic
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._started = self._told = self._clock()

    def expect(self, size: int) -> None:
        """Count to the whole."""
        with self._lock:
            self._total += size

    @contextlib.contextmanager
    def item(self, name: str, size: int) -> Iterator[Advance]:  # noqa: ARG002 - a Meter's form
        """Count what comes; one thing alone has no line."""
        yield self._advance

    def _advance(self, size: int) -> None:
        with self._lock:
            self._done += size
            now = self._clock()
            if now - self._told < EVERY:
                return
            self._told = now
            rate = self._done / (now - self._started)
            left = (self._total - self._done) / rate if rate > 0 else 0.0
            text = f"{self._title}: {as_size(self._done)} of {as_size(self._total)}"
            self._write(f"{text}, {as_size(int(rate))}/s, {as_time(left)} left")


class Bars:
    """A bar of the whole and one for each thing under way."""

    def __init__(self, title: str, progress: Progress) -> None:
        """Add bars to ``progress``, which the caller starts and stops."""
        self._progress = progress
        self._lock = threading.Lock()
        self._total = 0
        self._whole = progress.add_task(title, total=0)

    def expect(self, size: int) -> None:
        """Make the whole larger."""
        with self._lock:
            self._total += size
            self._progress.update(self._whole, total=self._total)

    @contextlib.contextmanager
    def item(self, name: str, size: int) -> Iterator[Advance]:
        """Show a bar until the end of the block."""
        task = self._progress.add_task(f"  {name}", total=size)

        def advance(count: int) -> None:
            self._progress.advance(task, count)
            self._progress.advance(self._whole, count)

        try:
            yield advance
        finally:
            self._progress.remove_task(task)


@contextlib.contextmanager
def bars(title: str, terminal: Terminal) -> Iterator[Bars]:
    """Show bars below what is printed on ``terminal`` meanwhile; they vanish at the end."""
    from rich import progress as rich  # noqa: PLC0415 - only for a terminal

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(bar_width=24),
        rich.DownloadColumn(),
        rich.TransferSpeedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=terminal, transient=True) as progress:
        yield Bars(title, progress)


def as_size(size: int) -> str:
    """Return bytes as people read them: 1.2 GB."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < _KILO or unit == "GB":
            break
        value /= _KILO
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def as_time(seconds: float) -> str:
    """Return a time as people read it: 3:05, or 1:02:05."""
    whole = max(int(seconds), 0)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def nothing(_size: int) -> None:
    """Do nothing."""
