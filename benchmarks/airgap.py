"""Archives beside the recipes that they replace, as ratios of one run on generated images.

``nox -s bench -- airgap --megabytes 850`` takes images as large as ten of RKE2's. Everything
starts at the same docker-registry on this machine, and ends with an archive on the disk:

- ours: ``rke2pack airgap --pull`` with an empty cache; alone is ``rke2pack airgap`` after a pull
- crane: ``crane pull`` to one tar, its metadata to the front by ``bsdtar`` where there is one, and
  ``zstd -T0 -16 --long=25`` (upstream's recipe)
- docker: ``docker pull`` of each image, ``docker save``, zstd as before; and ``pigz`` of that tar
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import images
import peers
from images import MEGABYTE, Layer
from peers import PROGRAM, Run

from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.store.layout import Layout

ZSTD = ["zstd", "-T0", "-16", "--long=25", "-f", "-q"]
PLATFORM = "linux/amd64"
ARCHIVE = "rke2-images-core.linux-amd64.tar"
BSDTAR = shutil.which("bsdtar")
ROUNDS = 7


@dataclass(frozen=True, kw_only=True)
class Made:
    """An archive and what it took to make it; ``alone`` is the time where a pull went before."""

    run: Run
    size: int
    alone: float = 0.0


def main(arguments: list[str]) -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(prog="airgap", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=80, help="size of all layers unpacked")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--without-small", action="store_true", help="leave out the slow profile")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="r2p-") as name, ExitStack() as stack:
        root = Path(name)
        host = stack.enter_context(peers.registry(root / "registry"))
        bench = Bench(root, host, options.images, options.megabytes)
        print(f"{options.images} images, {options.megabytes} MB unpacked, {os.cpu_count()} cores")
        bench.measure(
            peers.crane(root),
            stack.enter_context(peers.docker(root / "docker")),
            is_with_small=not options.without_small,
        )


class Bench:
    """Images in a registry, and a tree that lists them."""

    def __init__(self, root: Path, host: str, count: int, megabytes: int) -> None:
        """Generate everything below ``root`` and push it."""
        self.root, self.host = root, host
        self.made = Layout.open(root / "made")
        self.uploader = Uploader(Access(keychain=Keychain({})).registry(host))
        self.repositories = [f"example/app{number}" for number in range(count)]
        self.layers = images.layers(self.made, count + 2, megabytes)
        for number in range(count):
            self.push(number, self._parts(number))
        self._write_tree()

    def measure(self, crane: Path | None, docker: list[str] | None, *, is_with_small: bool) -> None:
        """Run ours and theirs, and print the ratios."""
        theirs = {"crane": self._crane(crane)} if crane else {}
        theirs |= self._docker(docker) if docker else {}
        for label in ("crane", "docker"):
            if label not in theirs:
                print(f"no {label} on this machine: nothing is compared with it")
        fast = self._cold("fast", "zst")
        compare("fast", fast, theirs, "crane")
        default = self._cold("default", "zst")
        compare("default", default, theirs, "crane", "docker")
        compare("nothing changed", self._unchanged("default", "zst"), theirs, "crane")
        compare("default .tar.gz after that", self._airgap("default", "gz"), theirs, "pigz")
        self._change_one()
        compare("one image changed", self._pulled("default", "zst"), theirs, "crane")
        compare("default .tar.gz, cold", self._cold("default", "gz"), theirs, "pigz")
        if is_with_small:
            compare("small", self._cold("small", "zst", is_with_alone=False), theirs, "docker")

    def _cold(self, profile: str, form: str, *, is_with_alone: bool = True) -> Made:
        """Build with an empty store and cache, before that with a full store if asked."""
        alone = 0.0
        if is_with_alone:
            self._clear()
            peers.timed([*PROGRAM, "pull", *self.where, *self.endpoint])
            alone = self._airgap(profile, form).run.seconds
        self._clear()
        return replace(self._pulled(profile, form), alone=alone)

    def _clear(self) -> None:
        shutil.rmtree(self.root / "cache", ignore_errors=True)
        shutil.rmtree(self.root / "out", ignore_errors=True)

    def _unchanged(self, profile: str, form: str) -> Made:
        """Run several times again, and take the median."""
        pulled = [self._pulled(profile, form) for _ in range(ROUNDS)]
        alone = [self._airgap(profile, form).run.seconds for _ in range(ROUNDS)]
        median = sorted(pulled, key=lambda made: made.run.seconds)[ROUNDS // 2]
        return replace(median, alone=statistics.median(alone))

    def _pulled(self, profile: str, form: str) -> Made:
        return self._airgap(profile, form, "--pull", *self.endpoint)

    def _airgap(self, profile: str, form: str, *more: str) -> Made:
        output = self.root / "out" / profile
        options = ["--output", output, "--profile", profile, "--format", form, *more]
        run = peers.timed([*PROGRAM, "airgap", *self.where, *options])
        return Made(run=run, size=(output / f"{ARCHIVE}.{form}").stat().st_size)

    @property
    def where(self) -> list[str | Path]:
        """The options that every command gets."""
        return ["--quiet", "--tree", self.root / "tree", "--cache-dir", self.root / "cache"]

    @property
    def endpoint(self) -> list[str]:
        """The options with which docker.io is asked here."""
        return ["--endpoint", f"docker.io=http://{self.host}"]

    def _crane(self, crane: Path) -> Made:
        names = [f"{self.host}/{name}:v1" for name in self.repositories]
        tar = self.root / "crane.tar"
        pulled = peers.timed([crane, "pull", "--platform", PLATFORM, *names, tar])
        sorted_first = peers.timed(["sh", "-c", _reordering(tar)]) if BSDTAR else Run.nothing()
        packed = self._zstd(tar)
        print(f"  crane: pull {pulled.seconds:.2f} s, reorder {sorted_first.seconds:.2f} s, "
              f"zstd {packed.run.seconds:.2f} s")  # fmt: skip
        return Made(run=pulled + sorted_first + packed.run, size=packed.size)

    def _docker(self, docker: list[str]) -> dict[str, Made]:
        names = [f"{self.host}/{name}:v1" for name in self.repositories]
        tar, gz = self.root / "docker.tar", self.root / "docker.tar.gz"
        pull = " && ".join(f"{' '.join(docker)} pull -q {name}" for name in names)
        pulled = peers.timed(["sh", "-c", pull])
        saved = peers.timed([*docker, "save", "-o", tar, *names])
        packed = self._zstd(tar)
        print(f"  docker: pull {pulled.seconds:.2f} s, save {saved.seconds:.2f} s, "
              f"zstd {packed.run.seconds:.2f} s")  # fmt: skip
        pigz = peers.timed(["sh", "-c", f"pigz -c {tar} > {gz}"])
        return {
            "docker": Made(run=pulled + saved + packed.run, size=packed.size),
            "pigz": Made(run=pigz, size=gz.stat().st_size),
        }

    def _zstd(self, tar: Path) -> Made:
        target = tar.with_name(f"{tar.name}.zst")
        run = peers.timed([*ZSTD, tar, "-o", target])
        return Made(run=run, size=target.stat().st_size)

    def _parts(self, number: int) -> list[Layer]:
        """Return one of two bases, a layer of its own, and a small one as every image has."""
        small = images.layer_of([(f"etc/app{number}", f"app{number}".encode() * 200)])
        own = images.put_layer(self.made, small, images.packed(small))
        return [self.layers[number % 2], self.layers[number + 2], own]

    def _change_one(self) -> None:
        """Give one image another binary, as a patch release does."""
        number = len(self.repositories) - 1
        blob = self.made.path(self.layers[-1].blob.digest).read_bytes()
        tar = bytearray(images.unpacked(blob))
        tar[5000:5007] = b"changed"
        changed = bytes(tar)
        layer = images.put_layer(self.made, changed, images.packed(changed))
        self.push(number, [self.layers[number % 2], layer])

    def push(self, number: int, parts: list[Layer]) -> None:
        """Push an image, under the tag that the tree lists."""
        repository = self.repositories[number]
        described = images.put_manifest(self.made, "amd64", parts)
        manifest = self.made.document(described)
        for blob in images.blobs(manifest):
            self._push_blob(repository, blob)
        self.uploader.push_manifest(repository, manifest, "v1")

    def _push_blob(self, repository: str, blob: Descriptor) -> None:
        self.uploader.push_blob(repository, blob, self.made.path(blob.digest))

    def _write_tree(self) -> None:
        folder = self.root / "tree" / "charts-manifest"
        folder.mkdir(parents=True)
        (folder / "chart_versions.yaml").write_text("charts: []\n")
        components = {
            "registry": "docker.io",
            "platforms": [PLATFORM],
            "components": [{"name": "core"}],
        }
        (folder / "components.yaml").write_text(json.dumps(components))
        (folder / "versions.env").write_text("KUBERNETES_VERSION=v1.32.4\n")
        repositories = [{"name": "home", "url": "https://charts.example.com"}]
        (folder / "repositories.yaml").write_text(json.dumps({"repositories": repositories}))
        lines = "".join(f"docker.io/{name}:v1\n" for name in self.repositories)
        (self.root / "tree" / "images.txt").write_text(f"# component: core\n{lines}")


def _reordering(tar: Path) -> str:
    """Return the shell command with which upstream moves a tar's metadata to its front."""
    names = ("manifest.json", "repositories")
    first = " ".join(f"--include={name}" for name in names)
    rest = " ".join(f"--exclude={name}" for name in names)
    return (
        f"mv {tar} {tar}.tmp && bsdtar -c -f {tar} {first} @{tar}.tmp"
        f" && bsdtar -r -f {tar} {rest} @{tar}.tmp && rm {tar}.tmp"
    )


def compare(label: str, ours: Made, theirs: dict[str, Made], *names: str) -> None:
    """Print ours, and theirs beside it."""
    run = ours.run
    size = f"{ours.size / MEGABYTE:.1f} MB"
    print(f"{label:<28} {run.seconds:7.2f} s  {size:>9}  {run.megabytes:>4} MB memory")
    for name in names:
        if name in theirs:
            peer = theirs[name]
            ratio, more = peer.run.seconds / run.seconds, (ours.size / peer.size - 1) * 100
            alone = f" ({peer.run.seconds / ours.alone:.1f}x alone)" if ours.alone else ""
            print(f"    {name} {peer.run.seconds:.2f} s, {peer.size / MEGABYTE:.1f} MB: "
                  f"{ratio:.1f}x as fast{alone}, size {more:+.1f} %")  # fmt: skip
