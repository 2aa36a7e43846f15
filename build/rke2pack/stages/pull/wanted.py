"""Which images a shard of pull has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rke2pack.errors import ConfigError
from rke2pack.oci.wish import Wish
from rke2pack.settings import Settings
from rke2pack.shards.asked import Asked, Bundles, By

if TYPE_CHECKING:
    from rke2pack.shards.choose import Chosen


def chosen(
    settings: Settings,
    asked: Asked | None,
    every: tuple[Wish, ...],
    references: tuple[str, ...],
    *,
    by: By | None,
    bundles: Bundles,
) -> Chosen | None:
    """Return what the shard has of all wishes; None without a shard."""
    if asked is None:
        return None
    from rke2pack.shards import choose  # noqa: PLC0415 - only for shards

    return choose.choose(settings, asked, every, references, by=by, bundles=bundles)


def check_shard(
    asked: Asked | None, by: By | None, bundles: Bundles, *, is_whole: bool, is_named: bool
) -> None:
    """Raise ConfigError for options that mean nothing together."""
    if asked is None and (by is not None or bundles is not None):
        msg = f"{'--shard-by' if by else '--bundle'}: only for a shard"
        raise ConfigError(msg, hint="name a shard with --shard I/N, or leave it out")
    if asked is not None and is_whole and not (is_named or by == "images"):
        msg = "--all-platforms and --shard: an archive is for one platform"
        raise ConfigError(msg, hint="split the images themselves with --shard-by images")
