"""A tree with a store that has all its images, and a lock of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack.lists import lock as locks
from rke2pack.lists.lock import Lock, LockedImage, LockedPlatform
from rke2pack.oci.model import Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.imaging import layer, put_image
from tests.unit.stages.conftest import Answer, Rke2pack, write_tree

WINDOWS = {"1809": "10.0.17763", "ltsc2022": "10.0.20348"}
LISTED = {
    "core": ("docker.io/example/runtime:v1", "docker.io/example/shared:v1"),
    "canal": ("docker.io/example/canal:v1", "docker.io/example/shared:v1"),
    "cilium": ("docker.io/example/cilium:v1", "docker.io/example/operator:v1"),
    "vsphere (linux/amd64)": ("docker.io/example/vsphere:v1",),
    "windows (windows/amd64)": ("docker.io/example/windows:v1",),
}
BASE = layer({"base": b"base" * 4000})


@dataclass(kw_only=True)
class Yard:
    """Runs words on the tree; ``cache`` is where the store is."""

    root: Path
    rke2pack: Rke2pack
    manifests: dict[str, dict[str, Manifest]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make tree and store."""
        self.tree = write_tree(self.root / "tree", {})
        path = self.tree / "charts-manifest" / "components.yaml"
        own = {"name": "windows", "platforms": ["windows/amd64"]}
        components = json.loads(path.read_text())
        components |= {"windows": WINDOWS, "components": [*components["components"], own]}
        path.write_text(json.dumps(components))
        self.list_images(LISTED)
        self.layout = Layout.open(self.root / "cache" / "store")
        each = [f"windows({version}.999)/amd64" for version in WINDOWS.values()]
        for name in sorted({name for names in LISTED.values() for name in names}):
            platforms = each if "windows" in name else ("linux/amd64", "linux/arm64")
            self.put(name, *platforms)

    def list_images(self, listed: dict[str, tuple[str, ...]]) -> None:
        """Write images.txt."""
        text = (f"# component: {h}\n" + "".join(f"{n}\n" for n in ns) for h, ns in listed.items())
        (self.tree / "images.txt").write_text("\n".join(text))

    def put(self, name: str, *platforms: str, content: str = "") -> None:
        """Put an image on the common base into the store."""

        def layers(platform: str) -> list[tuple[bytes, str]]:
            own = f"{name} {platform} {content}".encode() * 300
            return [(BASE, "gzip"), (layer({"own": own}), "gzip")]

        self.manifests[name] = put_image(self.layout, name, layers, platforms=platforms)  # type: ignore[arg-type]

    def write_lock(self) -> None:
        """Lock what the store has."""
        images = [self._locked(name, found) for name, found in self.manifests.items()]
        (self.tree / locks.NAME).write_text(str(Lock(images=tuple(images))))

    def _locked(self, name: str, found: dict[str, Manifest]) -> LockedImage:
        root = self.layout.find(name)
        assert root is not None
        return locks.locked(
            Reference.parse(name),
            root,
            (
                LockedPlatform(
                    platform=Platform.parse(platform.replace(".999", "")),
                    manifest=manifest.descriptor.digest,
                    config=manifest.config.digest,
                    blobs=len(manifest.blobs),
                    size=sum(blob.size for blob in manifest.blobs),
                    layers=tuple((blob.digest, blob.size) for blob in manifest.layers),
                )
                for platform, manifest in found.items()
            ),
        )

    def run(self, word: str, *arguments: str | Path) -> Answer:
        """Run a word on the tree."""
        return self.rke2pack(word, *arguments, "--tree", self.tree)

    def done(self, word: str, *arguments: str | Path) -> Answer:
        """Run a word that must end well."""
        answer = self.run(word, *arguments)
        assert answer.code == 0, answer.err
        return answer

    def shards(self, count: int, *arguments: str | Path, only: tuple[int, ...] = ()) -> Path:
        """Run every shard of airgap, or some, each into a folder of its own."""
        folder = self.root / f"of-{count}"
        for number in only or range(1, count + 1):
            where = ("--shard", f"{number}/{count}", "--output", folder / str(number))
            self.done("airgap", *where, *arguments)
        return folder


def listing(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
