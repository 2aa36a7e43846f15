"""Shelf: a folder of charts as a chart repository for others to read.

A folder that has ``index.yaml`` is given as it is. For any other the index is
made of the ``.tgz`` files in it, and nothing but those is given.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

from rke2pack import files, safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, PackError
from rke2pack.helm import archive
from rke2pack.helm.version import ChartVersion
from rke2pack.serving import message
from rke2pack.serving.content import content
from rke2pack.serving.message import Answer, FilePart, Request

INDEX = "index.yaml"
_TYPES = {".yaml": "application/yaml", ".tgz": "application/gzip"}
_OTHER = "application/octet-stream"
_CHART_YAML = re.compile(r"[^/]+/Chart\.yaml\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One archive: its file, digest, and Chart.yaml with every scalar as text."""

    path: Path
    digest: Digest
    name: str
    version: ChartVersion
    metadata: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Book:
        """Read an archive's Chart.yaml; raises PackError."""
        with files.reported("read", path):
            size = path.stat().st_size
            data = path.read_bytes() if size <= archive.MAX_ARCHIVE_BYTES else b""
        if not data:
            msg = f"{path}: empty, or larger than a chart can be"
            raise IntegrityError(msg)
        members = archive.unpack(data, what=str(path))
        found = [m.data for m in members if _CHART_YAML.match(m.path)]
        if len(found) != 1:
            msg = f"{path}: not a chart archive, it has no Chart.yaml"
            raise IntegrityError(msg)
        text = found[0].decode(errors="replace")
        metadata = safeyaml.load(text, what=f"{path}: Chart.yaml", scalars=False)
        name = metadata.get("name") if isinstance(metadata, dict) else None
        version = metadata.get("version") if isinstance(metadata, dict) else None
        if (
            not isinstance(metadata, dict)
            or not isinstance(name, str)
            or not isinstance(version, str)
        ):
            msg = f"{path}: its Chart.yaml has no name and version"
            raise IntegrityError(msg)
        if not name or "/" in name or not name.isprintable():
            msg = f"{path}: {name[:100]!r} is no name of a chart"
            raise IntegrityError(msg)
        return cls(
            path=path,
            digest=Digest.of(data),
            name=name,
            version=ChartVersion.parse(version),
            metadata=metadata,
        )

    @property
    def url(self) -> str:
        """Where it is, relative to the index."""
        return f"{self.name}-{self.version}.tgz"

    def entry(self) -> dict[str, Any]:
        """Return its entry of an index."""
        return {**_typed(self.metadata), "digest": self.digest.hex, "urls": [self.url]}


class Shelf:
    """A folder of charts; files that come or go while it is read are seen."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``; raises ConfigError where there is none."""
        if not folder.is_dir():
            msg = f"{folder}: no such folder"
            raise ConfigError(msg, hint="name a folder of charts with --charts")
        self._root = folder.resolve()
        self._lock = threading.Lock()
        self._seen: tuple[tuple[str, int, int], ...] | None = None
        self._known: dict[tuple[str, int, int], Book | PackError] = {}
        self._index = b""
        self._books: Mapping[str, Book] = {}

    @property
    def has_index(self) -> bool:
        """Whether the folder brings its own index."""
        return (self._root / INDEX).is_file()

    @property
    def books(self) -> Mapping[str, Book]:
        """Address -> archive, for a folder without an index; the newest file of a version."""
        self._refresh()
        return self._books

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with files that are left out, one line each."""
        self._refresh()
        return tuple(each.message for each in self._known.values() if isinstance(each, PackError))

    def answer(self, request: Request) -> Answer:
        """Answer a request whose path is relative to the repository."""
        if request.method not in message.READS:
            return message.read_only()
        try:
            found = self._content(request.path.lstrip("/"))
        except PackError as exc:
            return Answer.text(HTTPStatus.INTERNAL_SERVER_ERROR, exc.message)
        if found is None:
            return message.not_found()
        body, tag = found
        kind = _TYPES.get(PurePosixPath(request.path).suffix, _OTHER)
        return content(request, body, tag=tag, headers={"Content-Type": kind})

    def _content(self, path: str) -> tuple[bytes | FilePart, str] | None:
        if self.has_index:
            return file_in(self._root, path)
        if path == INDEX:
            self._refresh()
            return self._index, Digest.of(self._index).hex
        book = self.books.get(path)
        return file_in(self._root, book.path.name) if book else None

    def _refresh(self) -> None:
        with self._lock, files.reported("read", self._root):
            found = {
                (path.name, state.st_size, state.st_mtime_ns): path
                for path in self._root.glob("*.tgz")
                if path.is_file() and (state := path.stat())
            }
            keys = tuple(sorted(found))
            if keys == self._seen:
                return
            self._known = {key: self._known.get(key) or _read(found[key]) for key in keys}
            # Of two files of one version the newer is taken.
            order = sorted(keys, key=lambda key: (key[2], key[0]))
            books = [b for key in order if isinstance(b := self._known[key], Book)]
            self._books = {book.url: book for book in books}
            self._index = _index(self._books.values())
            self._seen = keys


def file_in(folder: Path, path: str) -> tuple[FilePart, str] | None:
    """Open the file that ``path`` names inside the resolved ``folder``, with a tag; or None."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in path or "\0" in path:
        return None
    try:
        found = (folder / relative).resolve()
        if not found.is_relative_to(folder) or not found.is_file():
            return None
        part = message.opened(found)
        state = found.stat()
    except OSError:
        return None
    return part, f"{state.st_mtime_ns:x}-{state.st_size:x}-{state.st_ino:x}"


def _read(path: Path) -> Book | PackError:
    try:
        return Book.read(path)
    except PackError as exc:
        return exc


def _index(books: Iterable[Book]) -> bytes:
    entries: dict[str, list[dict[str, Any]]] = {}
    for book in sorted(books, key=lambda book: book.version, reverse=True):
        entries.setdefault(book.name, []).append(book.entry())
    document = {"apiVersion": "v1", "entries": dict(sorted(entries.items()))}
    return f"{json.dumps(document, indent=2)}\n".encode()


def _typed(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the texts that Helm reads as booleans into such."""
    found = dict(metadata)
    if "deprecated" in found:
        found["deprecated"] = found["deprecated"] == "true"
    dependencies = found.get("dependencies")
    if isinstance(dependencies, list):
        found["dependencies"] = [
            {**each, "enabled": each["enabled"] == "true"} if "enabled" in each else each
            for each in dependencies
            if isinstance(each, dict)
        ]
    return found
