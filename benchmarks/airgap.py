"""Archives beside the recipes that they replace, as ratios of one run on generated images.

``python benchmarks/airgap.py --megabytes 850`` takes images as large as ten of RKE2's. The peers
get the tars that ``crane pull`` and ``docker save`` would have written, ready made: what they
take to write them is not counted.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor
from rke2pack.oci.store.layout import Layout

PROGRAM = [sys.executable, "-m", "rke2pack", "airgap", "--quiet"]
ZSTD = ["zstd", "-T0", "-16", "--long=25", "-f", "-q"]
PLATFORM = "linux/amd64"
MEGABYTE = 1_000_000
MIN_BINARY = 200_000
WATCH = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command took and made."""

    seconds: float
    size: int
    megabytes: int


def main() -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=80, help="size of all layers unpacked")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--without-small", action="store_true", help="leave out the slow profile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rke2pack-bench-") as name:
        bench = Bench(Path(name), options.images, options.megabytes)
        print(f"{options.images} images, {options.megabytes} MB unpacked, {os.cpu_count()} cores")
        bench.measure(is_with_small=not options.without_small)


class Bench:
    """Images, a tree that lists them, and the tars that the peers start from."""

    def __init__(self, root: Path, images: int, megabytes: int) -> None:
        """Generate everything below ``root``."""
        self.root = root
        self.layout = Layout.open(root / "cache" / "store")
        self.binaries = list(binaries(megabytes * MEGABYTE))
        self.names = [f"docker.io/example/app{number}:v1" for number in range(images)]
        self._put_images()
        self._write_tree()

    def measure(self, *, is_with_small: bool) -> None:
        """Run ours and theirs, and print the ratios."""
        crane, docker = self._peer_tar("fast"), self._peer_tar("default")
        cold = {"crane": peer([*ZSTD, str(crane), "-o", str(self.root / "crane.tar.zst")])}
        cold["docker"] = peer([*ZSTD, str(docker), "-o", str(self.root / "docker.tar.zst")])
        cold["pigz"] = peer(["sh", "-c", f"pigz -c {docker} > {self.root}/docker.tar.gz"])
        for label, run in cold.items():
            show(f"peer: {label}", run)
        self._compare("fast", self._ours("fast", "zst"), cold["crane"])
        default = self._ours("default", "zst")
        self._compare("default", default, cold["crane"])
        self._compare("default, beside the docker archive", default, cold["docker"])
        self._compare("default .tar.gz after .tar.zst", self._ours("default", "gz"), cold["pigz"])
        self._compare("nothing changed", self._ours("default", "zst"), cold["crane"])
        self._change_one()
        self._compare("one image changed", self._ours("default", "zst"), cold["crane"])
        self._forget()
        self._compare("default .tar.gz, cold", self._ours("default", "gz"), cold["pigz"])
        if is_with_small:
            self._compare("small, beside the docker archive", self._ours("small", "zst"),
                          cold["docker"])  # fmt: skip

    def _compare(self, label: str, ours: Run, theirs: Run) -> None:
        show(label, ours)
        size = (ours.size / theirs.size - 1) * 100
        print(f"{'':<36} {theirs.seconds / ours.seconds:.1f}x as fast, size {size:+.1f} %")

    def _ours(self, profile: str, form: str) -> Run:
        output = self.root / "out" / profile
        command = [*PROGRAM, "--tree", str(self.root / "tree"), "--output", str(output)]
        command += ["--cache-dir", str(self.root / "cache"), "--profile", profile]
        seconds, megabytes = timed([*command, "--format", form])
        archive = output / f"rke2-images-core.linux-amd64.tar.{form}"
        return Run(seconds=seconds, size=archive.stat().st_size, megabytes=megabytes)

    def _peer_tar(self, profile: str) -> Path:
        """Make the tar of a recipe: ours with the same layers is the same but for its order."""
        self._ours(profile, "gz")
        source = self.root / "out" / profile / "rke2-images-core.linux-amd64.tar.gz"
        target = self.root / f"{profile}.tar"
        with gzip.open(source) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, MEGABYTE)
        self._forget()
        return target

    def _forget(self) -> None:
        shutil.rmtree(self.root / "out", ignore_errors=True)
        for name in ("frames", "layers", "archives"):
            shutil.rmtree(self.root / "cache" / name, ignore_errors=True)

    def _put_images(self) -> None:
        """Put images that share two bases, each with binaries of its own."""
        count = len(self.names)
        tars = [layer_of(self.binaries[number :: count + 2]) for number in range(count + 2)]
        with ThreadPoolExecutor() as pool:
            layers = [
                self._put_layer(*pair) for pair in zip(tars, pool.map(packed, tars), strict=True)
            ]
        for number, name in enumerate(self.names):
            own = layer_of([(f"etc/{name}", name.encode() * 200)])
            parts = [layers[number % 2], layers[number + 2], self._put_layer(own, packed(own))]
            self._put_image(name, parts)

    def _change_one(self) -> None:
        """Change one binary of one image, as a new patch release does."""
        name = self.names[-1]
        count = len(self.names)
        files = [(n, data[:5000] + b"changed" + data[5007:]) for n, data in
                 self.binaries[count + 1 :: count + 2]]  # fmt: skip
        tar = layer_of(files)
        self._put_image(name, [self._put_layer(tar, packed(tar))])

    def _put_layer(self, tar: bytes, data: bytes) -> tuple[Digest, dict[str, object]]:
        kind = f"{media.OCI_LAYER}+gzip"
        blob = Descriptor(media_type=kind, digest=self.layout.put(data), size=len(data))
        return Digest.of(tar), blob.to_json()

    def _put_image(self, name: str, layers: Sequence[tuple[Digest, dict[str, object]]]) -> None:
        rootfs = {"type": "layers", "diff_ids": [str(diff_id) for diff_id, _ in layers]}
        config = as_json({"os": "linux", "architecture": "amd64", "rootfs": rootfs})
        described = Descriptor(
            media_type=media.OCI_CONFIG, digest=self.layout.put(config), size=len(config)
        )
        raw = as_json(
            {
                "schemaVersion": 2,
                "mediaType": media.OCI_MANIFEST,
                "config": described.to_json(),
                "layers": [blob for _, blob in layers],
            }
        )
        root = Descriptor(media_type=media.OCI_MANIFEST, digest=self.layout.put(raw), size=len(raw))
        self.layout.tag({name: root})

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
        lines = "".join(f"{name}\n" for name in self.names)
        (self.root / "tree" / "images.txt").write_text(f"# component: core\n{lines}")


