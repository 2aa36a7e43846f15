"""Digest: the address of bytes (OCI image-spec, descriptor.md#digests)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from rke2pack.errors import IntegrityError

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A sha256 digest; ``str()`` is ``sha256:<hex>``."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse ``sha256:<hex>`` or the bare hex of a chart index; raise IntegrityError."""
        value = text.removeprefix("sha256:")
        if not _SHA256.match(value):
            msg = f"not a sha256 digest: {text[:100]!r}"
            raise IntegrityError(msg)
        return cls(value)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Hash ``data``."""
        return cls(hashlib.sha256(data).hexdigest())

    def verify(self, data: bytes, *, what: str) -> None:
        """Raise IntegrityError unless ``data`` hashes to this digest."""
        got = Digest.of(data)
        if got != self:
            msg = f"{what}: content is {got}, expected {self}"
            raise IntegrityError(
                msg, hint="fetch it again; if it stays, the source was changed or damaged"
            )

    def __str__(self) -> str:
        return f"sha256:{self.hex}"
