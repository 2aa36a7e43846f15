"""The canary, and everything that is looked through for it: text, files, arguments, requests."""

from __future__ import annotations

import base64
import gzip
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


CANARY: Final = "canary4f1e0bd29c77"
# What Python starts, for the length of a test.
started: list[str] = []


class Request(Protocol):
    """One request that a simulator has seen."""

    @property
    def target(self) -> str:
        """Path and query."""

    @property
    def headers(self) -> object:
        """Names and values."""


def listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down the arguments of every program that Python starts.

    No audit hook: before Python 3.12 a thread cannot be traced while one runs.
    """
    started.clear()

    def heard(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passes on what it is given
            started.append(repr((args[1:], kwargs.get("args"))))
            return real(*args, **kwargs)

        return call

    for owner, name in (
        (subprocess.Popen, "__init__"),
        (os, "posix_spawn"),
        (os, "posix_spawnp"),
        (os, "execv"),
        (os, "execve"),
    ):
        monkeypatch.setattr(owner, name, heard(getattr(owner, name)))


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
