"""Mirrors between two real registries beside skopeo and crane, as ratios of one run.

``python benchmarks/mirror.py --megabytes 850`` takes images as large as ten of RKE2's. All
programs copy the same generated images from one docker-registry to another, on this machine;
crane is four processes at a time. What is not on PATH is left out, and said.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from airgap import MEGABYTE, as_json, binaries, layer_of, packed, timed

from rke2pack.digest import Digest
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.store.layout import Layout

PROGRAM = [sys.executable, "-m", "rke2pack", "mirror", "--quiet"]
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One program's run."""

    seconds: float
    megabytes: int


def main() -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=80, help="size of all layers unpacked")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crane", default="crane", help="the program, or where it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rke2pack-bench-") as name, contextlib.ExitStack() as s:
        bench = Bench(Path(name), s.enter_context(registry(Path(name) / "source")), options)
        print(f"{options.images} images, {options.megabytes} MB unpacked, {os.cpu_count()} cores")
        bench.cold()
        bench.unchanged(300)
        bench.growth()


class Bench:
    """A registry with images, and programs that copy them to another one."""

    def __init__(self, root: Path, source: str, options: argparse.Namespace) -> None:
        """Generate the images and push them to ``source``."""
        self.root, self.source, self.rounds = root, source, options.rounds
        self.crane = shutil.which(options.crane)
        self.skopeo = shutil.which("skopeo")
        self.layout = Layout.open(root / "made")
        self.uploader = Uploader(Access(keychain=Keychain({})).registry(source))
        self.repositories = [f"example/app{number}" for number in range(options.images)]
        self.roots: list[model.Document] = []
        self._push_images(list(binaries(options.megabytes * MEGABYTE)))

    def cold(self) -> None:
        """Copy all images to an empty registry, several times, each program in turn."""
        tags = {name: ["v1"] for name in self.repositories}
        found: dict[str, list[Figure]] = {}
        for number in range(self.rounds):
            for label in self._programs():
                with registry(self.root / f"cold-{label}-{number}") as target:
                    found.setdefault(label, []).append(self._run(label, target, tags))
                shutil.rmtree(self.root / f"cold-{label}-{number}")
        self._show("cold", found)

    def unchanged(self, count: int) -> None:
        """Copy many tags to a registry that has them all."""
        tags = self._tags(count)
        with registry(self.root / "unchanged") as target:
            self._run("rke2pack", target, tags)
            found: dict[str, list[Figure]] = {}
            for _ in range(self.rounds):
                for label in self._programs():
                    found.setdefault(label, []).append(self._run(label, target, tags))
            self._show(f"{count} unchanged tags", found)

    def growth(self) -> None:
        """Take four times as many tags, and show what one more costs."""
        with registry(self.root / "growth") as target:
            seconds = {}
            for count in (250, 1000):
                tags = self._tags(count)
                self._run("rke2pack", target, tags)
                runs = [self._run("rke2pack", target, tags) for _ in range(self.rounds)]
                seconds[count] = min(run.seconds for run in runs)
                memory = max(run.megabytes for run in runs)
                each = seconds[count] / count * 1000
                print(f"{count} unchanged tags: {seconds[count]:.2f} s, {each:.2f} ms a tag, "
                      f"{memory} MB memory")  # fmt: skip
            more = (seconds[1000] - seconds[250]) / 750 * 1000
            print(f"one tag more costs {more:.2f} ms")

    def _programs(self) -> list[str]:
        found = {"rke2pack": True, "skopeo": self.skopeo, "crane": self.crane}
        return [label for label, there in found.items() if there]

    def _run(self, label: str, target: str, tags: dict[str, list[str]]) -> Figure:
        if label == "rke2pack":
            command = self._ours(target, tags)
        elif label == "skopeo":
            command = self._skopeo(target, tags)
        else:
            command = self._crane(target, tags)
        seconds, megabytes = timed(command)
        return Figure(seconds=seconds, megabytes=megabytes)

    def _ours(self, target: str, tags: dict[str, list[str]]) -> list[str]:
        names = [f"{self.source}/{name}:{tag}" for name, each in tags.items() for tag in each]
        where = ["--cache-dir", str(self.root / "cache"), "--tree", str(self.root)]
        return [*PROGRAM, *where, target, *names]

    def _skopeo(self, target: str, tags: dict[str, list[str]]) -> list[str]:
        wanted = self.root / "sync.yaml"
        wanted.write_text(json.dumps({self.source: {"tls-verify": False, "images": tags}}))
        options = ["--src", "yaml", "--dest", "docker", "--all", "--dest-tls-verify=false"]
        place = f"{target}/example"
        command = ["skopeo", "--insecure-policy", "sync", *options, str(wanted), place]
        return ["sh", "-c", f"exec {' '.join(command)} 2>/dev/null"]

    def _crane(self, target: str, tags: dict[str, list[str]]) -> list[str]:
        names = [f"{name}:{tag}" for name, each in tags.items() for tag in each]
        pairs = self.root / "pairs"
        pairs.write_text("".join(f"{self.source}/{n} {target}/{n}\n" for n in names))
        copy = f"xargs -P 4 -L 1 {self.crane} copy --insecure < {pairs}"
        return ["sh", "-c", f"{copy} 2>/dev/null"]

    def _show(self, label: str, found: dict[str, list[Figure]]) -> None:
        best = {name: min(run.seconds for run in runs) for name, runs in found.items()}
        for name, runs in found.items():
            memory = max(run.megabytes for run in runs)
            ratio = best[name] / best["rke2pack"]
            print(f"{label}: {name:<9} {best[name]:7.2f} s  {memory:>4} MB memory  {ratio:.1f}x")
        for name in ("skopeo", "crane"):
            if name not in found:
                print(f"{label}: no {name} on PATH")

    def _tags(self, count: int) -> dict[str, list[str]]:
        """Give the images so many tags in all, and put them where they are not yet."""
        found: dict[str, list[str]] = {}
        for number in range(count):
            place = number % len(self.repositories)
            tag = f"t{number}"
            found.setdefault(self.repositories[place], []).append(tag)
            self.uploader.push_manifest(self.repositories[place], self.roots[place], tag)
        return found

    def _push_images(self, files: list[tuple[str, bytes]]) -> None:
        """Push images for two platforms that share two bases, each with binaries of its own."""
        count = (len(self.repositories) + 2) * len(ARCHITECTURES)
        tars = [layer_of(files[number::count]) for number in range(count)]
        with ThreadPoolExecutor() as pool:
            data = list(pool.map(packed, tars))
        layers = [
            (Digest.of(tar), Descriptor(media_type=f"{media.OCI_LAYER}+gzip",
                                        digest=self.layout.put(blob), size=len(blob)))
            for tar, blob in zip(tars, data, strict=True)
        ]  # fmt: skip
        for number, repository in enumerate(self.repositories):
            children = []
            for place, architecture in enumerate(ARCHITECTURES):
                own = layers[place :: len(ARCHITECTURES)]
                parts = [own[number % 2], own[number + 2]]
                manifest = self._push_manifest(repository, architecture, parts)
                entry = manifest.descriptor.to_json()
                platform = {"os": "linux", "architecture": architecture}
                children.append({**entry, "platform": platform})
            raw = as_json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": children})
            index = model.parse(raw, media_type=media.OCI_INDEX, what=repository)
            self.uploader.push_manifest(repository, index, "v1")
            self.roots.append(index)

    def _push_manifest(
        self, repository: str, architecture: str, layers: Sequence[tuple[Digest, Descriptor]]
    ) -> model.Document:
        rootfs = {"type": "layers", "diff_ids": [str(diff_id) for diff_id, _ in layers]}
        config = as_json({"os": "linux", "architecture": architecture, "rootfs": rootfs})
        described = Descriptor(
            media_type=media.OCI_CONFIG, digest=self.layout.put(config), size=len(config)
        )
        raw = as_json(
            {
                "schemaVersion": 2,
                "mediaType": media.OCI_MANIFEST,
                "config": described.to_json(),
                "layers": [blob.to_json() for _, blob in layers],
            }
        )
        for blob in (described, *(blob for _, blob in layers)):
            self.uploader.push_blob(repository, blob, self.layout.path(blob.digest))
        manifest = model.parse(raw, media_type=media.OCI_MANIFEST, what=repository)
        self.uploader.push_manifest(repository, manifest, manifest.descriptor.digest)
        return manifest


@contextlib.contextmanager
def registry(root: Path) -> Iterator[str]:
    """Run an empty docker-registry for the length of a block; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    root.mkdir()
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}},
        "http": {"addr": host},
    }
    (root / "config.yml").write_text(json.dumps(settings))
    with (root / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(root / "config.yml")]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(host)
            yield host
        finally:
            server.terminate()
            server.wait()


def wait_for(host: str) -> None:
    """Wait until a registry answers."""
    for _ in range(200):
        connection = http.client.HTTPConnection(host)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    sys.exit(f"{host}: docker-registry does not answer")


if __name__ == "__main__":
    main()
