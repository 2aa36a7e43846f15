"""Trust: whose certificate a host must show, and the client's own.

Folders as docker's and podman's ``certs.d``: ``<folder>/<host[:port]>/`` holds
``ca.crt`` (or any ``*.crt``) and a client certificate ``NAME.cert`` with ``NAME.key``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack.errors import ConfigError

SYSTEM_FOLDERS = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Files for TLS; None means the system's authorities, and no client certificate."""

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def folders(environment: Mapping[str, str], *, own: Path | None = None) -> tuple[Path, ...]:
    """Return the folders to look into: only ``own`` where there is one."""
    if own is not None:
        if not own.is_dir():
            msg = f"{own}: no such folder of certificates"
            raise ConfigError(msg)
        return (own,)
    home = environment.get("HOME")
    user = (Path(home) / ".config/containers/certs.d",) if home else ()
    return (*user, *SYSTEM_FOLDERS)


def find(host: str, folders: tuple[Path, ...], *, ca_file: Path | None = None) -> Trust:
    """Return what the first folder that knows ``host`` says; ``ca_file`` stands in for its CA."""
    for folder in folders:
        own = folder / host
        if own.is_dir():
            authorities = sorted(own.glob("*.crt"))
            if len(authorities) > 1:
                msg = f"{own}: holds more than one .crt file"
                raise ConfigError(msg, hint="put the authorities into one ca.crt")
            certificate, key = _client(own)
            return Trust(
                ca_file=authorities[0] if authorities else ca_file,
                certificate=certificate,
                key=key,
            )
    return Trust(ca_file=ca_file)


def _client(folder: Path) -> tuple[Path, Path] | tuple[None, None]:
    certificates = sorted(folder.glob("*.cert"))
    if not certificates:
        return None, None
    if len(certificates) > 1:
        msg = f"{folder}: holds more than one client certificate"
        raise ConfigError(msg, hint="keep one NAME.cert with its NAME.key")
    key = certificates[0].with_suffix(".key")
    if not key.is_file():
        msg = f"{certificates[0]}: its key {key.name} is missing"
        raise ConfigError(msg)
    return certificates[0], key