def binaries(wanted: int) -> Iterator[tuple[str, bytes]]:
    """Yield this machine's programs and libraries, largest not first, up to ``wanted`` bytes.

    Where they do not suffice, they come again with other bytes in between.
    """
    folders = [Path(name) for name in ("/usr/local", "/usr/bin", "/usr/sbin", "/usr/lib")]
    found = [path for folder in folders for path in folder.rglob("*") if is_program(path)]
    found.sort(key=lambda path: hashlib.sha256(str(path).encode()).digest())
    for turn in range(100):
        for path in found:
            data = path.read_bytes()[:wanted]
            wanted -= len(data)
            salt = hashlib.sha256(f"{turn}".encode()).digest()
            yield (
                f"{turn}{path}",
                data
                if turn == 0
                else bytes(
                    b"".join(
                        data[start : start + 4000] + salt for start in range(0, len(data), 4000)
                    )
                ),
            )
            if not wanted:
                return


def is_program(path: Path) -> bool:
    """Whether a file is an ELF file of some size."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size < MIN_BINARY:
        return False
    with path.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"


def layer_of(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a layer's tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def packed(tar: bytes) -> bytes:
    """Return a layer as registries have it."""
    return gzip.compress(tar, 6, mtime=0)


def peer(command: Sequence[str]) -> Run:
    """Run a peer; its output is its last argument's file or what the shell redirects to."""
    seconds, megabytes = timed(command)
    output = Path(command[-1].rpartition("> ")[2])
    return Run(seconds=seconds, size=output.stat().st_size, megabytes=megabytes)


def timed(command: Sequence[str]) -> tuple[float, int]:
    """Run a command; return its wall time in seconds and its largest memory in MB."""
    # A child's figure begins with its parent's size, so a small process stands between.
    watched = [sys.executable, "-c", WATCH, *command]
    done = subprocess.run(watched, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: ended with {done.returncode}")
    seconds, kilobytes = done.stdout.split()
    return float(seconds), int(kilobytes) * 1024 // MEGABYTE


def show(label: str, run: Run) -> None:
    """Print one run."""
    size = f"{run.size / MEGABYTE:.1f} MB"
    print(f"{label:<36} {run.seconds:7.2f} s  {size:>10}  {run.megabytes:>4} MB memory")


def as_json(document: Mapping[str, object]) -> bytes:
    """Return a document's bytes."""
    return json.dumps(document).encode()


if __name__ == "__main__":
    main()
