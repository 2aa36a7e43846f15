"""What a simulated registry has, how it answers, and what it was asked.

``manifests`` and ``blobs`` are its content; the switches below change how it
answers. Every request is in ``requests``.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from rke2pack.digest import Digest
from tests.contract.oci.images import Made


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived; ``status`` is the answer's, 0 for none."""

    method: str
    target: str
    headers: Mapping[str, str]
    status: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(kw_only=True)
class Simulator:
    """The registry's content and switches; tests change them while it runs."""

    host: str = ""
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[tuple[str, Digest], bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    auth: Literal["none", "basic", "bearer"] = "none"
    credentials: str = "user:pass"
    is_public: bool = True
    identity_token: str = ""
    expires_in: int | None = 300
    token_uses: int | None = None
    realm: str = ""
    tokens: dict[str, int | None] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)

    bodies: dict[Digest, bytes] = field(default_factory=dict)
    framing: Literal["length", "chunked", "close"] = "length"
    resets: dict[Digest, list[int]] = field(default_factory=dict)
    range_mode: Literal["honour", "ignore", "wrong", "refuse"] = "honour"
    redirect: str = ""
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    silence: dict[Digest, float] = field(default_factory=dict)
    has_digest_header: bool = True
    knows_conditions: bool = True
    wrong_digest_header: str = ""
    page: int = 1000
    next_page: str = ""
    has_endless_pages: bool = False
    unknown_repositories: set[str] = field(default_factory=set)
    lost_answers: int = 0
    closing_silence: float = 0.0
    has_mount: bool = True
    upload_resets: list[int] = field(default_factory=list)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    opened: int = 0
    lost_uploads: int = 0
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    is_strict: bool = False
    has_referrers: bool = False
    deletes: Literal["tags", "manifests", "none"] = "tags"

    def push(self, repository: str, made: Made, *tags: str) -> None:
        """Publish an image under its digest and tags."""
        for each in made.documents:
            self.manifests[repository, str(each.digest)] = (each.media_type, each.raw)
            for digest, data in each.blobs.items():
                self.blobs[repository, digest] = data
        for tag in tags:
            self.manifests[repository, tag] = (made.media_type, made.raw)

    def asked(self, method: str, part: str = "") -> list[Request]:
        return [r for r in self.requests if r.method == method and part in r.target]
