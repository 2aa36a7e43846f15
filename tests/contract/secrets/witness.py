"""The canary, and everything that is looked through for it: text, files, arguments, requests."""

from __future__ import annotations

import base64
import gzip
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


CANARY: Final = "canary4f1e0bd29c77"
# What Python starts, for the length of a test: an audit hook stays for ever.
started: list[str] = []


class Request(Protocol):
    """One request that a simulator has seen."""

    @property
    def target(self) -> str:
        """Path and query."""

    @property
    def headers(self) -> object:
        """Names and values."""


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}:
        started.append(repr(arguments[:2]))


sys.addaudithook(_listen)


def spellings(secret: str = CANARY) -> tuple[str, ...]:
    """Every way to write a secret that hides it from a reader, but not from a thief."""
    raw = secret.encode()
    # In base64 a text has three forms, by where it begins; its ends belong to its neighbours.
    forms = [base64.b64encode(b"\0" * shift + raw).decode() for shift in range(3)]
    inner = [form[(0, 2, 3)[shift] : len(form) - 4] for shift, form in enumerate(forms)]
    return (secret, raw.hex(), *inner)


def told(texts: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """Return what stands in any of the texts."""
    every = [form for secret in secrets for form in spellings(secret)]
    return [form for text in texts for form in every if form in text]


def written(roots: Iterable[Path], own: set[Path]) -> Iterator[tuple[Path, str]]:
    """Yield name and content of each file but our ``own``; what is compressed, twice."""
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path in own or path.is_symlink() or not path.is_file():
                continue
            data = path.read_bytes()
            for content in (data, _unpacked(data)):
                yield path, f"{path} " + content.decode("latin-1")


def _unpacked(data: bytes) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return zstd.decompress(data)
    if re.match(rb"\x78[\x01\x9c\xda]", data):  # what git keeps
        return zlib.decompressobj().decompress(data)
    return b""


def sent(requests: Iterable[Request]) -> list[str]:
    return [f"{request.target} {request.headers}" for request in requests]
