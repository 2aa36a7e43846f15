"""Contents: which images an archive says it holds, read from its first bytes."""

from __future__ import annotations

from collections.abc import Mapping

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.oci.intake import tarstream
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.reference import Reference
from rke2pack.oci.store import layout

_HINT = "build it anew with 'rke2pack airgap'"
_MAX_BEFORE = 16  # members that may stand before index.json: ours have it among the first


def read(file: ArchiveFile) -> Mapping[Reference, Digest]:
    """Return the images of an archive that `airgap` wrote, each with its manifest's digest.

    Only the index is read and believed; that the rest is as it says is what
    `verify` proves. Raises IntegrityError for an archive without one.
    """
    name = file.path.name
    for count, member in enumerate(tarstream.read(file.tar(), what=name)):
        if member.name == layout.INDEX_FILE and member.kind == "file":
            if member.size > layout.MAX_INDEX_BYTES:
                break
            raw = b"".join(member.chunks)
            return {
                _reference(entry.name, name): entry.descriptor.digest
                for entry in layout.parse_index(raw, what=f"{name}: {layout.INDEX_FILE}")
            }
        if count >= _MAX_BEFORE:
            break
    msg = f"{name}: has no {layout.INDEX_FILE} at its start, airgap did not write it"
    raise IntegrityError(msg, hint=_HINT)


def _reference(text: str, name: str) -> Reference:
    try:
        return Reference.parse(text)
    except ConfigError as exc:
        msg = f"{name}: {layout.INDEX_FILE}: {exc.message}"
        raise IntegrityError(msg, hint=_HINT) from exc
