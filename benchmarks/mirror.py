"""Mirrors between two real registries beside skopeo and crane, as ratios of one run.

``nox -s bench -- mirror --megabytes 850`` takes images as large as ten of RKE2's. All
programs copy the same generated images from one docker-registry to another, on this machine;
crane is four processes at a time. crane is built by Go where it is
not on PATH; what cannot be had is left out, and said.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import images
import peers
from peers import PROGRAM, Run

from rke2pack.oci import model
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.store.layout import Layout

ARCHITECTURES = ("amd64", "arm64")


def main(arguments: list[str]) -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(prog="mirror", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=80, help="size of all layers unpacked")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rke2pack-bench-") as name, contextlib.ExitStack() as s:
        bench = Bench(Path(name), s.enter_context(peers.registry(Path(name) / "source")), options)
        print(f"{options.images} images, {options.megabytes} MB unpacked, {os.cpu_count()} cores")
        bench.cold()
        bench.unchanged(300)
        bench.growth()


class Bench:
    """A registry with images, and programs that copy them to another one."""

    def __init__(self, root: Path, source: str, options: argparse.Namespace) -> None:
        """Generate the images and push them to ``source``."""
        self.root, self.source, self.rounds = root, source, options.rounds
        self.crane = peers.crane(root)
        self.skopeo = shutil.which("skopeo")
        self.layout = Layout.open(root / "made")
        self.uploader = Uploader(Access(keychain=Keychain({})).registry(source))
        self.repositories = [f"example/app{number}" for number in range(options.images)]
        self.roots: list[model.Document] = []
        self._push_images(options.megabytes)

    def cold(self) -> None:
        """Copy all images to an empty registry, several times, each program in turn."""
        tags = {name: ["v1"] for name in self.repositories}
        found: dict[str, list[Run]] = {}
        for number in range(self.rounds):
            for label in self._programs():
                with peers.registry(self.root / f"cold-{label}-{number}") as target:
                    found.setdefault(label, []).append(self._run(label, target, tags))
                shutil.rmtree(self.root / f"cold-{label}-{number}")
        self._show("cold", found)

    def unchanged(self, count: int) -> None:
        """Copy many tags to a registry that has them all."""
        tags = self._tags(count)
        with peers.registry(self.root / "unchanged") as target:
            self._run("rke2pack", target, tags)
            found: dict[str, list[Run]] = {}
            for _ in range(self.rounds):
                for label in self._programs():
                    found.setdefault(label, []).append(self._run(label, target, tags))
            self._show(f"{count} unchanged tags", found)

    def growth(self) -> None:
        """Take four times as many tags, and show what one more costs."""
        with peers.registry(self.root / "growth") as target:
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

    def _run(self, label: str, target: str, tags: dict[str, list[str]]) -> Run:
        if label == "rke2pack":
            command = self._ours(target, tags)
        elif label == "skopeo":
            command = self._skopeo(target, tags)
        else:
            command = self._crane(target, tags)
        return peers.timed(command)

    def _ours(self, target: str, tags: dict[str, list[str]]) -> list[str]:
        names = [f"{self.source}/{name}:{tag}" for name, each in tags.items() for tag in each]
        where = ["--cache-dir", str(self.root / "cache"), "--tree", str(self.root)]
        return [*PROGRAM, "mirror", "--quiet", *where, target, *names]

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

    def _show(self, label: str, found: dict[str, list[Run]]) -> None:
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

    def _push_images(self, megabytes: int) -> None:
        """Push images for two platforms that share two bases, each with binaries of its own."""
        count = (len(self.repositories) + 2) * len(ARCHITECTURES)
        layers = images.layers(self.layout, count, megabytes)
        for number, repository in enumerate(self.repositories):
            manifests = {}
            for place, architecture in enumerate(ARCHITECTURES):
                own = layers[place :: len(ARCHITECTURES)]
                parts = [own[number % 2], own[number + 2]]
                manifests[architecture] = images.put_manifest(self.layout, architecture, parts)
                self._push_manifest(repository, manifests[architecture])
            index = self.layout.document(images.put_index(self.layout, manifests))
            self.uploader.push_manifest(repository, index, "v1")
            self.roots.append(index)

    def _push_manifest(self, repository: str, described: Descriptor) -> None:
        manifest = self.layout.document(described)
        for blob in images.blobs(manifest):
            self.uploader.push_blob(repository, blob, self.layout.path(blob.digest))
        self.uploader.push_manifest(repository, manifest, described.digest)
