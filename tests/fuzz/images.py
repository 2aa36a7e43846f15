"""What images are read by: references, manifests, tars, archives, and a registry's headers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import PackError
from rke2pack.http import retry_after
from rke2pack.oci import media, model
from rke2pack.oci.deltanote import DeltaNote
from rke2pack.oci.intake import archivefile, tarstream
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.program import executable, layertar
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry import challenge
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.resolve import MAX_DOCUMENTS, config_platform, resolve
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.verify import checks
from rke2pack.oci.verify.scan import scan
from tests.fuzz.place import folder

_STEP = 300
_SHA = f"sha256:{'a' * 64}"
_FANOUT = 4


def text(data: bytes) -> str:
    """The bytes as a header or a line has them: any byte may stand there."""
    return data.decode("latin-1")


def reference(data: bytes) -> None:
    """A reference is canonical once it is parsed."""
    found = Reference.parse(data.decode(errors="ignore"))
    assert Reference.parse(str(found)) == found
    moved = found.with_registry("registry.example.com:5000")
    assert Reference.parse(str(moved)) == moved


def digest(data: bytes) -> None:
    """A digest is canonical once it is parsed."""
    found = Digest.parse(data.decode(errors="ignore"))
    assert Digest.parse(str(found)) == found


def platform(data: bytes) -> None:
    """A platform is canonical once it is parsed."""
    found = Platform.parse(data.decode(errors="ignore"))
    assert Platform.parse(str(found)) == found
    assert found.satisfies(found)


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + _STEP] for start in range(0, len(data), _STEP)]


def tar(data: bytes) -> None:
    """The tar of an archive, in pieces that split its headers."""
    links: dict[str, str] = {}
    for member in tarstream.read(_pieces(data), what="x.tar"):
        assert not member.name.startswith(("/", "../"))
        if member.kind == "link":
            links[member.name] = member.target
        elif sum(map(len, member.chunks)) != member.size:
            raise AssertionError(member.name)
    for name in links:
        tarstream.resolved(name, links, "x.tar")


def layer(data: bytes) -> None:
    """The tar of a layer."""
    for entry in layertar.entries(_pieces(data), what="layer"):
        assert not entry.name.startswith("/")
        executable.read(entry.head)


def archive(data: bytes) -> None:
    """A file that should be an archive of images, packed in any way."""
    path = folder() / "example.linux-amd64.tar.zst"
    path.write_bytes(data)
    checks.verify(scan(archivefile.find(path)))


def manifest(data: bytes) -> None:
    """A manifest or index, as whatever it may come."""
    for media_type in ("", media.OCI_MANIFEST, media.DOCKER_INDEX):
        try:
            found = model.parse(data, media_type=media_type, what="m")
        except PackError:
            continue
        assert found.raw == data
        assert found.descriptor.digest == Digest.of(data)
        _ = found.blobs if isinstance(found, Manifest) else found.manifests


def json(data: bytes) -> None:
    """Any JSON, and what is written of it is read as the same."""
    found = strictjson.load(data, what="j", max_bytes=1 << 20)
    assert strictjson.load(strictjson.dump(found), what="again", max_bytes=1 << 22) == found


@cache
def _child(kind: int) -> Descriptor:
    platforms = (None, Platform.parse("linux/amd64"), Platform.parse("linux/arm64"))
    return Descriptor(
        media_type=(media.OCI_INDEX, media.OCI_MANIFEST, "text/plain")[kind % 3],
        digest=Digest.of(bytes([kind])),
        size=kind >> 6,
        platform=platforms[kind // 3 % 3],
    )


@dataclass
class _Tangle:
    """A registry whose indexes are made of the input: who lists whom, for which platform."""

    data: bytes
    at: int = 0
    asked: int = 0

    def next(self) -> int:
        self.at += 1
        return self.data[(self.at - 1) % len(self.data)]

    def child(self) -> Descriptor:
        return _child(self.next())

    def document(self, descriptor: Descriptor) -> Document:
        """Make a document of the size and kind that its index tells."""
        self.asked += 1
        assert self.asked <= MAX_DOCUMENTS + 1, "asks without end"
        raw = b"x" * descriptor.size
        if descriptor.media_type == media.OCI_INDEX:
            children = tuple(self.child() for _ in range(self.next() * _FANOUT))
            return model.Index(raw=raw, media_type=media.OCI_INDEX, manifests=children)
        config = Descriptor(media_type=media.OCI_CONFIG, digest=Digest.parse(_SHA), size=2)
        return Manifest(raw=raw, media_type=media.OCI_MANIFEST, config=config, layers=())

    def config(self, descriptor: Descriptor) -> bytes:  # noqa: ARG002 - the interface's
        """Return a config for one of two platforms."""
        name = "amd64" if self.next() % 2 else "arm64"
        return f'{{"os":"linux","architecture":"{name}"}}'.encode()


def tangle(data: bytes) -> None:
    """Indexes that list each other; the walk ends soon, whatever they list."""
    if not data:
        return
    wants = (Platform.parse("linux/amd64"),) if data[0] % 2 else ()
    source = _Tangle(data)
    first = Descriptor(media_type=media.OCI_INDEX, digest=Digest.parse(_SHA), size=1)
    resolve(source, source.document(first), wants, what="t")


def config(data: bytes) -> None:
    """An image's config."""
    config_platform(data, what="config")


def delta_note(data: bytes) -> None:
    """A delta's note."""
    found = DeltaNote.parse(data, what="note")
    assert DeltaNote.parse(bytes(found), what="again") == found
    _ = found.needs


def www_authenticate(data: bytes) -> None:
    """Header lines of WWW-Authenticate."""
    for each in challenge.parse(text(data).split("\n")):
        assert each.scheme == each.scheme.lower()


def wait(data: bytes) -> None:
    """Retry-After, a number or a date."""
    seconds = retry_after(text(data))
    assert seconds is None or seconds >= 0


def docker_config(data: bytes) -> None:
    """A config.json with credentials."""
    path = folder() / "config.json"
    path.write_bytes(data)
    Keychain({"DOCKER_CONFIG": str(path.parent)}).find("registry.example.com", "a/b")


def layout(data: bytes) -> None:
    """The index.json of a folder that should be an image layout."""
    root = folder()
    (root / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (root / "index.json").write_bytes(data)
    Layout(root).entries()


TARGETS = {
    "reference": reference,
    "digest": digest,
    "platform": platform,
    "tar": tar,
    "layer": layer,
    "archive": archive,
    "manifest": manifest,
    "json": json,
    "tangle": tangle,
    "config": config,
    "delta-note": delta_note,
    "www-authenticate": www_authenticate,
    "retry-after": wait,
    "docker-config": docker_config,
    "layout": layout,
}
