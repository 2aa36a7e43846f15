"""Keychain: where a registry's credentials come from. They are never printed.

In this order, the first that knows the host wins:

1. ``RKE2PACK_REGISTRY_<HOST>_USERNAME`` and ``_PASSWORD`` (the host in capitals,
   everything but letters and digits as ``_``: ``REGISTRY_EXAMPLE_COM_5000``);
2. the file that ``REGISTRY_AUTH_FILE`` names (podman, skopeo);
3. ``$DOCKER_CONFIG/config.json``, or ``~/.docker/config.json``;
4. ``$XDG_RUNTIME_DIR/containers/auth.json`` and ``~/.config/containers/auth.json``.

In a file, ``credHelpers`` and ``credsStore`` come before ``auths``; of several
entries of ``auths`` the one with the longest matching path counts.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from rke2pack import files, process, strictjson
from rke2pack.errors import AuthError, ConfigError, IntegrityError
from rke2pack.oci.reference import DOCKER_HUB

DOCKER_HUB_KEY = f"https://index.{DOCKER_HUB}/v1/"
_HUB_NAMES = {f"index.{DOCKER_HUB}/v1", f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}"}
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_HELPER_SECONDS = 60.0
_NOT_FOUND = b"credentials not found"
_IDENTITY_USER = "<token>"
_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user's name and password, or an identity token; ``repr`` hides the secrets."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True)
class _File:
    """One file of credentials, as read."""

    path: Path
    auths: Mapping[str, Mapping[str, Any]] = field(repr=False)
    helpers: Mapping[str, str]
    store: str


class Keychain:
    """Finds credentials; files are read once, each helper is asked once a host."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        run: Callable[..., CompletedProcess[bytes]] = process.run,
    ) -> None:
        """Look into ``environment`` and the files that it names; ``run`` starts helpers."""
        self._environment = environment
        self._run = run
        self._lock = threading.Lock()
        self._files: tuple[_File, ...] | None = None
        self._helped: dict[tuple[str, str], Credential | None] = {}

    def find(self, host: str, repository: str = "") -> Credential | None:
        """Return the credential for a repository of ``host``, or None for anonymous access.

        Raises ConfigError for a file that cannot be read, AuthError for a helper that fails.
        """
        with self._lock:
            own = self._from_environment(host)
            if own is not None:
                return own
            if self._files is None:
                self._files = tuple(self._read_files())
            for each in self._files:
                found = self._from_file(each, host, repository)
                if found is not None:
                    return found
        return None

    def _from_environment(self, host: str) -> Credential | None:
        stem = f"RKE2PACK_REGISTRY_{re.sub('[^A-Z0-9]', '_', host.upper())}"
        username = self._environment.get(f"{stem}_USERNAME")
        password = self._environment.get(f"{stem}_PASSWORD")
        if username is None and password is None:
            return None
        if not username or not password:
            msg = f"{stem}_{'PASSWORD' if username else 'USERNAME'}: not set"
            raise ConfigError(msg, hint="set user name and password, or neither")
        return Credential(username=username, password=password)

    def _read_files(self) -> Iterator[_File]:
        named = self._environment.get("REGISTRY_AUTH_FILE")
        if named:
            if not Path(named).is_file():
                msg = f"REGISTRY_AUTH_FILE: no such file: {named}"
                raise ConfigError(msg)
            yield _read(Path(named))
        for path in _usual_files(self._environment):
            if path.is_file():
                yield _read(path)

    def _from_file(self, source: _File, host: str, repository: str) -> Credential | None:
        server = DOCKER_HUB_KEY if host == DOCKER_HUB else host
        helper = next((h for key, h in source.helpers.items() if _place(key) == host), "")
        for name in filter(None, (helper or source.store,)):
            if (name, server) not in self._helped:
                self._helped[name, server] = self._ask(name, server)
            if (found := self._helped[name, server]) is not None:
                return found
        wanted = f"{host}/{repository}/"
        fits = [key for key in source.auths if wanted.startswith(f"{_place(key)}/")]
        for key in sorted(fits, key=lambda key: len(_place(key)), reverse=True):
            found = _credential(source.auths[key], what=f"{source.path}: auths {key}")
            if found is not None:
                return found
        return None

    def _ask(self, name: str, server: str) -> Credential | None:
        program = f"docker-credential-{name}"
        answer = self._run([program, "get"], stdin=server.encode(), timeout=_HELPER_SECONDS)
        if answer.returncode != 0:
            if _NOT_FOUND in answer.stdout + answer.stderr:
                return None
            msg = f"{program}: exit code {answer.returncode} for {server}"
            raise AuthError(msg, hint=f"try it by hand: echo {server} | {program} get")
        try:
            found = strictjson.load_object(answer.stdout, what=program, max_bytes=_MAX_BYTES)
        except IntegrityError as exc:
            msg = f"{program}: its answer is no JSON object"
            raise AuthError(msg) from exc
        username, secret = found.get("Username"), found.get("Secret")
        if not isinstance(username, str) or not isinstance(secret, str):
            msg = f"{program}: its answer lacks Username or Secret"
            raise AuthError(msg)
        if username == _IDENTITY_USER:
            return Credential(identity_token=secret)
        return Credential(username=username, password=secret)


