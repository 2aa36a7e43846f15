"""The code that kept results depend on, so that new code forgets old results."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import rke2pack.helm
import rke2pack.validate


@functools.cache
def code_digest() -> str:
    """Hash the modules of validation and of Helm charts."""
    digest = hashlib.sha256()
    for package in (rke2pack.helm, rke2pack.validate):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
