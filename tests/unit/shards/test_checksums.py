"""Sums beside archives: several runs keep each other's lines, and vouch for their own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack import filelock
from rke2pack.digest import Digest
from rke2pack.errors import ToolError
from rke2pack.oci.pack.outfile import Written
from rke2pack.shards import checksums


def written(folder: Path, name: str, data: bytes) -> Written:
    path = folder / name
    path.write_bytes(data)
    times = path.stat().st_mtime_ns
    return Written(path=path, size=len(data), digest=Digest.of(data), mtime_ns=times)


def line(each: Written) -> str:
    return f"{each.digest.hex}  {each.path.name}\n"


def test_lines_of_other_files_stay(tmp_path: Path) -> None:
    one, other = written(tmp_path, "a.tar", b"a"), written(tmp_path, "b.tar", b"b")
    checksums.write(tmp_path, {"amd64": [one]})
    checksums.write(tmp_path, {"amd64": [other]})
    assert (tmp_path / "sha256sum-amd64.txt").read_text() == line(one) + line(other)
    one.path.unlink()
    checksums.write(tmp_path, {"amd64": [other]})
    assert (tmp_path / "sha256sum-amd64.txt").read_text() == line(other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "sha256sum-amd64.txt"]


def test_a_line_is_not_written_beside_a_file_of_another_run(tmp_path: Path) -> None:
    mine = [written(tmp_path, name, b"mine") for name in ("a.tar", "b.tar", "c.tar")]
    theirs = written(tmp_path, "b.tar", b"theirs")
    checksums.write(tmp_path, {"amd64": [theirs]})
    (tmp_path / "c.tar").unlink()
    with pytest.raises(ToolError) as error:
        checksums.write(tmp_path, {"amd64": mine})
    assert error.value.message == f"{theirs.path}: another rke2pack has replaced it meanwhile"
    assert error.value.details == (str(tmp_path / "c.tar"),)
    assert error.value.hint == filelock.HINT
    assert (tmp_path / "sha256sum-amd64.txt").read_text() == line(mine[0]) + line(theirs)


def test_the_same_bytes_by_another_run_are_as_good(tmp_path: Path) -> None:
    mine = written(tmp_path, "a.tar", b"same")
    mine.path.unlink()
    written(tmp_path, "a.tar", b"same")
    checksums.write(tmp_path, {"amd64": [mine]})
    assert (tmp_path / "sha256sum-amd64.txt").read_text() == line(mine)


def test_who_writes_at_the_same_time_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "_PAUSES", 1)
    one = written(tmp_path, "a.tar", b"a")
    lock = tmp_path / ".sha256sum-amd64.txt.lock"
    with filelock.held(lock, busy=""), pytest.raises(ToolError) as error:
        checksums.write(tmp_path, {"amd64": [one]})
    assert error.value.message == (
        f"{tmp_path / 'sha256sum-amd64.txt'}: another rke2pack is writing it"
    )
