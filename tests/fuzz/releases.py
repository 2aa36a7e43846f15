"""What releases, shards and reports are read by, and the users of serve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rke2pack.page import history
from rke2pack.page import validation as page
from rke2pack.release import keyless, offlinekey, provenance, sums
from rke2pack.release import validation as release
from rke2pack.serving.htpasswd import Users
from rke2pack.shards import record
from tests.fuzz.place import folder

_Read = TypeVar("_Read")


def _as_file(name: str, data: bytes, read: Callable[[Path], _Read]) -> _Read:
    path = folder() / name
    path.write_bytes(data)
    return read(path)


def shard_record(data: bytes) -> None:
    """What a shard says that it has made."""
    found = _as_file("shard-2-of-5.json", data, record.read)
    again = _as_file("shard-2-of-5.json", str(found).encode(), record.read)
    assert again == found


def envelope(data: bytes) -> None:
    """The signature of a release, by a key."""
    offlinekey.payload(data)


def bundle(data: bytes) -> None:
    """The signature of a release, by sigstore."""
    keyless.payload(data)


def statement(data: bytes) -> None:
    """The provenance of a release."""
    found = provenance.parse(data, what="statement")
    assert found.subjects


def public_key(data: bytes) -> None:
    """A public key or a certificate."""
    offlinekey.PublicKey.parse(data, what="key.pem")


def checksums(data: bytes) -> None:
    """The checksums beside archives."""
    _as_file("sha256sum-amd64.txt", data, lambda path: sums.read(path.parent))


def validation_page(data: bytes) -> None:
    """A report.json of validate, as the page reads it."""
    page.parse(data.decode(errors="ignore"), what="report.json").to_json()


def validation_release(data: bytes) -> None:
    """A report.json of validate, as a release reads it."""
    _as_file("report.json", data, lambda path: release.read(path, {"example": "1.2.300"}))


def page_history(data: bytes) -> None:
    """What earlier reports left."""
    history.parse(data.decode(errors="ignore"), what="history.json")


def htpasswd(data: bytes) -> None:
    """The users of serve."""
    assert _as_file("htpasswd", data, Users.read).hashes


TARGETS = {
    "shard-record": shard_record,
    "envelope": envelope,
    "bundle": bundle,
    "statement": statement,
    "public-key": public_key,
    "checksums": checksums,
    "validation-page": validation_page,
    "validation-release": validation_release,
    "page-history": page_history,
    "htpasswd": htpasswd,
}
