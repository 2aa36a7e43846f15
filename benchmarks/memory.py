"""Memory: what pull, mirror and airgap hold, with one large layer.

``nox -s bench -- memory --gigabytes 8`` makes an image whose one layer is that large, unpacked and
as a blob (it needs four times that room), and prints the largest memory of each command.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import airgap
import images
import peers
from peers import PROGRAM

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor
from rke2pack.oci.pack import tarball

_BLOCK = 4 * 1024 * 1024


def main(arguments: list[str]) -> None:
    """Measure, and print one line a command."""
    parser = argparse.ArgumentParser(prog="memory", description=__doc__)
    parser.add_argument("--gigabytes", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="r2p-") as name, ExitStack() as stack:
        root = Path(name)
        source = stack.enter_context(peers.registry(root / "source"))
        target = stack.enter_context(peers.registry(root / "target"))
        bench = airgap.Bench(root, source, 1, 4)
        push(bench, options.gigabytes * 1000**3)
        print(f"one layer of {options.gigabytes} GB")
        where = [*bench.where, *bench.endpoint]
        show("mirror", peers.timed([*PROGRAM, "mirror", target, *where, "--no-referrers"]))
        show("pull", peers.timed([*PROGRAM, "pull", *where]))
        for profile in ("fast", "default"):
            archive = root / "out" / profile
            run = peers.timed([*PROGRAM, "airgap", *bench.where, "--output", archive,
                               "--profile", profile])  # fmt: skip
            show(f"airgap --profile {profile}", run)
            show(f"verify ({profile})", peers.timed([*PROGRAM, "verify", "--quiet", archive]))


def push(bench: airgap.Bench, size: int) -> None:
    """Give the image a plain layer of ``size`` bytes, made while it is written."""
    staged = bench.made.stage(layer(size))
    bench.made.adopt(staged)
    blob = Descriptor(media_type=media.OCI_LAYER, digest=staged.digest, size=staged.size)
    bench.push(0, [images.Layer(diff_id=Digest(staged.digest.hex), blob=blob)])


def layer(size: int) -> Iterator[bytes]:
    """Yield a tar with one file, half of it zeros and half of it by chance."""
    content = size - 3 * tarball.BLOCK
    yield tarball.header("file", content)
    left, number = content, 0
    while left:
        seed = hashlib.shake_256(str(number).encode())
        block = (seed.digest(_BLOCK // 2) + bytes(_BLOCK // 2))[:left]
        yield block
        left, number = left - len(block), number + 1
    yield tarball.padding(content) + tarball.END


def show(label: str, run: peers.Run) -> None:
    """Print one run."""
    print(f"{label:<28} {run.seconds:7.2f} s  {run.megabytes:>4} MB memory")
