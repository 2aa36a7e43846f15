"""Tokens: how a client proves who it is to one registry.

Source: the distribution project's token authentication (spec/auth/token.md,
spec/auth/oauth.md). What the registry asks for is learned from its first 401;
later repositories get their token before they are asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from rke2pack import strictjson
from rke2pack.errors import AuthError, IntegrityError, RegistryError
from rke2pack.oci.registry import answer
from rke2pack.oci.registry import challenge as challenges
from rke2pack.oci.registry.challenge import Challenge
from rke2pack.oci.registry.keychain import Credential
from rke2pack.oci.registry.wire import Wire

Scope = tuple[str, ...]
_MAX_BYTES = 1024 * 1024
_USUAL_SECONDS = 60.0
_CLIENT = "rke2pack"


def pull(repository: str) -> Scope:
    """Return the scope for reading a repository."""
    return (f"repository:{repository}:pull",)


def push(repository: str, *, mount_from: str = "") -> Scope:
    """Return the scope for writing a repository, and for taking blobs from another one."""
    own = f"repository:{repository}:pull,push"
    return (own, *pull(mount_from)) if mount_from else (own,)


def delete(repository: str) -> Scope:
    """Return the scope for removing from a repository."""
    return (f"repository:{repository}:pull,push,delete",)


class Authenticator:
    """Keeps one registry's scheme and tokens; safe for threads."""

    def __init__(
        self,
        host: str,
        *,
        wire: Wire,
        find: Callable[[str], Credential | None],
        allows_http: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``find`` gives the credential for a repository; tokens are fetched through ``wire``."""
        self._host = host
        self._wire = wire
        self._find = find
        self._allows_http = allows_http
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[Scope, threading.Lock] = {}
        self._asked: Challenge | None = None
        self._tokens: dict[Scope, tuple[str, float]] = {}

    def header(self, scope: Scope) -> str | None:
        """Return the Authorization for a request, None while nothing was asked for."""
        if self._asked is None:
            return None
        if self._asked.scheme == "basic":
            return self._basic(scope)
        with self._lock_of(scope):
            token, expires = self._tokens.get(scope, ("", 0.0))
            if not token or self._clock() >= expires:
                token = self._fetch(self._asked, scope, scope)
        return f"Bearer {token}"

    def answer(self, headers: list[str], scope: Scope, refused: str | None) -> str:
        """Return the Authorization for a second try after a 401.

        ``headers`` are the answer's WWW-Authenticate lines, ``refused`` the
        Authorization that did not do. Raises AuthError when there is no better one.
        """
        found = {each.scheme: each for each in challenges.parse(headers)}
        asked = found.get("bearer") or found.get("basic")
        if asked is None:
            msg = f"{self._host}: asks for {', '.join(found) or 'nothing'}, not Bearer or Basic"
            raise AuthError(msg)
        self._asked = asked
        if asked.scheme == "basic":
            value = self._basic(scope)
            if value is None or value == refused:
                why = "refuses the credentials" if refused else "needs credentials"
                msg = f"{self._host}: {why}"
                raise AuthError(msg, hint=answer.LOGIN)
            return value
        with self._lock_of(scope):
            known = self._tokens.get(scope)
            # Another thread may have fetched a new one already.
            if known and f"Bearer {known[0]}" != refused and self._clock() < known[1]:
                return f"Bearer {known[0]}"
            wanted = tuple(asked.parameters.get("scope", "").split()) or scope
            return f"Bearer {self._fetch(asked, scope, wanted)}"

    def _lock_of(self, scope: Scope) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(scope, threading.Lock())

    def _basic(self, scope: Scope) -> str | None:
        credential = self._credential(scope)
        return credential.basic if credential and credential.password else None

    def _credential(self, scope: Scope) -> Credential | None:
        return self._find(scope[0].split(":")[1] if scope else "")

    def _fetch(self, asked: Challenge, scope: Scope, wanted: Scope) -> str:
        """Fetch a token for what is ``wanted`` and keep it for ``scope``."""
        token, seconds = self._wire.retry(lambda: self._request(asked, scope, wanted))
        self._tokens[scope] = (token, self._clock() + seconds)
        return token

    def _request(self, asked: Challenge, scope: Scope, wanted: Scope) -> tuple[str, float]:
        realm, what = self._realm(asked), f"{self._host}: token for {' '.join(wanted) or 'login'}"
        service = asked.parameters.get("service", "")
        credential = self._credential(scope)
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": _CLIENT,
                "scope": " ".join(wanted),
                "refresh_token": credential.identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            sending = self._wire.exchange(
                "POST",
                realm,
                what=what,
                expected={200},
                headers=headers,
                body=urlencode(form).encode(),
                is_free=True,
            )
        else:
            query = [("service", service)] if service else []
            query += [("scope", each) for each in wanted]
            if credential and credential.username:
                query.append(("account", credential.username))
            glue = "&" if urlsplit(realm).query else "?"
            sending = self._wire.exchange(
                "GET",
                f"{realm}{glue}{urlencode(query)}",
                what=what,
                expected={200},
                authorization=credential.basic if credential else None,
                is_free=True,
            )
        with sending as response:
            body = answer.read(response, what=what, max_bytes=_MAX_BYTES)
        return _token(body, what=what)

    def _realm(self, asked: Challenge) -> str:
        realm = asked.parameters.get("realm", "")
        try:
            parts = urlsplit(realm)
            is_good = bool(parts.hostname) and not parts.username
        except ValueError:
            parts, is_good = urlsplit(""), False
        schemes = {"https", "http"} if self._allows_http else {"https"}
        if not is_good or parts.scheme not in schemes:
            msg = f"{self._host}: its token server is {realm[:200]!r}, not an https address"
            raise AuthError(msg)
        return realm


def _token(body: bytes, *, what: str) -> tuple[str, float]:
    """Return a token and for how many seconds it is to be used."""
    try:
        found: Mapping[str, Any] = strictjson.load_object(body, what=what, max_bytes=_MAX_BYTES)
    except IntegrityError as exc:
        raise RegistryError(exc.message) from exc
    token = found.get("token") or found.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        msg = f"{what}: the answer holds no token"
        raise AuthError(msg)
    seconds = found.get("expires_in")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0:
        seconds = _USUAL_SECONDS
    # A little early: the request has to reach the registry too.
    return token, float(seconds) * 0.9
