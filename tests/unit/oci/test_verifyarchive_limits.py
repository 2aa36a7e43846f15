"""No archive takes verify more than its ceilings: bytes, documents, images, time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import coding, media
from rke2pack.oci.intake import archivefile
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify import view as archiveview
from tests.unit.oci.archives import (
    BASE,
    OWN,
    as_json,
    blob,
    config,
    described,
    docker_listing,
    image_files,
    index,
    tar,
    write,
)
from tests.unit.oci.imaging import Packing, packed
from tests.unit.oci.verifying import (
    FILE,
    LISTED,
    Files,
    failed,
    verified,
    verify,
    with_layers,
)


def test_layer_that_unpacks_to_too_much_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = packed(bytes(30_000_000), "gzip")
    path = write(tmp_path / FILE, tar(dict(with_layers(bomb, OWN)({})).items()))
    monkeypatch.setattr(archivefile, "FREE_BYTES", 1_000_000)
    monkeypatch.setattr(archivefile, "MAX_RATIO", 100)
    (detail,) = failed(verify(path))["readable"]
    assert "bytes unpack to more than" in detail


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_members_have_one_budget_also_those_that_nothing_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: Packing
) -> None:
    bombs = [packed(bytes([number]) * 400_000, packing) for number in range(4)]
    more = {f"extra{number}": data for number, data in enumerate(bombs)}
    path = write(tmp_path / FILE, tar({**image_files(BASE), **more}.items()))
    monkeypatch.setattr(archivefile, "MAX_RATIO", 1)
    monkeypatch.setattr(archivefile, "FREE_BYTES", 1_700_000)
    assert failed(verify(path)) == {}
    monkeypatch.setattr(archivefile, "FREE_BYTES", 1_500_000)
    found = verify(path)
    assert list(failed(found)) == ["readable"]
    assert "bytes unpack to more than 1500000" in failed(found)["readable"][0]
    assert found.scan.whole == Digest.of(path.read_bytes())


def test_scan_ends_when_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    file = archivefile.find(write(tmp_path / FILE, tar(image_files(BASE).items())))
    assert scans.scan(file, stop).error is None
    stop.set()
    with pytest.raises(CancelledError):
        scans.scan(file, stop)


def test_stop_is_seen_while_a_member_unpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, count = threading.Event(), 0
    gunzipped = coding.gunzipped

    def stopping(*given: Any, **named: Any) -> Iterator[bytes]:  # noqa: ANN401 - of gunzipped
        nonlocal count
        for chunk in gunzipped(*given, **named):
            stop.set()
            count += 1
            yield chunk

    monkeypatch.setattr(coding, "gunzipped", stopping)
    bomb = packed(bytes(30_000_000), "gzip")
    path = write(tmp_path / "a.tar", tar({**image_files(BASE), "bomb": bomb}.items()))
    with pytest.raises(CancelledError):
        scans.scan(archivefile.find(path), stop)
    assert count == 1


@pytest.mark.parametrize(("name", "limit"), [("MAX_IMAGES", 3), ("MAX_LAYERS", 1)])
def test_images_and_layers_have_a_ceiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(archiveview, name, limit)
    names = {f"docker.io/example/app{n}:v1": LISTED for n in range(5)}
    files = {**image_files(BASE, OWN), "index.json": index(names)}
    word = name.removeprefix("MAX_").lower()
    assert f"more than {limit} {word}" in failed(verified(tmp_path, files))["documents"][-1]
    own = config(BASE, OWN)
    listing = docker_listing(dict.fromkeys(names, (own, (BASE, OWN))))
    docker = {"manifest.json": listing, **dict(map(blob, (own, BASE, OWN)))}
    assert f"more than {limit} {word}" in failed(verified(tmp_path, docker))["documents"][-1]


def nested(*, depth: int, width: int) -> Files:
    """Indexes that list the next ones many times; the last list something that is missing."""
    kind, raw = media.OCI_MANIFEST, b"missing"
    files: Files = {}
    for _ in range(depth):
        child = described(kind, raw)
        kind = media.OCI_INDEX
        raw = as_json({"schemaVersion": 2, "mediaType": kind, "manifests": [child] * width})
        files |= dict([blob(raw)])
    return {"oci-layout": image_files()["oci-layout"], "index.json": raw, **files}


def test_indexes_nested_deeply_or_widely_are_not_followed_for_ever(tmp_path: Path) -> None:
    deep = failed(verified(tmp_path, nested(depth=6, width=1)))["documents"]
    assert "nested or listed more than is read" in deep[0]
    wide = failed(verified(tmp_path, nested(depth=3, width=600)))["documents"]
    assert "its indexes list more than 100000 manifests" in wide[-1]


def test_documents_have_a_ceiling_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "MAX_DOCUMENTS_BYTES", 500)
    wrong = failed(verified(tmp_path, image_files(BASE)))
    assert wrong["readable"] == ["more than 500 bytes of JSON"]
