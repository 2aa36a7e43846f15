"""Build record: what files were made of, kept in the cache, so that nothing is built twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack.digest import Digest
from rke2pack.files import Cache
from rke2pack.oci.pack.outfile import Written


@dataclass(frozen=True, kw_only=True)
class BuildRecord:
    """The record of one product; ``subject`` is what it is, ``inputs`` all that decides its bytes.

    The product's files are in ``folder``.
    """

    cache: Cache
    folder: Path
    subject: str
    inputs: str

    def files(self) -> tuple[Written, ...]:
        """Return the files where they were made of these inputs and are untouched, else none."""
        known = self._known()
        if known.get("inputs") != self.inputs:
            return ()
        found = self.any_files()
        return found if all(each.is_untouched for each in found) else ()

    def any_files(self) -> tuple[Written, ...]:
        """Return the files as they are recorded, of whatever inputs, touched or not."""
        try:
            return tuple(self._written(each) for each in self._known()["files"])
        except (ValueError, TypeError, KeyError):
            return ()

    def keep(self, written: Iterable[Written]) -> None:
        """Record files that were just written."""
        files = [
            {
                "name": each.path.name,
                "size": each.size,
                "sha256": each.digest.hex,
                "mtime_ns": each.mtime_ns,
            }
            for each in written
        ]
        self.cache.put(self._key, json.dumps({"inputs": self.inputs, "files": files}).encode())

    def _known(self) -> dict[str, Any]:
        try:
            known = json.loads(self.cache.get(self._key) or b"null")
        except (ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}

    @property
    def _key(self) -> str:
        return f"archives/{Digest.of(self.subject.encode()).hex}.json"

    def _written(self, known: dict[str, Any]) -> Written:
        return Written(
            path=self.folder / known["name"],
            size=int(known["size"]),
            digest=Digest(known["sha256"]),
            mtime_ns=int(known["mtime_ns"]),
        )


def recorded(cache: Cache, path: Path) -> Written | None:
    """Return what is recorded of a product that is one file, whatever it was made of."""
    record = BuildRecord(
        cache=cache, folder=path.parent, subject=str(path.absolute()), inputs="unknown"
    )
    return next((each for each in record.any_files() if each.path.name == path.name), None)
