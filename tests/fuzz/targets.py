"""Every target of the fuzzer: from bytes to nothing, or one of our errors.

A target is a function that is given the bytes of a file, a header or a line from
outside. An error of `rke2pack.errors` is an answer; anything else is a finding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rke2pack.errors import PackError
from tests.fuzz import charts, images, releases, trees

CORPUS: Final = Path(__file__).parent / "corpus"
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    **charts.TARGETS,
    **images.TARGETS,
    **trees.TARGETS,
    **releases.TARGETS,
}


def run(name: str, data: bytes) -> None:
    """Give a target some bytes; raises what is not one of our errors."""
    with contextlib.suppress(PackError):
        TARGETS[name](data)


def seeds(name: str) -> tuple[bytes, ...]:
    """What a target starts from: good input, and what was found with it once."""
    return tuple(path.read_bytes() for path in sorted((CORPUS / name).iterdir()))
