from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, ToolError
from rke2pack.oci.pack import outfile

CONTENT = bytes(range(256)) * 10


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, data: bytes = CONTENT, *, max_size: int | None = None) -> list[str]:
    with outfile.opened(path) as out:
        out.write(data)
        return [each.path.name for each in out.finish(max_size=max_size)]


def test_file_gets_its_name_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.tar"
    with outfile.opened(path) as out:
        out.write(CONTENT)
        assert names(path.parent) == [".a.tar.tmp"]
        (written,) = out.finish()
    assert names(path.parent) == ["a.tar"]
    assert path.read_bytes() == CONTENT
    assert (written.path, written.size) == (path, len(CONTENT))
    assert written.digest == Digest.of(CONTENT)
    claims = [written.is_untouched]
    path.write_bytes(CONTENT + b"x")
    claims.append(written.is_untouched)
    path.unlink()
    assert [*claims, written.is_untouched] == [True, False, False]


def test_unfinished_file_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"old")
    with outfile.opened(path) as out:
        out.write(CONTENT)
    assert names(tmp_path) == ["a.tar"]
    assert path.read_bytes() == b"old"


def test_rest_of_a_killed_run_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.tar.tmp").write_bytes(bytes(100_000))
    write(tmp_path / "a.tar")
    assert names(tmp_path) == ["a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == CONTENT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(size=st.integers(0, 5000), max_size=st.integers(100, 6000))
def test_parts_joined_are_the_file(tmp_path: Path, size: int, max_size: int) -> None:
    path = tmp_path / "a.tar"
    data = os.urandom(size)
    found = write(path, data, max_size=max_size)
    assert names(tmp_path) == sorted(found)
    assert b"".join((tmp_path / name).read_bytes() for name in sorted(found)) == data
    assert all((tmp_path / name).stat().st_size <= max_size for name in found)
    assert found == (
        ["a.tar"]
        if size <= max_size
        else [f"a.tar.part{number + 1:02}" for number in range(-(-size // max_size))]
    )


def test_parts_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    assert len(write(tmp_path / "a.tar", max_size=300)) == 9
    assert write(tmp_path / "a.tar", max_size=2000) == ["a.tar.part01", "a.tar.part02"]
    assert names(tmp_path) == ["a.tar.part01", "a.tar.part02"]
    assert write(tmp_path / "a.tar") == ["a.tar"]
    assert names(tmp_path) == ["a.tar"]


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 99 parts of 10 bytes"):
        write(tmp_path / "a.tar", max_size=10)
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [None, errno.EXDEV, errno.ENOSYS])
def test_files_are_copied_with_and_without_the_kernels_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT * 1000)
    if error is not None:

        def refuse(*_arguments: object) -> int:
            raise OSError(error, "no")

        monkeypatch.setattr(os, "copy_file_range", refuse)
    with outfile.opened(tmp_path / "a.tar") as out:
        out.write(b"before")
        out.copy(source, len(CONTENT) * 1000)
        out.write(b"after")
        out.copy(source, 10)
        out.finish()
    expected = b"before" + CONTENT * 1000 + b"after" + CONTENT[:10]
    assert (tmp_path / "a.tar").read_bytes() == expected


def test_source_that_was_cut_short_is_told(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"123")
    with (
        pytest.raises(ToolError, match="the file was cut short"),
        outfile.opened(tmp_path / "a.tar") as out,
    ):
        out.copy(tmp_path / "source", 4)


def test_a_write_that_takes_a_part_only_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "writev", lambda target, buffers: os.write(target, buffers[0][:3]))
    with outfile.opened(tmp_path / "a.tar") as out:
        out.write(b"12345", memoryview(b"67"), bytearray(b"8"))
        (written,) = out.finish()
    assert (tmp_path / "a.tar").read_bytes() == b"12345678"
    assert (written.size, written.digest) == (8, Digest.of(b"12345678"))


def test_a_new_file_is_not_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "ftruncate", refused)
    write(tmp_path / "a.tar")
    assert (tmp_path / "a.tar").exists()


def test_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(ToolError, match=r"cannot write .*\.a\.tar\.tmp: No space left on device"):
        write(tmp_path / "a.tar")
    assert names(tmp_path) == []


def test_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    program = f"""
from pathlib import Path
from rke2pack.errors import ToolError
from rke2pack.oci.pack import outfile
try:
    with outfile.opened(Path({str(path)!r})):
        print("opened")
except ToolError as exc:
    print(exc.message)
"""
    with outfile.opened(path) as out:
        out.write(CONTENT)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        out.finish()
    assert done.stdout == f"{path}: another rke2pack is writing it\n"
    assert path.read_bytes() == CONTENT


def test_the_next_writer_keeps_its_file_when_the_one_before_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    first = outfile.opened(path)
    with first as out:
        out.write(b"first")
        out.finish()
        second = outfile.opened(path)
        other = second.__enter__()
        other.write(CONTENT)
    (written,) = other.finish()
    second.__exit__(None, None, None)
    assert path.read_bytes() == CONTENT
    assert written.is_untouched
    assert names(tmp_path) == ["a.tar"]


def test_what_was_written_is_told_apart_from_what_replaced_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tar"
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        done = real(self, target)
        path.unlink()
        path.write_bytes(b"other")
        os.utime(path, ns=(5, 5))
        return done

    monkeypatch.setattr(Path, "replace", replace)
    with outfile.opened(path) as out:
        out.write(b"first")
        (written,) = out.finish()
    assert not written.is_untouched


def test_claimed_files_are_written_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"old")
    (tmp_path / ".a.tar.part02.tmp").write_bytes(b"of a killed run")
    with outfile.claimed(path):
        assert names(tmp_path) == [".a.tar.tmp", "a.tar"]
        with pytest.raises(ToolError, match="another rke2pack is writing it"), outfile.opened(path):
            pytest.fail("two write it")
    assert names(tmp_path) == ["a.tar"]
    assert path.read_bytes() == b"old"
