"""The release's folder: one release at a time, and of the files that were looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rke2pack import filelock
from rke2pack.errors import IntegrityError, ToolError
from rke2pack.files import Cache
from rke2pack.release.asset import Asset
from rke2pack.release.digests import Digests
from rke2pack.release.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    digests = Digests(cache=Cache(tmp_path / "cache"))
    return Folder(path=tmp_path / "release", plan=tmp_path / "plan.json", digests=digests)


def asset(folder: Folder, path: Path) -> Asset:
    size, digest = folder.digests.of(path)
    return Asset(name=path.name, kind="archive", path=path, size=size, digest=digest)


def test_one_release_at_a_time(folder: Folder) -> None:
    with folder.alone(), pytest.raises(ToolError) as error, folder.alone():
        pytest.fail("two releases in one folder")
    assert error.value.message == f"{folder.path}: another rke2pack is making a release there"
    assert error.value.hint == filelock.HINT
    assert [path.name for path in folder.path.parent.iterdir()] == []


@pytest.mark.parametrize("can_link", [True, False])
def test_a_file_that_was_replaced_meanwhile_is_not_taken(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_link: bool
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"looked at")
    known = asset(folder, path)
    path.unlink()
    path.write_bytes(b"another one")
    if not can_link:

        def link(*_arguments: object) -> None:
            raise PermissionError(1, "no links here")

        monkeypatch.setattr(os, "link", link)
    with pytest.raises(IntegrityError) as error:
        folder.take(known)
    assert error.value.message.startswith(f"{path}: changed while the release was made, is sha256:")
    assert error.value.hint == "find out who writes to it, then run this again"
    assert list(folder.path.iterdir()) == []
