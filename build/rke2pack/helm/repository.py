"""Chart repositories: a Helm repository over http(s), or a folder of the same form.

The index is asked for with ETag and parsed once per content; an archive is
used only with the digest that the index promises, and cached by it. An
``oci://`` source becomes a third implementation of `ChartRepository`.
"""

from __future__ import annotations

import abc
import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from rke2pack.address import redact
from rke2pack.digest import Digest
from rke2pack.errors import (
    ConfigError,
    IntegrityError,
    NotFoundError,
    RegistryError,
    ValidationError,
)
from rke2pack.files import Cache, reported
from rke2pack.helm.archive import MAX_ARCHIVE_BYTES
from rke2pack.helm.chart import Chart
from rke2pack.helm.index import ChartIndex, IndexEntry

if TYPE_CHECKING:
    from rke2pack.http import Answer, Fetcher

MAX_INDEX_BYTES = 20 * 1024 * 1024
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
_FOLDER_HINT = (
    "name a folder that has index.yaml, an http(s) address, or a name of repositories.yaml"
)
_UNREACHABLE_HINT = (
    "use --charts-repo DIR or URL for another chart repository, --offline for what is cached, "
    "or --lab for the built-in one"
)


class ChartRepository(Protocol):
    """Where charts come from."""

    @property
    def url(self) -> str:
        """The address without credentials, as it may stand in reports."""

    def index(self) -> ChartIndex:
        """Return the index; fetched at most once per process."""

    def location(self, entry: IndexEntry) -> str:
        """Return the archive's absolute address, without credentials."""

    def fetch(self, entry: IndexEntry) -> Chart:
        """Return the chart, its archive verified against the entry's digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What every repository needs: a way out, a cache, and how strict to be."""

    fetcher: Callable[[], Fetcher]
    cache: Cache
    is_offline: bool = False
    allows_missing_digest: bool = False


def open_repository(source: str, access: Access) -> ChartRepository:
    """Open an http(s) address, a ``file://`` address or a folder; raises ConfigError."""
    try:
        scheme = urlsplit(source).scheme
    except ValueError as exc:
        msg = f"not the address of a chart repository: {exc}"
        raise ConfigError(msg, hint=_FOLDER_HINT) from exc
    if scheme in {"http", "https"}:
        return HttpRepository(source, access)
    if scheme == "oci":
        msg = f"{redact(source)}: chart repositories in OCI registries are not supported yet"
        raise ConfigError(msg, hint="use an http(s) chart repository or a folder")
    path = Path(unquote(urlsplit(source).path)) if scheme == "file" else Path(source)
    with reported("read", path):
        is_repository = (path / "index.yaml").is_file()
    if not is_repository:
        shown = redact(source) if scheme else source
        what = "not a chart repository, there is no index.yaml in it"
        msg = f"{shown}: {what if path.exists() else 'no such folder'}"
        raise ConfigError(msg, hint=_FOLDER_HINT)
    return FolderRepository(path, access)


class _Repository(abc.ABC):
    """What both kinds share: the index parsed once per content, archives cached by digest."""

    url: str

    def __init__(self, access: Access) -> None:
        self._access = access

    @functools.cached_property
    def _index(self) -> ChartIndex:
        return self._load_index()

    def index(self) -> ChartIndex:
        """See `ChartRepository.index`."""
        return self._index

    @abc.abstractmethod
    def _load_index(self) -> ChartIndex:
        """Read or fetch the index."""

    @abc.abstractmethod
    def _archive(self, entry: IndexEntry) -> bytes:
        """Read or fetch an archive's bytes, unverified."""

    def fetch(self, entry: IndexEntry) -> Chart:
        """See `ChartRepository.fetch`."""
        digest = entry.checked_digest
        what = f"{entry.chart} {entry.version}"
        if digest is None:
            if not self._access.allows_missing_digest:
                msg = f"{what}: the index of {self.url} has no digest for it"
                raise IntegrityError(
                    msg, hint="pass --allow-missing-digest to accept it unverified"
                )
            return Chart.open(self._archive(entry), name=entry.chart, version=entry.version)
        key = f"charts/{digest.hex}.tgz"
        data = self._access.cache.get(key)
        if data is None or Digest.of(data) != digest:
            data = self._archive(entry)
            digest.verify(data, what=f"{what} from {self.location(entry)}")
            self._access.cache.put(key, data)
        return Chart.open(data, name=entry.chart, version=entry.version)

    def location(self, entry: IndexEntry) -> str:
        """See `ChartRepository.location`."""
        return redact(urljoin(f"{self.url}/", entry.url))

    def _parsed(self, raw: bytes) -> ChartIndex:
        """Parse index bytes, or take the parsed form that an earlier run kept for them."""
        key = _parsed_key(raw)
        index = _kept_index(self._access.cache, key)
        if index is None:
            try:
                text = raw.decode()
            except UnicodeDecodeError as exc:
                msg = f"{self.url}/index.yaml: not UTF-8 text"
                raise ValidationError(msg) from exc
            index = ChartIndex.parse(text, what=f"{self.url}/index.yaml")
            self._access.cache.put(key, index.to_json())
        return index


