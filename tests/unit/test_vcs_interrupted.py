"""Ctrl-C while git's package is imported, which takes a while, is Ctrl-C and no bug."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.vcs import history
from rke2pack.vcs.checkout import Checkout


class Interrupting:
    """Finds git, and is interrupted."""

    def find_spec(self, name: str, *_where: object) -> None:
        if name == "git":
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "work",
    [
        Checkout,
        history.History,
        history.tag_before,
        lambda folder: history.read_at(folder, "HEAD", "a"),
    ],
)
def test_interrupted_import_stays_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Path], object]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "git"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path)
