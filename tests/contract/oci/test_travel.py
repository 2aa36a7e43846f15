"""The cache as an artifact: what is there is not sent again, nothing is believed that comes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ValidationError
from rke2pack.files import Cache
from rke2pack.oci import media, model
from rke2pack.oci.coding import Coding, Gzip, Zstd
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.pack.framecache import FrameCache
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.travel import cargo
from rke2pack.oci.travel import pull as travel
from rke2pack.oci.travel.cargo import Cargo, Piece
from rke2pack.oci.travel.pull import Pull
from rke2pack.oci.travel.push import Push, Sent, parse
from tests.contract.oci import images
from tests.contract.oci.conftest import MakeAccess
from tests.contract.oci.images import AMD64
from tests.contract.oci.runner import listing
from tests.contract.oci.simulator import Simulator
from tests.unit.oci import archives

LARGE, SMALL = images.noise(300_000, 1), b"small" * 100
ZSTD, GZIP = Zstd(level=3), Gzip(level=6)


class Depot:
    """A store and frames on one machine, and the registry."""

    def __init__(self, root: Path, make_access: MakeAccess, registry: Simulator) -> None:
        self.root, self.registry = root, registry
        self.cache = Cache(root)
        self.layout = Layout.open(root / "store")
        self._client = make_access().registry(registry.host)
        self.reference = Reference.parse(f"{registry.host}/ci/cache:main")

    def put(self, name: str, *contents: bytes) -> None:
        made = images.manifest(AMD64, contents)
        for data in (made.raw, *made.blobs.values()):
            self.layout.put(data)
        self.layout.tag({name: made.descriptor})

    def keep(self, coding: Coding, content: bytes, *, name: Digest | None = None) -> None:
        """Keep frames of a content, under another one's name where it is given."""
        digest = name or Digest.of(content)
        frames = FrameCache(cache=self.cache)
        with frames.growing(coding, digest) as growing:
            growing.write(coding.encode(content))
            frames.keep(coding, digest, growing, raw_size=len(content))

    def push(self, made: Cargo | None = None, *, is_dry_run: bool = False) -> Sent:
        what = made or cargo.pack(self.layout, self.cache)
        push = Push(registry=self._client, reference=self.reference, is_dry_run=is_dry_run)
        return push.run(what)

    def pull(self, *, is_dry_run: bool = False) -> Pull:
        return Pull(
            registry=self._client,
            reference=self.reference,
            layout=self.layout,
            cache=self.cache,
            is_dry_run=is_dry_run,
        )


MakeDepot = Callable[[str], Depot]


@pytest.fixture
def make_depot(tmp_path: Path, make_access: MakeAccess, registry: Simulator) -> MakeDepot:
    return lambda name: Depot(tmp_path / name, make_access, registry)


@pytest.fixture
def full(make_depot: MakeDepot) -> Depot:
    depot = make_depot("full")
    depot.put("docker.io/example/large:v1", LARGE, SMALL)
    depot.put("docker.io/example/small:v1", SMALL)
    depot.keep(ZSTD, LARGE)
    depot.keep(GZIP, LARGE)
    depot.keep(ZSTD, SMALL)
    return depot


@pytest.fixture
def empty(make_depot: MakeDepot) -> Depot:
    return make_depot("empty")


def of(files: Iterable[tuple[str, bytes, str]], names: object = None) -> Cargo:
    """A cargo made by hand: title, bytes and type of each layer."""
    pieces = tuple(
        Piece(
            descriptor=Descriptor(media_type=kind, digest=Digest.of(data), size=len(data)),
            title=title,
            source=partial(bytes, data),
        )
        for title, data, kind in files
    )
    config = strictjson.dump({"version": 1, "names": {} if names is None else names})
    described = Descriptor(media_type=cargo.CONFIG, digest=Digest.of(config), size=len(config))
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "artifactType": cargo.ARTIFACT,
        "config": described.to_json(),
        "layers": [piece.to_json() for piece in pieces],
    }
    manifest = model.parse(strictjson.dump(document), media_type=media.OCI_MANIFEST, what="it")
    assert isinstance(manifest, Manifest)
    return Cargo(manifest=manifest, config=config, pieces=pieces)


