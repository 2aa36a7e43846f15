"""Wish: an image that somebody wants to have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rke2pack.digest import Digest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An image to have: no platforms means all of them, attestations included.

    ``accept`` raises where the digest of what the name points at is not to be had.
    """

    reference: Reference
    platforms: tuple[Platform, ...] = ()
    accept: Callable[[Digest], None] | None = None
