"""Each check fails on one wrong thing, and any damage fails one of them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.intake import archivefile
from rke2pack.oci.verify import scan as scans
from tests.unit.oci.archives import (
    BASE,
    NAME,
    OWN,
    as_json,
    blob,
    config,
    described,
    docker_listing,
    image_files,
    index,
    manifest,
    tar,
    write,
    zstd_with_window,
)
from tests.unit.oci.imaging import packed
from tests.unit.oci.verifying import (
    FILE,
    LISTED,
    Change,
    Files,
    content,
    failed,
    verified,
    verify,
    with_layers,
)


def replaced(name: str, old: bytes, new: bytes) -> Change:
    def change(files: Files) -> Files:
        assert old in files[name]
        return {**files, name: files[name].replace(old, new)}

    return change


def without(name: str) -> Change:
    return lambda files: {key: data for key, data in files.items() if key != name}


def swapped(files: Files) -> Files:
    """Two blobs under each other's names."""
    one, two = blob(BASE)[0], blob(OWN)[0]
    return {**files, one: files[two], two: files[one]}


def with_config(**keys: object) -> Change:
    """Another config, with everything that points at it."""

    def change(_files: Files) -> Files:
        own = as_json({**json.loads(config(BASE, OWN)), **keys})
        listed = manifest(own, BASE, OWN)
        return {
            "oci-layout": image_files()["oci-layout"],
            "index.json": index({NAME: listed}),
            "manifest.json": docker_listing({NAME: (own, (BASE, OWN))}),
            **dict(sorted(map(blob, (own, listed, BASE, OWN)))),
        }

    return change


def with_manifest(edit: Callable[[bytes], bytes]) -> Change:
    """Another manifest, and the index that points at it."""

    def change(files: Files) -> Files:
        raw = edit(LISTED)
        assert raw != LISTED
        return {**files, "index.json": index({NAME: raw}), **dict([blob(raw)])}

    return change


