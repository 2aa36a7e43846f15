"""Trees with a cache in the lab that is open, for the command lines of a race."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from rke2pack.settings import Settings
from tests.chaos.scenarios import Bench, copied
from tests.integration.concurrency.racing import alone


def words(bench: Bench, *command: str) -> tuple[str, ...]:
    """Return what ``rke2pack`` is told in a bench."""
    return tuple(bench.call(*command)[3:])


class Benches:
    """Makes benches in the lab; those of `filled` begin with what ``before`` has made."""

    def __init__(self, lab: Settings, folder: Path, before: Iterable[tuple[str, ...]]) -> None:
        self._lab, self._folder, self._before = lab, folder, tuple(before)
        self._number = 0
        self._filled: Bench | None = None

    def new(self) -> Bench:
        self._number += 1
        return copied(self._lab, self._folder / str(self._number), self._number)

    def filled(self) -> Bench:
        if self._filled is None:
            self._filled = self.new()
            for command in self._before:
                alone(*words(self._filled, *command))
        bench = self.new()
        shutil.rmtree(bench.tree)
        shutil.copytree(self._filled.root, bench.root, dirs_exist_ok=True)
        return bench
