"""Digests of large files: read once, then known by path, size and time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import PackError
from rke2pack.files import Cache
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.pack import buildrecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Tells digests; what airgap recorded of an archive that nobody touched is taken as it is.

    A digest that is believed so is proved when the file is sent, and by `verify`.
    """

    cache: Cache

    def of(self, path: Path) -> tuple[int, Digest]:
        """Return size and digest of a file; raises ToolError."""
        with files.reported("read", path):
            before = path.stat()
            state = (before.st_size, before.st_mtime_ns)
            known = self._known(path, state)
            if known is not None:
                return before.st_size, known
            digest = digest_of(path)
            after = path.stat()
        if (after.st_size, after.st_mtime_ns) == state:
            record = {"size": state[0], "mtime_ns": state[1], "sha256": digest.hex}
            self.cache.put(_key(path), json.dumps(record).encode())
        return after.st_size, digest

    def _known(self, path: Path, state: tuple[int, int]) -> Digest | None:
        built = buildrecord.recorded(self.cache, path)
        if built is not None and (built.size, built.mtime_ns) == state:
            return built.digest
        try:
            record = json.loads(self.cache.get(_key(path)) or b"null")
            if (record["size"], record["mtime_ns"]) == state:
                return Digest.parse(record["sha256"])
        except (ValueError, TypeError, KeyError, PackError, RecursionError):
            return None
        return None


def _key(path: Path) -> str:
    return f"release/{Digest.of(str(path.absolute()).encode()).hex}.json"
