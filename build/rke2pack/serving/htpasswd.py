"""Htpasswd: users and bcrypt hashes, one ``NAME:HASH`` a line, as docker-registry reads them."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import bcrypt

from rke2pack import files
from rke2pack.errors import ConfigError
from rke2pack.serving.message import Answer, Answerer, Request

_HASH = re.compile(rb"\$2[aby]\$(?P<cost>0[4-9]|1\d|20)\$[./A-Za-z0-9]{53}\Z")
# bcrypt takes no more of a password; Go's, which docker-registry has, cuts it off too.
_MAX_PASSWORD = 72
_MAX_KNOWN = 1024
_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class Users:
    """Who may read. A right password is remembered, so that bcrypt runs once for each."""

    hashes: Mapping[bytes, bytes] = field(repr=False)
    _known: set[bytes] = field(default_factory=set, init=False, repr=False)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    # A storm of wrong passwords takes no more processors than these.
    _busy: threading.Semaphore = field(
        default_factory=lambda: threading.Semaphore(_AT_ONCE), init=False, repr=False
    )

    @classmethod
    def read(cls, path: Path) -> Users:
        """Read the file; raises ConfigError that names the line, never its content."""
        hashes: dict[bytes, bytes] = {}
        for number, line in enumerate(files.read_text(path).splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, hashed = line.strip().encode().partition(b":")
            if not name or not colon or not _HASH.match(hashed):
                msg = f"{path}: line {number} is not NAME:HASH with a bcrypt hash"
                raise ConfigError(msg, hint="write it with 'htpasswd -B'")
            hashes[name] = hashed
        if not hashes:
            msg = f"{path}: names no user"
            raise ConfigError(msg, hint="write it with 'htpasswd -B'")
        return cls(hashes=hashes)

    def knows(self, name: bytes, password: bytes) -> bool:
        """Whether the password is right; an unknown name takes as long as a wrong password."""
        proof = hmac.digest(self._secret, name + b"\0" + password, "sha256")
        if proof in self._known:
            return True
        any_hash = next(iter(self.hashes.values()))
        hashed = self.hashes.get(name, any_hash)
        with self._busy:
            is_right = bcrypt.checkpw(password[:_MAX_PASSWORD], hashed) and name in self.hashes
        if is_right and len(self._known) < _MAX_KNOWN:
            self._known.add(proof)
        return is_right


def guarded(answer: Answerer, users: Users) -> Answerer:
    """Let only known users ask; all others get 401 (RFC 7617)."""

    def call(request: Request) -> Answer:
        given = _credentials(request.headers.get("authorization", ""))
        if given is not None and users.knows(*given):
            return answer(request)
        return Answer(
            status=HTTPStatus.UNAUTHORIZED,
            headers={
                "WWW-Authenticate": 'Basic realm="rke2pack", charset="UTF-8"',
                "Content-Type": "application/json",
            },
            # The form of a registry's errors: its clients show the message.
            body=b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
        )

    return call


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
    except ValueError:
        return None
    return (name, password) if colon and b"\0" not in password else None
