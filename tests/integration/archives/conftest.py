"""Real consumers of archives, started on sockets and folders of their own and stopped by id."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack.files import Cache
from rke2pack.oci.pack import recipes
from rke2pack.oci.pack.packer import Found, Packer
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from tests.unit.oci.imaging import Packing, layer, put_image

Missing = Callable[[str, str], NoReturn]
PROFILES: tuple[ProfileName, ...] = ("fast", "default", "small")
FORMATS: tuple[Format, ...] = ("zst", "gz")
CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/c.sock"
[ttrpc]
  address = "{folder}/c.ttrpc"
"""


@dataclass(frozen=True, kw_only=True)
class Made:
    """An archive in its formats and unpacked; ``digests`` are the manifests' in the store."""

    path: Path
    form: Format
    tar: Path
    digests: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A client program that talks to its own daemon."""

    command: tuple[str, ...]

    def run(self, *arguments: str | Path, stdin: Path | None = None) -> str:
        """Run the client; it must succeed."""
        done = self.tried(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(
        self, *arguments: str | Path, stdin: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the client, whatever becomes of it."""
        with Path(stdin or os.devnull).open("rb") as handle:
            return subprocess.run(
                [*self.command, *map(str, arguments)],
                stdin=handle, capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip


@pytest.fixture(scope="session")
def program(missing: Missing) -> Callable[[str], str]:
    """Return a program's path, or skip."""

    def find(name: str) -> str:
        path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
        return shutil.which(name, path=path) or missing(name, f"{name} is not on PATH")

    return find


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for a socket's (107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="r2p-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def containerd_socket(
    short_folder: Path, program: Callable[[str], str], missing: Missing
) -> Iterator[Path]:
    if os.geteuid() != 0:
        missing("root", "containerd needs root")
    config = short_folder / "containerd.toml"
    config.write_text(CONFIG.format(folder=short_folder))
    socket = short_folder / "c.sock"
    ready = [program("ctr"), "--address", str(socket), "version"]
    command = [program("containerd"), "--config", str(config)]
    with started(command, ready, short_folder / "containerd.log"):
        yield socket


@pytest.fixture(scope="session")
def docker(
    containerd_socket: Path, short_folder: Path, program: Callable[[str], str]
) -> Iterator[Consumer]:
    """A docker engine without a network."""
    host = f"unix://{short_folder}/d.sock"
    command = [
        *(program("dockerd"), "--host", host, "--containerd", str(containerd_socket)),
        *("--data-root", f"{short_folder}/docker", "--exec-root", f"{short_folder}/exec"),
        *("--pidfile", f"{short_folder}/docker.pid", "--storage-driver", "vfs"),
        *("--iptables=false", "--ip6tables=false", "--bridge=none"),
    ]
    client = (program("docker"), "--host", host)
    with started(command, [*client, "info"], short_folder / "dockerd.log"):
        yield Consumer(command=client)


@pytest.fixture
def containerd(
    containerd_socket: Path, program: Callable[[str], str], request: pytest.FixtureRequest
) -> Consumer:
    """A client of containerd with a namespace of its own."""
    space = f"n{abs(hash(request.node.name))}"
    return Consumer(
        command=(program("ctr"), "--address", str(containerd_socket), "--namespace", space)
    )


class started:  # noqa: N801 - used as a context manager
    """A daemon that is waited for, and stopped by its own process id."""

    def __init__(self, command: list[str], ready: list[str], log: Path) -> None:
        self.command, self.ready, self.log = command, ready, log

    def __enter__(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while subprocess.run(self.ready, capture_output=True, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                pytest.fail(f"{self.command[0]} did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Images for two platforms that share layers: OCI and Docker, gzip, plain, zstd and mixed."""
    made = Layout.open(tmp_path_factory.mktemp("archives") / "store")
    base = layer({"bin/main": os.urandom(300_000) + bytes(3_000_000), "etc/base": b"base"})
    large = layer({"bin/large": os.urandom(1_000_000) + bytes(70 * 1024 * 1024)})
    kinds: dict[str, tuple[Packing, ...]] = {
        "gzipped": ("gzip", "gzip"),
        "dockers": ("gzip", "gzip"),
        "plain": ("none", "none"),
        "zstandard": ("zstd", "zstd"),
        "mixed": ("gzip", "none"),
    }
    for number, (name, packings) in enumerate(kinds.items()):
        shared = (base, large)[number == 0]

        def layers(
            platform: str,
            name: str = name,
            packings: tuple[Packing, ...] = packings,
            shared: bytes = shared,
        ) -> list[tuple[bytes, Packing]]:
            own = layer({f"etc/{name}": platform.encode() * 300})
            return [(shared, packings[0]), (own, packings[1])]

        put_image(made, f"docker.io/example/{name}:v{number}", layers, is_docker=name == "dockers")
    return made


@pytest.fixture(scope="session")
def make(
    layout: Layout, tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]
) -> Callable[..., Made]:
    """Make an archive of all images, each only once."""
    known: dict[tuple[ProfileName, Format, str], Made] = {}
    folder = tmp_path_factory.mktemp("made")

    def call(profile: ProfileName, form: Format, platform: str = "linux/amd64") -> Made:
        key = (profile, form, platform)
        if key not in known:
            store = Store(layout=layout)
            images = []
            for name in store.names:
                reference = Reference.parse(name)
                manifest, own = store.manifest(reference, Platform.parse(platform))
                images.append(Found(reference=reference, manifest=manifest, platform=own))
            name = f"{profile}-{platform.replace('/', '-')}"
            path = folder / f"{name}.tar.{form}"
            recipe = recipes.recipe(profile, form)
            packer = Packer(store=store, cache=Cache(folder / "cache"), recipe=recipe)
            packer.pack(path, images)
            tar = folder / f"{name}-{form}.tar"
            tool = program("zstd" if form == "zst" else "gzip")
            with tar.open("wb") as out:
                subprocess.run([tool, "-dc", path], stdout=out, check=True)
            digests = {str(i.reference): str(i.manifest.descriptor.digest) for i in images}
            known[key] = Made(path=path, form=form, tar=tar, digests=digests)
        return known[key]

    return call