def test_cache_arrives_as_it_was_sent(full: Depot, empty: Depot) -> None:
    sent = full.push()
    received = empty.pull().run()
    assert received.digest == sent.digest
    assert received.names == ("docker.io/example/large:v1", "docker.io/example/small:v1")
    assert (received.frames, received.incomplete, received.kept) == (3, (), ())
    assert listing(empty.layout.root) == listing(full.layout.root)
    frames = {name: data for name, data in listing(full.root).items() if name[:7] == "frames/"}
    assert len(frames) == 6
    assert {n: d for n, d in listing(empty.root).items() if n[:7] == "frames/"} == frames
    for coding, content in ((ZSTD, LARGE), (GZIP, LARGE), (ZSTD, SMALL)):
        assert FrameCache(cache=empty.cache).find(coding, Digest.of(content)) is not None


def test_same_cache_is_the_same_artifact_and_is_not_sent_again(
    full: Depot, registry: Simulator
) -> None:
    first = full.push()
    registry.requests.clear()
    again = full.push()
    assert (again.digest, again.sent, again.is_new) == (first.digest, 0, False)
    assert [r.method for r in registry.requests] == ["HEAD"]


def test_only_what_is_new_is_sent(full: Depot) -> None:
    first = full.push()
    other = images.noise(400_000, 2)
    full.put("docker.io/example/other:v1", other)
    second = full.push()
    assert second.is_new
    assert 400_000 < second.sent < 400_000 + first.size // 4


def test_what_is_there_is_not_fetched_again(full: Depot, empty: Depot) -> None:
    sent = full.push()
    first = empty.pull().run()
    again = empty.pull().run()
    assert first.received == sent.size
    assert again.received < 20_000, "the bundles of small files alone"
    assert (again.names, len(again.kept), again.frames) == ((), 2, 0)


def test_dry_run_neither_sends_nor_keeps(full: Depot, empty: Depot, registry: Simulator) -> None:
    planned = full.push(is_dry_run=True)
    assert (planned.sent, registry.manifests, registry.blobs) == (planned.size, {}, {})
    full.push()
    before = listing(empty.root)
    told = empty.pull(is_dry_run=True).run()
    assert len(told.names) == 2
    assert listing(empty.root) == before


def test_name_that_the_store_has_stays_as_it_is(full: Depot, empty: Depot) -> None:
    full.push()
    empty.put("docker.io/example/small:v1", b"newer")
    newer = empty.layout.find("docker.io/example/small:v1")
    received = empty.pull().run()
    assert received.kept == ("docker.io/example/small:v1",)
    assert empty.layout.find("docker.io/example/small:v1") == newer


def test_image_that_lacks_a_blob_gets_no_name(full: Depot, empty: Depot) -> None:
    made = images.manifest(AMD64, (LARGE, SMALL))
    full.layout.drop(list(made.blobs)[1])
    full.push()
    received = empty.pull().run()
    assert received.incomplete == ("docker.io/example/large:v1",)
    assert empty.layout.find("docker.io/example/large:v1") is None


def test_damaged_blob_is_not_sent(full: Depot, registry: Simulator) -> None:
    made = images.manifest(AMD64, (LARGE, SMALL))
    path = full.layout.path(list(made.blobs)[1])
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="content is sha256"):
        full.push()
    assert ("ci/cache", "main") not in registry.manifests


def test_damaged_frames_are_named(full: Depot) -> None:
    (path,) = full.root.glob(f"frames/zstd-*/{Digest.of(LARGE).hex}.frames")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError) as caught:
        full.push()
    assert f"{Digest.of(LARGE).hex}.frames from the cache folder" in (caught.value.hint or "")


