"""The commands that a campaign kills, and what must be so after it and after the next run."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack.digest import Digest
from rke2pack.oci.store.layout import Layout
from rke2pack.settings import Settings

CHART, VERSION, COMPONENT = "harvester-cloud-provider", "0.2.10", "harvester"
TARGET = "registry.example.com"
TAG = "v1.32.4+rke2r1"
_PART = ("--component", COMPONENT)
_NEW = "dist/artifacts"
_ARCHIVE = "rke2-images-{}.linux-amd64.tar.zst"
_PAIR = ("flannel", "canal")  # a base, and what shares layers with it
_BOTH = tuple(part for name in _PAIR for part in ("--component", name))
_OUT = ("--output", "{tree}/dist/deltas")
_TRACKED = ("charts-manifest", "images.txt", "images.lock")
State = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A folder with a tree and a cache, in the lab that is open."""

    root: Path
    lab: Settings
    number: int = 0

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def call(self, *arguments: str) -> list[str]:
        """Return the command line of one rke2pack in this folder, with the lab's addresses."""
        word = arguments[0]
        assert self.lab.lab is not None
        registry = self.lab.lab.registry.rstrip("/")
        is_travel = arguments[:2] in {("cache", "push"), ("cache", "pull")}
        options = ["--quiet", "--cache-dir", str(self.cache)]
        if word not in {"cache", "delta"} or is_travel:
            options += ["--tree", str(self.tree)]
        if word in {"bump", "charts", "images", "release", "report"}:
            options += ["--charts-repo", str(self.lab.charts_repo)]
        if word in {"pull", "mirror"} or {"--lock", "--pull"} & {*arguments} or is_travel:
            for host in ("docker.io", TARGET):
                options += ["--endpoint", f"{host}={registry}/{host}"]
        return [sys.executable, "-m", "rke2pack", *arguments, *options]


def digests(folder: Path) -> State:
    """Path -> digest of every file below a folder that has its final name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:])
    }


def tracked(bench: Bench) -> State:
    """Return the files of the tree that people own."""
    found = digests(bench.tree)
    return {name: digest for name, digest in found.items() if name.startswith(_TRACKED)}


def _store(bench: Bench) -> State:
    """Return the names of the store with their digests; every blob is held against its own."""
    layout = Layout(bench.cache / "store")
    blobs = layout.root / "blobs/sha256"
    for path in blobs.iterdir() if blobs.is_dir() else ():
        assert Digest.of(path.read_bytes()).hex == path.name, f"{path} is not what it says"
    if not (layout.root / "index.json").is_file():
        return {}
    return {entry.name: str(entry.descriptor.digest) for entry in layout.entries()}


def _mirrored(bench: Bench) -> State:
    assert bench.lab.lab is not None
    prefix = f"{TARGET}/run{bench.number}/"
    entries = Layout(bench.lab.lab.fill()).entries()
    return {
        e.name.removeprefix(prefix): str(e.descriptor.digest)
        for e in entries
        if e.name.startswith(prefix)
    }


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A command; ``needs`` are commands before it, ``state`` what counts of its work.

    After a kill each item of ``state`` is as it was before or as it will be; where
    ``is_whole``, all of them are the one or the other, once a reading command has
    opened the tree.
    """

    name: str
    command: tuple[str, ...]
    state: Callable[[Bench], State]
    needs: tuple[tuple[str, ...], ...] = ()
    is_whole: bool = False


def _below(folder: str) -> Callable[[Bench], State]:
    return lambda bench: digests(bench.tree / folder)


_PULL = ("pull", *_PART)
_AIRGAP = ("airgap", *_PART, "--profile", "default")
SCENARIOS = (
    Scenario(name="bump", command=("bump", CHART, VERSION), state=tracked, is_whole=True),
    Scenario(
        name="images",
        command=("images",),
        needs=(("stale-list",),),
        state=tracked,
        is_whole=True,
    ),
    Scenario(name="pull", command=_PULL, state=_store),
    Scenario(name="mirror", command=("mirror", f"{TARGET}/run{{number}}", *_PART), state=_mirrored),
    Scenario(name="airgap", command=_AIRGAP, needs=(_PULL,), state=_below(_NEW)),
    Scenario(
        name="airgap-pull",
        command=(*_AIRGAP, "--pull"),
        state=lambda bench: {**_store(bench), **_below(_NEW)(bench)},
    ),
    Scenario(
        name="delta",
        command=("delta", *(f"{{tree}}/{_NEW}/{_ARCHIVE.format(name)}" for name in _PAIR), *_OUT),
        needs=(("pull", *_BOTH), ("airgap", *_BOTH)),
        state=_below("dist/deltas"),
    ),
    Scenario(
        name="release",
        command=("release", TAG, "--without-validation", "--since", "{tree}"),
        needs=(("pull",), ("airgap", "--profile", "fast"), ("charts",)),
        state=_below("dist/release"),
    ),
)


def fill(bench: Bench, command: tuple[str, ...]) -> tuple[str, ...]:
    """Put the bench's folder and number into a command."""
    return tuple(
        part.replace("{tree}", str(bench.tree)).replace("{number}", str(bench.number))
        for part in command
    )


def make_stale(bench: Bench) -> None:
    """Take a line out of images.txt."""
    path = bench.tree / "images.txt"
    lines = path.read_text().splitlines(keepends=True)
    del lines[next(i for i, line in enumerate(lines) if "kube-vip" in line)]
    path.write_text("".join(lines))


def copied(lab: Settings, root: Path, number: int) -> Bench:
    """Lay out a new bench with the lab's tree."""
    bench = Bench(root=root, lab=lab, number=number)
    shutil.copytree(lab.tree, bench.tree, ignore=shutil.ignore_patterns("dist", ".rke2pack"))
    return bench
