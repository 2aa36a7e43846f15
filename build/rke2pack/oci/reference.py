"""Reference: where an image is, ``registry/repository[:tag][@digest]``.

Source: the reference grammar of distribution/reference; Docker Hub's short
forms are completed (``nginx`` is ``docker.io/library/nginx``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError

DOCKER_HUB = "docker.io"
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*"
    r"|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?\Z"
)
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
MAX_REPOSITORY = 255


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reference:
    """A parsed reference; ``str()`` is the full form and parses to the same value."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse a reference; raises ConfigError. Without tag and digest, both stay empty."""
        rest, at, digest = text.partition("@")
        name, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:
            name, tag = rest, ""
        first, slash, path = name.partition("/")
        if slash and (
            first == "localhost" or any(c in first for c in ".:[") or first != first.lower()
        ):
            registry, repository = first, path
        else:
            registry, repository = DOCKER_HUB, name
        registry, repository = _completed(registry, repository)
        problem = _problem(registry, repository, tag, has_tag=bool(colon and name != rest))
        if not problem and at and ":" not in digest:
            problem = "bad digest"
        if problem:
            msg = f"not an image reference: {text[:300]!r} ({problem})"
            raise ConfigError(msg)
        try:
            parsed = Digest.parse(digest) if at else None
        except IntegrityError as exc:
            msg = f"not an image reference: {text[:300]!r} ({exc.message})"
            raise ConfigError(msg) from exc
        return cls(registry=registry, repository=repository, tag=tag, digest=parsed)

    def with_registry(self, registry: str) -> Reference:
        """Return the same image as a node finds it with ``system-default-registry`` set."""
        registry, repository = _completed(registry, self.repository)
        return replace(self, registry=registry, repository=repository)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def _completed(registry: str, repository: str) -> tuple[str, str]:
    """Write Docker Hub's names in full: ``index.docker.io``, and ``library/`` before one word."""
    if registry == f"index.{DOCKER_HUB}":
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and repository and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def _problem(registry: str, repository: str, tag: str, *, has_tag: bool) -> str:
    if not _HOST.match(registry):
        return "bad registry"
    if not _REPOSITORY.match(repository) or len(repository) > MAX_REPOSITORY:
        return "bad repository"
    if has_tag and not _TAG.match(tag):
        return "bad tag"
    return ""
