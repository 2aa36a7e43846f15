"""Folders that are written and read at once: what does not fit then is nobody's fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack import filelock
from rke2pack.errors import IntegrityError, ToolError
from rke2pack.oci.pack import outfolder


def wrong() -> None:
    msg = "a.tar: is not what the list says"
    raise IntegrityError(msg, details=("b.tar, too",))


def test_what_is_wrong_in_a_quiet_folder_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".writing.lock").touch()  # a killed run's
    with (
        pytest.raises(IntegrityError, match="is not what the list says"),
        outfolder.reading(tmp_path),
    ):
        wrong()


def test_what_is_wrong_while_a_run_writes_is_busy(tmp_path: Path) -> None:
    with (
        outfolder.writing(tmp_path),
        outfolder.writing(tmp_path),
        pytest.raises(ToolError) as error,
        outfolder.reading(tmp_path),
    ):
        wrong()
    assert error.value.message == f"{tmp_path}: another rke2pack is writing to it"
    assert error.value.hint == filelock.HINT
    assert error.value.details == ("a.tar: is not what the list says", "b.tar, too")
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_after_a_file_came_is_busy(tmp_path: Path) -> None:
    def written_and_wrong() -> None:
        with outfolder.writing(tmp_path):
            (tmp_path / "a.tar").touch()
        wrong()

    busy = pytest.raises(ToolError, match="another rke2pack is writing to it")
    with busy, outfolder.reading(tmp_path):
        written_and_wrong()


def test_a_folder_that_gets_nothing_is_not_made(tmp_path: Path) -> None:
    with outfolder.writing(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()
    with outfolder.writing(tmp_path / "out"):
        (tmp_path / "out" / "a.tar").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.tar"]
