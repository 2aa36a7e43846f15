"""Where the parts of the node image are made, and of which versions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).resolve().parent
MADE: Final = SOURCE.parents[2] / ".nox/kind"
BIN: Final = MADE / "bin"
ROOTFS: Final = MADE / "rootfs"
IMAGES: Final = MADE / "images.tar"
NODE: Final = MADE / "node.tar"
"""What ``docker load`` takes."""

KUBERNETES: Final = "v1.32.5"
KIND: Final = "v0.33.0"
NAME: Final = f"docker.io/kindest/node:{KUBERNETES}"


def once(name: str, depends_on: Iterable[str | bytes], make: Callable[[], None]) -> None:
    """Make a part, unless it was made from the same; what another part is made of counts too."""
    state = hashlib.sha256()
    for each in depends_on:
        state.update(hashlib.sha256(each if isinstance(each, bytes) else each.encode()).digest())
    stamp = MADE / f"{name}.sha256"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == state.hexdigest():
        return
    stamp.unlink(missing_ok=True)
    MADE.mkdir(parents=True, exist_ok=True)
    make()
    stamp.write_text(state.hexdigest(), encoding="ascii")


def made(name: str) -> str:
    """Return what tells this state of a made part from others."""
    return (MADE / f"{name}.sha256").read_text(encoding="ascii")