def _usual_files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = environment.get("HOME")
    if folder := environment.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    elif home:
        yield Path(home) / ".docker/config.json"
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers/auth.json"
    if config := environment.get("XDG_CONFIG_HOME") or (home and f"{home}/.config"):
        yield Path(config) / "containers/auth.json"


def _read(path: Path) -> _File:
    try:
        text = files.read_text(path)
        found = strictjson.load_object(text.encode(), what=str(path), max_bytes=_MAX_BYTES)
    except IntegrityError as exc:
        raise ConfigError(exc.message) from exc
    auths, helpers = found.get("auths") or {}, found.get("credHelpers") or {}
    store = found.get("credsStore") or ""
    if not (
        isinstance(auths, dict)
        and all(isinstance(entry, dict) for entry in auths.values())
        and isinstance(helpers, dict)
        and isinstance(store, str)
    ):
        msg = f"{path}: auths, credHelpers or credsStore is not what docker writes"
        raise ConfigError(msg)
    for name in filter(None, (*helpers.values(), store)):
        if not isinstance(name, str) or not _HELPER.match(name):
            msg = f"{path}: {name!r} is not the name of a credential helper"
            raise ConfigError(msg)
    return _File(path, auths, helpers, store)


def _place(key: str) -> str:
    """Return ``host[/path]`` of a key: docker writes addresses, podman paths."""
    bare = key.partition("://")[2] if "://" in key else key
    bare = bare.rstrip("/")
    if bare in _HUB_NAMES:
        return DOCKER_HUB
    if "://" in key and bare.rpartition("/")[2] in {"v1", "v2"}:
        return bare.rpartition("/")[0]
    return bare


def _credential(entry: Mapping[str, Any], *, what: str) -> Credential | None:
    fields = ("auth", "username", "password", "identitytoken")
    texts = {name: entry.get(name) or "" for name in fields}
    if not all(isinstance(text, str) for text in texts.values()):
        msg = f"{what}: its fields are not texts"
        raise ConfigError(msg)
    username, password = texts["username"], texts["password"]
    if texts["auth"]:
        try:
            pair = base64.b64decode(texts["auth"], validate=True).decode().rstrip("\0")
        except (binascii.Error, ValueError):
            pair = ""
        username, colon, password = pair.partition(":")
        if not colon:
            msg = f"{what}: auth is not base64 of user:password"
            raise ConfigError(msg)
    if texts["identitytoken"]:
        return Credential(username=username, identity_token=texts["identitytoken"])
    return Credential(username=username, password=password) if username and password else None
