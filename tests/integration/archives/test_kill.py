"""kill -9 at any moment: no half archive under its name, and the next run is as if nothing was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.imaging import layer, put_image

KILLS = 40
PROGRAM = """
import sys
from pathlib import Path

from rke2pack.files import Cache
from rke2pack.oci.pack import recipes
from rke2pack.oci.store.names import Store
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.pack.packer import Found, Packer
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference

root, cache, form = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
store = Store(layout=Layout.open(root / "store"))
images = []
for name in store.names:
    reference = Reference.parse(name)
    manifest, platform = store.manifest(reference, Platform.parse("linux/amd64"))
    images.append(Found(reference=reference, manifest=manifest, platform=platform))
packer = Packer(store=store, cache=Cache(cache), recipe=recipes.recipe("default", form),
                max_size=300_000)
packer.pack(cache / "out" / f"a.tar.{form}", images)
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["zst", "gz"])
def test_killed_run_leaves_no_half_archive_and_is_taken_up(tmp_path: Path, form: str) -> None:
    store = Layout.open(tmp_path / "store")
    for number in range(6):
        tars = [layer({f"{number}": os.urandom(60_000) + bytes(200_000)}), layer({"shared": b"1"})]
        put_image(store, f"docker.io/example/app{number}:v1", [(t, "gzip") for t in tars])

    def command(cache: Path) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(tmp_path), str(cache), form]

    started = time.monotonic()
    subprocess.run(command(tmp_path / "whole"), check=True)
    took = time.monotonic() - started
    expected = archives(tmp_path / "whole")
    assert len(expected) == 2
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    killed = 0
    cache = tmp_path / "cache"
    for _ in range(KILLS):
        process = subprocess.Popen(command(cache))
        time.sleep(chance.uniform(0.05, took * 1.1))
        process.send_signal(signal.SIGKILL)
        was_killed = process.wait() == -signal.SIGKILL
        killed += was_killed
        # The machine may be quicker or slower than it was when the whole run was timed.
        took *= 1.02 if was_killed else 0.85
        found = archives(cache)
        assert all(expected[name] == digest for name, digest in found.items())
        if len(found) == len(expected):
            for path in (cache / "out").iterdir():
                path.unlink()
    assert killed > KILLS // 3
    subprocess.run(command(cache), check=True)
    assert archives(cache) == expected
    assert sorted(path.name for path in (cache / "out").iterdir()) == sorted(expected)


def archives(cache: Path) -> dict[str, Digest]:
    """Name -> digest of what has a final name."""
    folder = cache / "out"
    return {
        path.name: Digest.of(path.read_bytes())
        for path in (folder.iterdir() if folder.exists() else ())
        if not path.name.startswith(".")
    }
