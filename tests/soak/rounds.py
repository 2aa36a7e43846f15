"""Many images, several rounds of pull, mirror and airgap: ``python -m tests.soak.rounds``.

Each command is a process of its own that tells its largest memory and its open
files at the end. They must not grow with the rounds, and hardly with the images.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from tests.contract.oci import images
from tests.integration.oci.conftest import running
from tests.integration.oci.test_registries import send

COMMANDS = ("pull", "mirror", "airgap")
# The kernel's own count of this program's memory; rusage would count its parent's too.
_MEASURED = """
import json, os, re, sys
from pathlib import Path
from tests.contract.oci.runner import _run

code = _run(sys.argv[1:], os.environ)
memory = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps([memory, len(os.listdir("/proc/self/fd"))]))
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How one command of one round went."""

    command: str
    number: int
    memory: int
    files: int
    seconds: float


def rounds(folder: Path, *, count: int, repeated: int, missing: object) -> Iterator[Ran]:
    """Fill a registry with ``count`` images and take them through every command, repeatedly."""
    with running(folder / "source", missing) as source, running(folder / "target", missing) as to:  # type: ignore[arg-type]
        names = _filled(source, folder, count)
        tree = folder / "tree"
        shutil.copytree("charts-manifest", tree / "charts-manifest")
        lines = "".join(f"docker.io/rancher/{name}:v1\n" for name in names)
        (tree / "images.txt").write_text(f"# component: core (linux/amd64)\n{lines}")
        there = ["--tree", str(tree), "--cache-dir", str(folder / "cache"), "--quiet"]
        part = ["--component", "core", "--platform", "linux/amd64"]
        from_source = ["--endpoint", f"docker.io=http://{source}"]
        calls = {
            "pull": ["pull", *part, *from_source, *there],
            "mirror": ["mirror", to, *part[:2], *from_source, *there],
            "airgap": ["airgap", *part, *there],
        }
        for number in range(1, repeated + 1):
            for command in COMMANDS:
                yield _measured(command, number, calls[command])


def _filled(host: str, folder: Path, count: int) -> list[str]:
    uploader = Uploader(Access(keychain=Keychain({})).registry(host))
    names = [f"image{number}" for number in range(count)]
    shared = images.noise(20_000, 0)
    for number, name in enumerate(names, start=1):
        made = images.manifest(layers=[shared, images.noise(2_000, number)])
        layout = images.write(folder / "made", {name: made})
        send(uploader, layout, made, f"rancher/{name}")
    return names


def _measured(command: str, number: int, call: list[str]) -> Ran:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *call], check=False, capture_output=True, text=True
    )
    if done.returncode:
        msg = f"{command}, round {number}: {done.stderr}"
        raise AssertionError(msg)
    memory, files = json.loads(done.stdout.splitlines()[-1])
    seconds = time.monotonic() - started
    return Ran(command=command, number=number, memory=memory, files=files, seconds=seconds)


def main(arguments: list[str]) -> int:
    """Run the rounds and print a line for each command of each."""
    parser = argparse.ArgumentParser(prog="nox -s soak --")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)

    def absent(_: str, reason: str) -> NoReturn:
        sys.exit(reason)

    with tempfile.TemporaryDirectory() as folder:
        every = list(
            rounds(Path(folder), count=asked.images, repeated=asked.rounds, missing=absent)
        )
    for each in every:
        sys.stdout.write(
            f"round {each.number} {each.command:7} {each.memory / 1e6:6.1f} MB "
            f"{each.files:3} files {each.seconds * 1000 / asked.images:6.2f} ms an image\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
