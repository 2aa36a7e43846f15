"""TLS of a server: its certificate and key."""

from __future__ import annotations

import ssl
from pathlib import Path

from rke2pack.errors import ConfigError


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Read a certificate (with its chain) and its key, both PEM; raises ConfigError."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    for path in (certificate, key):
        if not path.is_file():
            msg = f"{path}: no such file"
            raise ConfigError(msg, hint="name a PEM file with --tls-cert and --tls-key")
    try:
        made.load_cert_chain(certificate, key, password=_refuse)
    except _LockedError as exc:
        msg = f"{key}: the key has a password"
        raise ConfigError(msg, hint="take the password off with 'openssl pkey'") from exc
    except (ssl.SSLError, OSError) as exc:
        msg = f"{certificate}, {key}: not a certificate and its key: {exc.strerror or exc}"
        raise ConfigError(msg, hint="check that both are PEM and belong together") from exc
    return made


class _LockedError(Exception):
    """The key asks for a password."""


def _refuse() -> str:
    raise _LockedError