def test_blob_that_is_another_one_is_refused(
    full: Depot, empty: Depot, registry: Simulator
) -> None:
    full.push()
    (digest,) = (d for (_, d), data in registry.blobs.items() if 300_000 < len(data) < 301_000
                 and full.layout.path(d).is_file())  # fmt: skip
    registry.bodies[digest] = bytes(len(registry.blobs["ci/cache", digest]))
    with pytest.raises(IntegrityError, match="content is sha256"):
        empty.pull().run()
    assert empty.layout.entries() == ()
    assert not empty.layout.path(digest).exists()


@pytest.mark.parametrize("coding", [ZSTD, GZIP], ids=["zstd", "gzip"])
@pytest.mark.parametrize("size", [300_000, 500, 300_001])
def test_frames_of_another_layer_are_refused(
    make_depot: MakeDepot, empty: Depot, coding: Coding, size: int
) -> None:
    """Frames and all that is said of them fit each other, but not the layer."""
    content = images.noise(size, 7)
    forger = make_depot("forger")
    forger.keep(coding, content, name=Digest.of(LARGE))
    assert FrameCache(cache=forger.cache).find(coding, Digest.of(LARGE)) is not None
    forger.push()
    with pytest.raises(IntegrityError, match="are not the layer that they are kept for"):
        empty.pull().run()
    assert FrameCache(cache=empty.cache).find(coding, Digest.of(LARGE)) is None
    assert not list(empty.root.rglob("*.frames"))


