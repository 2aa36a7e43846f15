"""A delta is verified with its base, and by what its note says."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.deltanote import DeltaImage, DeltaNote, Whole
from tests.unit.oci.archives import (
    BASE,
    NAME,
    OWN,
    blob,
    image_files,
    tar,
    write,
)
from tests.unit.oci.verifying import (
    LISTED,
    content,
    failed,
    states,
    verified,
    verify,
)


def delta(folder: Path, base: Path) -> Path:
    """An archive without its first layer, which ``base`` has."""
    files = image_files(BASE, OWN)
    del files[blob(BASE)[0]], files["manifest.json"]
    data = base.read_bytes()
    own = Whole(name=base.name, digest=Digest.of(data), size=len(data))
    needs = ((Digest.of(BASE), len(BASE)),)
    image = DeltaImage(name=NAME, manifest=Digest.of(LISTED), needs=needs)
    note = {"delta.json": bytes(DeltaNote(base=own, target=own, images=(image,)))}
    return write(folder / "a.linux-amd64_delta-0.tar", tar({**note, **files}.items()))


def test_delta_is_whole_only_with_its_base(tmp_path: Path) -> None:
    base = write(tmp_path / "base.tar", tar(image_files(BASE).items()))
    path = delta(tmp_path, base)
    wrong, digest = failed(verify(path)), Digest.of(base.read_bytes())
    assert wrong == {
        "complete": [f"a delta: 1 blob comes from base.tar ({digest}); name it with --base"]
    }
    found = verify(path, base)
    assert failed(found) == {}
    assert states(found)["docker"] == "skipped"
    assert found.findings == ()
    other = write(tmp_path / "other.tar", tar(image_files(OWN).items()))
    (detail,) = failed(verify(path, other))["complete"]
    assert detail == f"{Digest.of(BASE)} is neither here nor in the base base.tar"
    same = write(tmp_path / "same.tar.gz", tar(image_files(BASE).items()))
    assert [each.check for each in verify(path, same).findings] == ["other-base"]


BROKEN_NOTES = (
    b"{}",
    b'{"version":2}',
    b"{",
    b'{"version":1,"base":[],"target":{},"images":[]}',
    b'{"version":1,"base":{"name":1,"sha256":"","size":0},"target":{},"images":[]}',
)


@pytest.mark.parametrize("note", BROKEN_NOTES)
def test_delta_with_a_broken_note_fails(tmp_path: Path, note: bytes) -> None:
    files = {**image_files(BASE), "delta.json": note}
    assert "documents" in failed(verified(tmp_path, files))


def test_note_that_does_not_say_what_the_delta_needs_fails(tmp_path: Path) -> None:
    base = write(tmp_path / "base.tar", tar(image_files(BASE).items()))
    path = delta(tmp_path, base)
    with tarfile.open(path) as opened:
        files = [(m.name, content(opened, m)) for m in opened]
    note = dict(files)["delta.json"].replace(
        b'"size": %d' % len(BASE), b'"size": %d' % (len(BASE) + 1)
    )
    changed = [(name, note if name == "delta.json" else content) for name, content in files]
    wrong = failed(verify(write(path, tar(changed)), base))
    assert wrong == {"complete": ["delta.json does not name what the delta needs"]}
