"""Make the node image; every part that is there already is kept."""

from __future__ import annotations

import os
import sys
import time

from tests.kind.node import images, programs, rootfs
from tests.kind.node.places import NAME, NODE

STEPS = (rootfs.debian, programs.make, images.cluster, rootfs.complete, images.node)


def main() -> None:
    """Run the steps in their order."""
    absent = images.needed()
    if absent:
        sys.exit(f"cannot make a node image: no {', '.join(absent)}; apt-get install them")
    if os.geteuid() != 0:
        sys.exit("cannot make a node image: debootstrap needs root")
    for step in STEPS:
        start = time.monotonic()
        step()
        spent = time.monotonic() - start
        print(f"{step.__module__}.{step.__name__}  {spent:.1f}s", flush=True)  # noqa: T201
    print(f"{NODE}  {NODE.stat().st_size}  {NAME}")  # noqa: T201


if __name__ == "__main__":
    main()
