"""Folders for one run: what killed runs left goes, what others use or remove stays theirs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rke2pack.oci.store import shortlived
from rke2pack.oci.store.layout import Layout


def old(cache: Path, name: str) -> Path:
    layout = Layout.open(cache / name)
    with layout.in_use():
        pass
    os.utime(layout.root, (0, 0))
    return layout.root


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    left = old(tmp_path, "mirror-old")
    with shortlived.folder(tmp_path, prefix="mirror-") as root:
        assert [path.name for path in tmp_path.iterdir()] == [root.name]
    assert not left.exists()
    assert not root.exists()


def test_what_another_run_uses_stays(tmp_path: Path) -> None:
    used = old(tmp_path, "mirror-used")
    with Layout(used).in_use(), shortlived.folder(tmp_path, prefix="mirror-"):
        assert used.is_dir()


@pytest.mark.parametrize("moment", ["stat", "alone"])
def test_what_another_run_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    left = old(tmp_path, "mirror-old")
    real_glob, real_rmtree = Path.glob, shutil.rmtree

    def glob(self: Path, pattern: str) -> list[Path]:
        found = list(real_glob(self, pattern))
        if moment == "stat":
            real_rmtree(left)
        return found

    def rmtree(path: Path, *, ignore_errors: bool = False) -> None:
        if path == left:
            real_rmtree(path)
        real_rmtree(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(Path, "glob", glob)
    monkeypatch.setattr(shortlived, "rmtree", rmtree)
    with shortlived.folder(tmp_path, prefix="mirror-") as root:
        assert root.is_dir()
    assert not left.exists()
