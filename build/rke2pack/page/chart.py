"""Bars of the history: for each platform a bar a release, stacked by component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rke2pack.page.history import History, Release

WIDTH: Final = 720
HEIGHT: Final = 240
_BOTTOM: Final = 30
_LEFT: Final = 64
_SPARE: Final = 1.08
MAX_BARS: Final = 24
_STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A component's part of a bar; ``color`` numbers the component."""

    component: str
    size: int
    color: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A release; ``step`` is what it has more (or less) than the bar before."""

    release: str
    total: int
    step: int | None
    x: float
    top: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A platform's bars and the lines behind them (value, height)."""

    platform: str
    bars: tuple[Bar, ...]
    lines: tuple[tuple[int, float], ...]


def panels(history: History, colors: Mapping[str, int]) -> tuple[Panel, ...]:
    """Return a panel a platform, of the newest `MAX_BARS` releases that have its archives."""
    return tuple(_panel(history, platform, colors) for platform in history.platforms)


def _panel(history: History, platform: str, colors: Mapping[str, int]) -> Panel:
    every = [each for each in history.releases if each.total(platform)]
    releases = every[-MAX_BARS:]
    top = max((each.total(platform) for each in releases), default=1) * _SPARE
    floor = HEIGHT - _BOTTOM
    slot = (WIDTH - _LEFT) / max(len(releases), 1)
    width = min(slot * 0.62, 84.0)
    order = _order(releases, platform)
    bars, before = [], None
    for number, release in enumerate(releases):
        total = release.total(platform)
        x = _LEFT + slot * number + (slot - width) / 2
        sizes = {name: release.archives[platform].get(name, 0) for name in order}
        pieces = tuple(_pieces(sizes, colors, x=x, width=width, scale=floor / top))
        bars.append(
            Bar(
                release=release.name,
                total=total,
                step=None if before is None else total - before,
                x=round(x + width / 2, 2),
                top=round(floor - total * floor / top, 2),
                pieces=pieces,
            )
        )
        before = total
    lines = tuple((value, round(floor - value * floor / top, 2)) for value in _ticks(top))
    return Panel(platform=platform, bars=tuple(bars), lines=lines)


def _order(releases: Sequence[Release], platform: str) -> tuple[str, ...]:
    """Return the components from the foot of every bar up: the newest's largest first."""
    newest = releases[-1].archives[platform] if releases else {}
    names = {name for each in releases for name in each.archives[platform]}
    return tuple(sorted(names, key=lambda name: (-newest.get(name, 0), name)))


def _pieces(
    sizes: Mapping[str, int], colors: Mapping[str, int], *, x: float, width: float, scale: float
) -> Iterator[Piece]:
    at = float(HEIGHT - _BOTTOM)
    for component, size in sizes.items():
        if not size:
            continue
        height = size * scale
        at -= height
        yield Piece(
            component=component,
            size=size,
            color=colors.get(component, 0),
            x=round(x, 2),
            y=round(at, 2),
            width=round(width, 2),
            height=round(height, 2),
        )


def _ticks(top: float) -> Iterator[int]:
    """Yield about four round values from 0 up."""
    raw, size = max(top / 5, 1.0), 1
    while size * 10 <= raw:
        size *= 10
    step = next((size * each for each in _STEPS if size * each >= raw), size * 10)
    yield from range(0, int(top) + 1, step)