NO_NAME = index({"": LISTED})
FIRST_ENTRY = as_json(json.loads(index({NAME: LISTED}))["manifests"][0])
WRONG: dict[str, tuple[Change, str, str]] = {
    "one byte of a layer": (
        replaced(blob(OWN)[0], b"own", b"oWn"),
        "digests",
        f"{blob(OWN)[0]} is sha256:",
    ),
    "swapped blobs": (swapped, "digests", f"{blob(BASE)[0]} is sha256:"),
    "a file twice": (
        lambda files: [*files.items(), ("index.json", b"{}")],
        "once",
        "index.json stands more than once",
    ),
    "index is no JSON": (replaced("index.json", b"{", b"["), "documents", "not JSON"),
    "no index": (without("index.json"), "documents", "not JSON"),
    "other layout version": (
        replaced("oci-layout", b"1.0.0", b"2.0.0"),
        "documents",
        "imageLayoutVersion is not 1.0.0",
    ),
    "key twice": (
        replaced("index.json", b'{"schemaVersion":2,', b'{"schemaVersion":2,"schemaVersion":2,'),
        "documents",
        "stands twice",
    ),
    "wrong size": (
        replaced("index.json", b'"size":%d' % len(LISTED), b'"size":7'),
        "documents",
        "described as 7",
    ),
    "no image": (replaced("index.json", b'"manifests":[', b'"x":['), "documents", "no list"),
    "manifest missing": (without(blob(LISTED)[0]), "complete", "lacks sha256:"),
    "layer missing": (without(blob(BASE)[0]), "complete", f"lacks {Digest.of(BASE)}"),
    "config missing": (
        without(blob(config(BASE, OWN))[0]),
        "complete",
        f"lacks {Digest.of(config(BASE, OWN))}",
    ),
    "config names another layer": (
        with_config(rootfs={"diff_ids": [str(Digest.of(OWN)), str(Digest.of(OWN))]}),
        "layers",
        "layer 1 unpacks to",
    ),
    "config names fewer layers": (
        with_config(rootfs={"diff_ids": []}),
        "documents",
        "names 0 layers, its manifest 2",
    ),
    "another platform": (
        with_config(architecture="arm64"),
        "platform",
        f"{NAME}: for linux/arm64, index.json says linux/amd64",
    ),
    "zstd layers": (
        with_layers(packed(BASE, "zstd"), packed(OWN, "zstd")),
        "compression",
        "has zstd layers",
    ),
    "mixed layers": (
        with_layers(packed(BASE, "gzip"), OWN),
        "compression",
        "mixes gzip and plain layers",
    ),
    "no tag": (
        replaced("index.json", NAME.encode(), NAME[:-3].encode()),
        "tags",
        "docker.io/example/app: has no tag",
    ),
    "no name": (lambda f: {**f, "index.json": NO_NAME}, "tags", "nodes pass over it"),
    "ref.name alone": (
        replaced("index.json", b'"io.containerd.image.name":"%s",' % NAME.encode(), b""),
        "tags",
        "v1: has no tag, RKE2 passes over it",
    ),
    "short name": (
        replaced("index.json", b'"docker.io/example', b'"example'),
        "tags",
        "example/app:v1: taken word for word, no pod asks for it; write docker.io/example/app:v1",
    ),
    "name that is none": (
        replaced("index.json", NAME.encode(), b"docker.io/UPPER:v1"),
        "tags",
        "is no image reference",
    ),
    "same name twice": (
        replaced("index.json", b'"manifests":[', b'"manifests":[' + FIRST_ENTRY + b","),
        "tags",
        "is named more than once",
    ),
    "docker has another name": (
        replaced("manifest.json", b":v1", b":v2"),
        "docker",
        "has docker.io/example/app:v2 otherwise",
    ),
    "docker has other layers": (
        lambda f: {**f, "manifest.json": docker_listing({NAME: (config(BASE, OWN), (OWN, BASE))})},
        "docker",
        "does not have docker.io/example/app:v1 as index.json does",
    ),
    "docker names a file that is not there": (
        replaced("manifest.json", blob(BASE)[0].encode(), b"blobs/none"),
        "docker",
        "names the file 'blobs/none', which is not there",
    ),
    "config of something else": (
        with_manifest(lambda raw: raw.replace(media.OCI_CONFIG.encode(), b"text/plain")),
        "documents",
        "its config is 'text/plain', not an image's",
    ),
    "config is no JSON": (
        with_manifest(lambda raw: raw.replace(
            as_json(described(media.OCI_CONFIG, config(BASE, OWN))),
            as_json(described(media.OCI_CONFIG, BASE)))),
        "documents",
        "is no JSON object",
    ),
    "manifest is no JSON": (
        with_manifest(lambda raw: b"x" + raw),
        "documents",
        "not a JSON document of at most",
    ),
    "foreign entry": (
        replaced("index.json", media.OCI_MANIFEST.encode(), b"text/plain"),
        "documents",
        "'text/plain' is neither a manifest nor an index",
    ),
    "docker has no list of layers": (
        replaced("manifest.json", b'"Layers":[', b'"Layers":7,"x":['),
        "docker",
        "no list where one belongs",
    ),
    "docker listing is no list": (
        lambda f: {**f, "manifest.json": b"{}"},
        "docker",
        "not a list of images",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_wrong_thing_fails_its_check(tmp_path: Path, case: str) -> None:
    change, check, message = WRONG[case]
    wrong = failed(verified(tmp_path, change(image_files(BASE, OWN))))
    assert check in wrong, wrong
    assert any(message in detail for detail in wrong[check]), wrong


def test_archive_for_another_platform_than_its_name_says(tmp_path: Path) -> None:
    found = verified(tmp_path, image_files(BASE), "rke2-images-core.linux-arm64.tar.zst")
    assert failed(found) == {"platform": [f"{NAME}: not for linux/arm64"]}


def test_window_above_what_nodes_take(tmp_path: Path) -> None:
    data = tar(image_files(BASE).items())
    (tmp_path / FILE).write_bytes(zstd_with_window(data, 26))
    wrong = failed(verify(tmp_path / FILE))
    assert wrong == {"window": ["a window of 67108864 bytes; nodes take 33554432"]}
    (tmp_path / FILE).write_bytes(zstd_with_window(data, 25))
    assert failed(verify(tmp_path / FILE)) == {}


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.zst"])
def test_archive_cut_short_or_damaged_anywhere_fails(tmp_path: Path, ending: str) -> None:
    whole = write(tmp_path / f"a.{ending}", tar(image_files(BASE, OWN).items())).read_bytes()
    content = len(whole.rstrip(b"\0")) if ending == "tar" else len(whole)
    path = tmp_path / f"b.{ending}"
    for position in range(0, content, max(1, content // 50)):
        path.write_bytes(whole[:position])
        assert "readable" in failed(verify(path)), position
    for position in range(0, content, max(1, content // 50)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        assert failed(verify(path)) or is_same(bytes(damaged), whole, ending), position


def is_same(damaged: bytes, whole: bytes, ending: str) -> bool:
    """Whether a changed byte changes nothing that is read: padding, a gzip header's time."""
    if ending == "tar.gz":
        return gzip.decompress(damaged) == gzip.decompress(whole)
    contents = []
    for data in (damaged, whole):
        with tarfile.open(fileobj=io.BytesIO(data)) as opened:
            contents.append([(each.name, content(opened, each)) for each in opened])
    return ending == "tar" and contents[0] == contents[1]


def test_sums_are_those_of_the_files_also_where_the_tar_is_broken(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tar", tar(image_files(BASE).items())).read_bytes()
    broken = data[:600] + b"x" * 1000 + data[1600:]
    (tmp_path / "b.tar.part01").write_bytes(broken[:9000])
    (tmp_path / "b.tar.part02").write_bytes(broken[9000:])
    scan = scans.scan(archivefile.find(tmp_path / "b.tar"))
    assert scan.error is not None
    assert [each.digest for each in scan.sums] == [
        Digest.of((tmp_path / f"b.tar.part0{n}").read_bytes()) for n in (1, 2)
    ]
    assert scan.whole == Digest.of(broken)


def test_many_failures_are_counted(tmp_path: Path) -> None:
    names = {f"docker.io/example/app{n}": LISTED for n in range(40)}
    files = {**image_files(BASE, OWN), "index.json": index(names)}
    details = failed(verified(tmp_path, files))["tags"]
    assert len(details) == 21
    assert details[-1] == "and 20 more"
