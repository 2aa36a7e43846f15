"""Progress: plain lines for logs, bars for terminals."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console as Terminal

from rke2pack import progress
from rke2pack.console import Console
from rke2pack.progress import Bars, Lines, Silence


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_every_ten_seconds_with_rate_and_time_left() -> None:
    clock, told = Clock(), list[str]()
    meter = Lines("pull", told.append, clock=clock)
    meter.expect(3_000_000)
    with meter.item("blob", 3_000_000) as advance:
        for _ in range(3):
            clock.now += 4
            advance(500_000)
        clock.now += 1
        advance(0)
    assert told == ["pull: 1.5 MB of 3.0 MB, 125.0 kB/s, 0:12 left"]


def test_bytes_that_come_again_are_taken_back() -> None:
    clock, told = Clock(), list[str]()
    meter = Lines("pull", told.append, clock=clock)
    meter.expect(2000)
    with meter.item("blob", 2000) as advance:
        advance(1500)
        clock.now += 10
        advance(-1500)
    assert told == ["pull: 0 B of 2.0 kB, 0 B/s, 0:00 left"]


def test_bars_show_the_whole_and_what_is_under_way() -> None:
    written = io.StringIO()
    terminal = Terminal(file=written, force_terminal=True, width=100, color_system=None)
    with progress.bars("pull", terminal) as meter:
        meter.expect(4_000_000)
        with meter.item("example/app [layer]", 3_000_000) as advance:
            advance(1_000_000)
            terminal.print("a line")
    text = written.getvalue()
    assert "a line" in text
    assert "1.0/4.0 MB" in text
    assert "example/app [layer]" in text


def test_console_shows_bars_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with Console().progress("x") as meter:
        assert isinstance(meter, Lines)
    with Console(verbosity=-1).progress("x") as meter:
        assert isinstance(meter, Silence)
        meter.expect(5)
        with meter.item("y", 5) as advance:
            advance(5)
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", written)
    with Console().progress("x") as meter:
        assert isinstance(meter, Bars)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (2_500_000, "2.5 MB"),
        (3 * 10**12, "3000.0 GB"),
    ],
)
def test_sizes_are_short(size: int, text: str) -> None:
    assert progress.as_size(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0:00"), (65.9, "1:05"), (3725, "1:02:05")])
def test_times_are_short(seconds: float, text: str) -> None:
    assert progress.as_time(seconds) == text
