"""What verify proves: each check passes on a good archive and fails on one wrong thing."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.finding import Result
from rke2pack.oci import coding, media
from rke2pack.oci.deltanote import DeltaImage, DeltaNote, Whole
from rke2pack.oci.intake import archivefile
from rke2pack.oci.platform import Platform
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import nodeimport
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify import view as archiveview
from rke2pack.oci.verify.checks import Verified
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
from tests.unit.oci.imaging import Packing, packed
from tests.unit.oci.test_savedimage import saved
from tests.unit.oci.test_savedimage import tar as tar_with_links

FILE = "rke2-images-core.linux-amd64.tar.zst"
Files = dict[str, bytes]
CHECKS = (
    "readable", "digests", "once", "documents", "complete", "layers", "compression", "ending",
    "window", "platform", "tags", "docker",
)  # fmt: skip


def verify(path: Path, *bases: Path) -> Verified:
    scan = scans.scan(archivefile.find(path))
    return verifyarchive.verify(scan, [scans.scan(archivefile.find(base)) for base in bases])


def verified(folder: Path, files: Files | list[tuple[str, bytes]], name: str = FILE) -> Verified:
    listed = files.items() if isinstance(files, dict) else files
    return verify(write(folder / name, tar(listed)))


def failed(found: Verified) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    for each in found.results:
        if each.status == "failed":
            wrong.setdefault(each.check, []).append(each.detail)
    return wrong


def states(found: Verified) -> dict[str, str]:
    return {each.check: each.status for each in found.results}


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.zst"])
def test_good_archive_passes_every_check(tmp_path: Path, ending: str) -> None:
    found = verified(tmp_path, image_files(BASE, OWN), f"rke2-images-core.linux-amd64.{ending}")
    expected = dict.fromkeys(CHECKS, "passed")
    expected["window"] = "passed" if ending.endswith("zst") else "skipped"
    assert states(found) == expected
    assert found.findings == ()
    assert tuple(nodeimport.findings(found)) == ()
    (each,) = nodeimport.imported(found, "registry.example.com:5000")
    digest = json.loads(image_files(BASE, OWN)["index.json"])["manifests"][0]["digest"]
    assert each.tags == (
        NAME,
        f"docker.io/example/app@{digest}",
        "registry.example.com:5000/example/app:v1",
    )
    assert (each.digest, each.platform) == (digest, "linux/amd64")


def test_gzip_layers_are_proved_by_what_they_unpack_to(tmp_path: Path) -> None:
    gz = packed(BASE, "gzip")
    own = config(BASE)
    listed = manifest(own, gz, kind=f"{media.OCI_LAYER}+gzip")
    files = {
        "oci-layout": image_files()["oci-layout"],
        "index.json": index({NAME: listed}),
        "manifest.json": docker_listing({NAME: (own, (gz,))}),
        **dict(sorted(map(blob, (own, listed, gz)))),
    }
    assert failed(verified(tmp_path, files)) == {}
    broken = gz[:-3] + b"xyz"
    listed = manifest(own, broken, kind=f"{media.OCI_LAYER}+gzip")
    files |= {"index.json": index({NAME: listed}), **dict(map(blob, (listed, broken)))}
    files["manifest.json"] = docker_listing({NAME: (own, (broken,))})
    assert "is damaged" in failed(verified(tmp_path, files))["layers"][0]


Change = Callable[[Files], Files | list[tuple[str, bytes]]]


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


def with_layers(*layers: bytes) -> Change:
    def change(_files: Files) -> Files:
        own = config(BASE, OWN)
        listed = manifest(own, *layers)
        return {
            "oci-layout": image_files()["oci-layout"],
            "index.json": index({NAME: listed}),
            "manifest.json": docker_listing({NAME: (own, layers)}),
            **dict(sorted(map(blob, {own, listed, *layers}))),
        }

    return change


def with_manifest(edit: Callable[[bytes], bytes]) -> Change:
    """Another manifest, and the index that points at it."""

    def change(files: Files) -> Files:
        raw = edit(LISTED)
        assert raw != LISTED
        return {**files, "index.json": index({NAME: raw}), **dict([blob(raw)])}

    return change


LISTED = manifest(config(BASE, OWN), BASE, OWN)
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


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("rke2-images.linux-amd64.tar.zst", "linux/amd64"),
        ("rke2-images-core.linux-arm64_delta-0123456789ab.tar.gz", "linux/arm64"),
        ("rke2-windows-ltsc2022-amd64-images.tar.gz", "windows/amd64"),
        ("rke2-images.windows-amd64.tar", "windows/amd64"),
        ("images.tar", None),
        ("my-linux-amd64x.tar", None),
    ],
)
def test_platform_of_a_file_name(name: str, platform: str | None) -> None:
    found = verifyarchive.platform_of(name)
    assert found == (Platform.parse(platform) if platform else None)


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


def test_other_order_is_told_and_no_failure(tmp_path: Path) -> None:
    files = image_files(BASE, OWN)
    found = verified(tmp_path, dict(reversed(files.items())))
    assert failed(found) == {}
    assert [each.check for each in found.findings] == ["order"]
    first = list(files.items())
    found = verified(tmp_path, [*first[:3], *reversed(first[3:])])
    assert [each.expected for each in found.findings] == ["blobs sorted by digest"]


def test_without_manifest_json_docker_is_skipped_and_told(tmp_path: Path) -> None:
    files = image_files(BASE)
    del files["manifest.json"]
    found = verified(tmp_path, files)
    assert failed(found) == {}
    assert states(found)["docker"] == "skipped"
    assert [(each.severity, each.check) for each in found.findings] == [("warning", "docker")]


def test_docker_archive_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", tar_with_links(saved(BASE, OWN)))
    found = verify(path)
    assert failed(found) == {}
    (each,) = nodeimport.imported(found, None)
    assert (each.name, each.digest) == ("docker.io/rancher/rke2-runtime:v1", "")
    assert each.tags == ("docker.io/rancher/rke2-runtime:v1",)
    assert [each.check for each in nodeimport.findings(found)] == ["digests-lost"]
    files = saved(BASE, OWN)
    files["id0/layer.tar"] = OWN
    wrong = failed(verify(write(tmp_path / "a.tar", tar_with_links(files))))
    assert "layer 1 unpacks to" in wrong["layers"][0]
    files = saved(BASE)
    name = next(name for name in files if name.endswith(".json"))
    files[name] = config(BASE, platform={"os": "linux", "architecture": "arm64"})
    wrong = failed(verify(write(tmp_path / "a.tar", tar_with_links(files))))
    assert f"{name} is sha256:" in wrong["digests"][0]


def test_index_of_several_platforms_takes_what_is_there(tmp_path: Path) -> None:
    one, other = manifest(config(BASE), BASE), b"not here"
    platforms = ("amd64", "arm64")
    children = [
        {**described(media.OCI_MANIFEST, each), "platform": {"os": "linux", "architecture": arch}}
        for each, arch in zip((one, other), platforms, strict=True)
    ]
    listed = as_json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": children})
    own = index({NAME: listed}).replace(media.OCI_MANIFEST.encode(), media.OCI_INDEX.encode())
    files = {
        "oci-layout": image_files()["oci-layout"],
        "index.json": own,
        **dict(sorted(map(blob, (listed, one, config(BASE), BASE)))),
    }
    found = verified(tmp_path, files)
    assert failed(found) == {}
    assert [each.check for each in found.findings] == ["sparse-index", "docker"]
    (each,) = nodeimport.imported(found, None)
    assert each.digest == str(Digest.of(listed)), "a node names the index"
    files[blob(one)[0]] = files.pop(blob(one)[0])
    del files[blob(one)[0]]
    assert "complete" in failed(verified(tmp_path, files))


@pytest.mark.parametrize(
    ("name", "packing", "state"),
    [
        ("a.linux-amd64.tar.lz", "zst", "skipped"),
        ("a.tar", "zst", "failed"),
        ("a.tar", "gz", "failed"),
        ("a.tar.gz", "zst", "failed"),
        ("a.tar.zst", "none", "failed"),
        ("a.tar", "none", "passed"),
        ("a.tgz", "gz", "passed"),
        ("a.tzst", "zst", "passed"),
    ],
)
def test_nodes_go_by_the_files_ending(tmp_path: Path, name: str, packing: str, state: str) -> None:
    found = verify(write(tmp_path / name, tar(image_files(BASE).items()), packing))
    assert states(found)["ending"] == state
    told = [each.check for each in nodeimport.findings(found)]
    assert told == (["ending"] if state == "skipped" else [])
    if name == "a.tar" and packing == "zst":
        assert failed(found)["ending"] == ["packed with zstd; nodes take a .tar for none"]


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
        "complete": [f"a delta: 1 blobs come from base.tar ({digest}); name it with --base"]
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


def content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = opened.extractfile(member)
    assert found is not None
    return found.read()


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


def test_many_failures_are_counted(tmp_path: Path) -> None:
    names = {f"docker.io/example/app{n}": LISTED for n in range(40)}
    files = {**image_files(BASE, OWN), "index.json": index(names)}
    details = failed(verified(tmp_path, files))["tags"]
    assert len(details) == 21
    assert details[-1] == "and 20 more"


def test_results_name_the_archive(tmp_path: Path) -> None:
    found = verified(tmp_path, image_files(BASE))
    assert {each.subject for each in found.results} == {FILE}
    assert str(found.results[0]).startswith(f"passed: {FILE}: readable: ")
    assert found.results[0].to_json() == {
        "subject": FILE,
        "check": "readable",
        "status": "passed",
        "detail": found.results[0].detail,
    }
    assert isinstance(found.results[0], Result)