class FolderRepository(_Repository):
    """A folder with index.yaml; relative urls are files in it and never outside."""

    def __init__(self, folder: Path, access: Access) -> None:
        """Use ``folder``."""
        super().__init__(access)
        self._folder = folder.resolve()
        self.url = self._folder.as_uri()

    def _load_index(self) -> ChartIndex:
        return self._parsed(self._read("index.yaml", MAX_INDEX_BYTES))

    def _archive(self, entry: IndexEntry) -> bytes:
        if urlsplit(entry.url).scheme:
            return _fetched(self._access, entry.url)
        return self._read(entry.url, MAX_ARCHIVE_BYTES)

    def _read(self, name: str, ceiling: int) -> bytes:
        path = Path(os.path.realpath(self._folder / PurePosixPath(name)))
        if not path.is_relative_to(self._folder):
            msg = f"{self.url}: the index points outside the folder: {name!r}"
            raise IntegrityError(msg)
        if not path.is_file():
            msg = f"{path}: no such file, although the index of {self.url} names it"
            raise NotFoundError(msg, hint="complete the folder or choose another --charts-repo")
        with reported("read", path):
            if path.stat().st_size > ceiling:
                msg = f"{path}: larger than the limit of {ceiling} bytes"
                raise RegistryError(msg, hint="check that the folder is a chart repository")
            return path.read_bytes()


class HttpRepository(_Repository):
    """A Helm repository over http(s); relative and absolute urls in the index."""

    def __init__(self, url: str, access: Access) -> None:
        """Use ``url``, which may carry user and password."""
        super().__init__(access)
        self._address = url.rstrip("/")
        self.url = redact(self._address)
        self._state_key = f"index/{hashlib.sha256(self._address.encode()).hexdigest()}.state"

    def _load_index(self) -> ChartIndex:
        state = self._state()
        kept = _kept_index(self._access.cache, state.get("parsed", "none"))
        if self._access.is_offline:
            if kept is None:
                msg = f"{self.url}: its index is not in the cache"
                raise RegistryError(
                    msg, hint="run once without --offline, or pass --charts-repo DIR"
                )
            return kept
        answer = self._ask(state if kept is not None else {})
        if answer.status == HTTPStatus.NOT_MODIFIED and kept is not None:
            return kept
        index = self._parsed(answer.body)
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        new_state = {name: lowered[name] for name in _VALIDATORS if name in lowered}
        new_state["parsed"] = _parsed_key(answer.body)
        self._access.cache.put(self._state_key, json.dumps(new_state).encode())
        return index

    def _ask(self, state: Mapping[str, str]) -> Answer:
        headers = {ask: state[name] for name, ask in _VALIDATORS.items() if name in state}
        address = f"{self._address}/index.yaml"
        try:
            return self._access.fetcher().get(
                address, max_bytes=MAX_INDEX_BYTES, headers=headers, compressed=True
            )
        except RegistryError as exc:
            if exc.temporary or isinstance(exc, NotFoundError):
                exc.hint = _UNREACHABLE_HINT
            raise

    def _state(self) -> dict[str, str]:
        """Return the validators of the last answer and the key of its parsed form."""
        kept = self._access.cache.get(self._state_key)
        try:
            state = json.loads(kept) if kept is not None else {}
        except (ValueError, RecursionError):
            return {}
        return {str(k): str(v) for k, v in state.items()} if isinstance(state, dict) else {}

    def _archive(self, entry: IndexEntry) -> bytes:
        return _fetched(
            self._access, _with_credentials(urljoin(f"{self._address}/", entry.url), self._address)
        )


def _parsed_key(raw: bytes) -> str:
    return f"index/{Digest.of(raw).hex}.json"


def _kept_index(cache: Cache, key: str) -> ChartIndex | None:
    data = cache.get(key)
    return ChartIndex.from_json(data) if data is not None else None


def _with_credentials(url: str, address: str) -> str:
    """Give ``url`` the user and password of ``address`` when both are the same host."""
    target, own = urlsplit(url), urlsplit(address)
    user, at, host = own.netloc.rpartition("@")
    if not at or (target.scheme, target.netloc) != (own.scheme, host):
        return url
    return target._replace(netloc=f"{user}@{host}").geturl()


def _fetched(access: Access, url: str) -> bytes:
    if urlsplit(url).scheme not in {"http", "https"}:
        msg = f"{redact(url)}: the index names an address that is not http(s)"
        raise IntegrityError(msg)
    if access.is_offline:
        msg = f"{redact(url)}: not in the cache, and --offline is set"
        raise RegistryError(msg, hint="run once without --offline")
    return access.fetcher().get(url, max_bytes=MAX_ARCHIVE_BYTES).body
