from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack import files
from rke2pack.errors import ConfigError, ToolError
from rke2pack.files import Cache


def test_write_makes_folders_and_leaves_no_other_file(tmp_path: Path) -> None:
    files.write(tmp_path / "a" / "b.txt", b"data", durable=True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"data"
    assert (tmp_path / "a" / "b.txt").stat().st_mode & 0o777 == 0o644


def test_an_open_file_is_emptied_and_a_new_one_is_not_truncated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut: list[int] = []
    truncate = os.ftruncate

    def noted(descriptor: int, length: int) -> None:
        cut.append(descriptor)
        truncate(descriptor, length)

    monkeypatch.setattr(os, "ftruncate", noted)
    path = tmp_path / "a.txt"
    for before, cuts in ((b"", 0), (b"old", 1)):
        path.write_bytes(before)
        with path.open("r+b") as file:
            files.empty(file.fileno())
        assert (path.read_bytes(), len(cut)) == (b"", cuts)


def test_write_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_bytes(b"old")
    path.chmod(0o750)
    files.write(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o750


def test_failed_write_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolError) as error:
        files.write(path, b"new", durable=True)
    assert error.value.message == f"cannot write {path}: No space left on device"
    assert error.value.hint == "check permissions and free space of that folder"
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_write_changed_leaves_equal_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert files.write_changed(path, b"one")
    inode = path.stat().st_ino
    assert not files.write_changed(path, b"one")
    assert path.stat().st_ino == inode
    assert files.write_changed(path, b"two")
    assert path.read_bytes() == b"two"


def test_read_text_keeps_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("é\r\nb\n".encode())
    assert files.read_text(tmp_path / "a.txt") == "é\r\nb\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{}: no such file"),
        (b"a\xff", "{}: not UTF-8 text (byte 1)"),
        (bytes(20), "{}: larger than 10 bytes"),
    ],
)
def test_unreadable_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 10)
    path = tmp_path / "a.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        files.read_text(path)
    assert error.value.message == message.format(path)
    assert error.value.hint == ("check the path" if content is None else None)


def test_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r": not a file$"):
        files.read_text(tmp_path)


def test_name_that_is_too_long_is_a_tool_error(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="File name too long"):
        files.read_text(tmp_path / ("a" * 300))
    with pytest.raises(ToolError, match="File name too long"):
        files.write_changed(tmp_path / ("a" * 300), b"")


def test_cache_keeps(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    assert cache.get("a/b") is None
    assert not (tmp_path / "cache").exists()
    cache.put("a/b", b"data")
    assert cache.get("a/b") == b"data"
    assert (tmp_path / "cache" / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28")


def test_cache_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    cache = Cache(tmp_path / "cache")
    with pytest.raises(ToolError) as error:
        cache.get("a/b")
    assert error.value.message == f"cannot read {tmp_path}/cache/a/b: Not a directory"
    assert error.value.hint == "choose another folder with --cache-dir"
    with pytest.raises(ToolError, match=f"^cannot write {tmp_path}/cache/"):
        cache.put("a/b", b"data")