def test_frames_that_another_run_made_meanwhile_stay(
    full: Depot, empty: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be copying them into an archive: nothing else may come under their name."""
    full.push()
    real = travel._prove

    def prove(path: Path, note: bytes, *, what: str, layer: str) -> None:
        real(path, note, what=what, layer=layer)
        (path.parent / f"{layer}.frames").write_bytes(b"of another run")

    monkeypatch.setattr(travel, "_prove", prove)
    assert empty.pull().run().frames == 0
    made = [path for path in sorted(empty.root.glob("frames/*/*")) if path.is_file()]
    assert [path.suffix for path in made] == [".frames"] * 3
    assert {path.read_bytes() for path in made} == {b"of another run"}


def test_where_there_are_no_links_frames_are_moved(
    full: Depot, empty: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, target: Path) -> None:
        raise PermissionError(1, f"{self}: no links to {target}")

    full.push()
    monkeypatch.setattr(Path, "hardlink_to", refused)
    assert empty.pull().run().frames == 3
    assert len(list(empty.root.glob("frames/*/*"))) == 6


def test_frames_that_grow_without_end_are_left_early(make_depot: MakeDepot, empty: Depot) -> None:
    forger = make_depot("forger")
    forger.keep(ZSTD, bytes(50_000_000), name=Digest.of(LARGE))
    (note,) = forger.root.glob("frames/*/*.json")
    note.write_text(json.dumps({**json.loads(note.read_text()), "raw_size": 10}))
    forger.push()
    with pytest.raises(IntegrityError, match="are not the layer"):
        empty.pull().run()


EVIL = b"evil"
HEX = hashlib.sha256(EVIL).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/evil",
        "store/index.json",
        f"blobs/sha256/../{HEX}",
        f"blobs/sha256/{HEX}x",
        f"frames/../{HEX}.frames",
        f"frames/zstd-3/../../{HEX}.json",
        f"frames/other/{HEX}.frames",
        "CACHEDIR.TAG",
    ],
)
def test_small_file_that_has_no_place_is_refused(
    full: Depot, empty: Depot, tmp_path: Path, name: str
) -> None:
    full.push(of([("small-0.tar", archives.tar([(name, EVIL)]), cargo.BUNDLE)]))
    before = listing(tmp_path)
    with pytest.raises(IntegrityError, match="is no place in a cache"):
        empty.pull().run()
    assert listing(tmp_path) == before


def test_small_blob_is_held_against_its_name(full: Depot, empty: Depot) -> None:
    wrong = f"blobs/sha256/{'0' * 64}"
    full.push(of([("small-0.tar", archives.tar([(wrong, EVIL)]), cargo.BUNDLE)]))
    with pytest.raises(IntegrityError, match="content is sha256"):
        empty.pull().run()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_bundle_with_anything_but_files_is_refused(full: Depot, empty: Depot, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(f"blobs/sha256/{HEX}")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    full.push(of([("small-0.tar", buffer.getvalue(), cargo.BUNDLE)]))
    with pytest.raises(IntegrityError, match="is not a plain file"):
        empty.pull().run()


@pytest.mark.parametrize("data", [b"no tar at all" * 100, archives.tar([("x", EVIL)])[:600]])
def test_bundle_that_is_no_tar_is_refused(full: Depot, empty: Depot, data: bytes) -> None:
    full.push(of([("small-0.tar", data, cargo.BUNDLE)]))
    with pytest.raises(IntegrityError):
        empty.pull().run()


@pytest.mark.parametrize(
    ("title", "kind", "said"),
    [
        (f"frames/zstd-3/../../../{HEX}.frames", cargo.FRAMES, "is no place in a cache"),
        ("", cargo.FRAMES, "is no place in a cache"),
        ("x", "application/octet-stream", "is nothing that a cache has"),
    ],
)
def test_layer_that_has_no_place_is_refused(
    full: Depot, empty: Depot, title: str, kind: str, said: str
) -> None:
    full.push(of([(title, EVIL, kind)]))
    with pytest.raises(IntegrityError, match=said):
        empty.pull().run()


@pytest.mark.parametrize(
    "names", [{"../x": {}}, {"alpine": {}}, [], {"docker.io/a/b:v1": {"digest": "x"}}], ids=str
)
def test_names_are_read_strictly(full: Depot, empty: Depot, names: object) -> None:
    full.push(of([], names))
    with pytest.raises(IntegrityError):
        empty.pull().run()
    assert empty.layout.entries() == ()


def test_name_for_what_is_no_image_is_not_given(full: Depot, empty: Depot) -> None:
    blob = Descriptor(media_type=media.OCI_MANIFEST, digest=Digest.of(EVIL), size=len(EVIL))
    files = [(f"blobs/sha256/{HEX}", EVIL, cargo.BLOB)]
    full.push(of(files, {"docker.io/a/b:v1": blob.to_json()}))
    assert empty.pull().run().incomplete == ("docker.io/a/b:v1",)


def test_another_artifact_is_no_cache(empty: Depot, registry: Simulator) -> None:
    registry.push("ci/cache", images.manifest(AMD64), "main")
    with pytest.raises(ValidationError, match="not a cache of rke2pack"):
        empty.pull().run()


def test_large_bundle_is_not_taken_into_memory(
    full: Depot, empty: Depot, monkeypatch: pytest.MonkeyPatch, registry: Simulator
) -> None:
    full.push()
    monkeypatch.setattr(cargo, "MAX_BUNDLE", 100)
    registry.requests.clear()
    with pytest.raises(IntegrityError, match="more than the limit of 100"):
        empty.pull().run()


@pytest.mark.parametrize("text", ["r.example.com/a", f"r.example.com/a@sha256:{'1' * 64}"])
def test_place_needs_a_tag(text: str) -> None:
    with pytest.raises(ConfigError, match="a cache needs a tag"):
        parse(text)


def test_full_bundle_goes_on_in_another(
    make_depot: MakeDepot, empty: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot = make_depot("many")
    for number in range(40):
        depot.put(f"docker.io/example/image{number}:v1", b"%d" % number * 500)
    monkeypatch.setattr(cargo, "MAX_BUNDLE", 8 * 1024)
    made = cargo.pack(depot.layout, depot.cache)
    assert max(piece.descriptor.size for piece in made.pieces) <= 8 * 1024
    assert any("-1.tar" in piece.title for piece in made.pieces)
    depot.push(made)
    assert len(empty.pull().run().names) == 40
