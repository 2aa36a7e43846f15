"""Whatever an archive holds, it is an error of ours or a failed check, never a bug."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rke2pack.errors import PackError
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake import take as intake
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import nodeimport
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.checks import Verified
from tests.unit.oci.archives import BASE, OWN, as_json, blob, image_files, tar, write

FILES = image_files(BASE, OWN)
WHOLE = tar(FILES.items())
MANIFEST = json.loads(FILES["index.json"])["manifests"][0]
KEYS = st.sampled_from(
    ["manifests", "mediaType", "digest", "size", "config", "layers", "schemaVersion", "platform",
     "annotations", "os", "architecture", "rootfs", "diff_ids", "Config", "RepoTags", "Layers",
     "imageLayoutVersion", "version", "base", "target", "images", "name", "sha256", "needs"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**70) | st.text(max_size=5) | st.just("a/b"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def verify(path: Path) -> Verified:
    found = verifyarchive.verify(scans.scan(archivefile.find(path)))
    list(nodeimport.imported(found, "registry.example.com"))
    list(nodeimport.findings(found))
    return found


def is_failed(found: Verified) -> bool:
    return any(each.status == "failed" for each in found.results)


def take_in(folder: Path, path: Path) -> bool:
    """Take an archive in; whether that was refused."""
    with contextlib.suppress(PackError):
        intake.take_in(Layout.open(folder), path)
        return False
    return True


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@many
@given(
    places=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=5
    )
)
def test_any_bytes_changed(folder: Path, places: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for position, value in places:
        data[position] = value
    path = write(folder / "a.tar", bytes(data))
    if not is_failed(verify(path)):
        assert not take_in(folder / "store", path)


@many
@given(
    data=st.binary(max_size=3000), start=st.sampled_from([b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
)
def test_any_bytes_at_all(folder: Path, data: bytes, start: bytes) -> None:
    path = write(folder / "a.bin", start + data)
    with contextlib.suppress(PackError):
        assert is_failed(verify(path))
    assert take_in(folder / "store", path)


@many
@given(
    name=st.sampled_from(
        ["oci-layout", "index.json", "manifest.json", "delta.json", MANIFEST["digest"][7:]]
    ),
    document=JSON,
)
def test_any_json_in_any_place(folder: Path, name: str, document: Any) -> None:  # noqa: ANN401 - any JSON
    files = dict(FILES)
    data = as_json(document)
    if len(name) == 64:
        own, _ = blob(data)
        listed = {**MANIFEST, "digest": f"sha256:{own[13:]}", "size": len(data)}
        index = {"schemaVersion": 2, "manifests": [listed]}
        files |= {own: data, "index.json": as_json(index)}
    else:
        files[name] = data
    path = write(folder / "a.tar", tar(files.items()))
    found = verify(path)
    refused = take_in(folder / "store", path)
    if refused:
        assert is_failed(found)


@many
@given(
    files=st.dictionaries(
        st.sampled_from(["oci-layout", "index.json", "manifest.json", "repositories", "a.json"]),
        JSON,
        max_size=4,
    )
)
def test_any_documents_without_blobs(folder: Path, files: dict[str, Any]) -> None:
    path = write(folder / "a.tar", tar((name, as_json(each)) for name, each in files.items()))
    found = verify(path)
    take_in(folder / "store", path)
    assert is_failed(found)
