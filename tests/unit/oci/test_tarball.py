from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.oci.pack import tarball

LIMIT = 8 * 1024**3


@given(st.dictionaries(st.text("abcdef0123/", min_size=1, max_size=90), st.binary(max_size=1500)))
def test_what_is_written_is_what_a_tar_reader_lists(files: dict[str, bytes]) -> None:
    data = b"".join(tarball.member(f"x{name}x", content) for name, content in files.items())
    with tarfile.open(fileobj=io.BytesIO(data + tarball.END)) as tar:
        found = {
            each.name: content.read()
            for each in tar.getmembers()
            if (content := tar.extractfile(each))
        }
        facts = {(m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime, m.type) for m in tar}
    assert found == {f"x{name}x": content for name, content in files.items()}
    assert facts <= {(0o644, 0, 0, "", "", 0, tarfile.REGTYPE)}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, LIMIT - 1, LIMIT, 20 * LIMIT])
def test_any_size_is_read_back(size: int) -> None:
    header = tarball.header("blobs/sha256/" + "0" * 64, size)
    assert len(header) == tarball.BLOCK
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").size == size
    assert (size + len(tarball.padding(size))) % tarball.BLOCK == 0


def test_members_below_8_gib_are_ustar() -> None:
    assert tarball.header("a", LIMIT - 1)[257:265] == b"ustar\x0000"
