"""The options of a command whose work can be split: ``--shard``, ``--plan``, ``--bundle``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.shards.shard import Shard

By = Literal["archives", "images"]
Bundles = Mapping[str, tuple[str, ...]] | None
_BUNDLE = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)=(?P<parts>[a-z0-9-]+(?:,[a-z0-9-]+)*)\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The shard to work on, and the plan that it has to be of."""

    shard: Shard
    plan: Path | Digest | None


def _parse_shard(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> Shard | None:
    try:
        return Shard.parse(value) if value is not None else None
    except ConfigError as exc:
        msg = f"{exc.message}; {exc.hint}"
        raise click.BadParameter(msg) from exc


def _parse_plan(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> Path | Digest | None:
    if value is None:
        return None
    return Digest.parse(value) if _DIGEST.match(value) else Path(value)


def _parse_bundles(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> Bundles:
    found: dict[str, tuple[str, ...]] = {}
    for value in values:
        match = _BUNDLE.match(value)
        if match is None:
            msg = f"{value!r} is no bundle; write it as rke2-images=core,canal"
            raise click.BadParameter(msg)
        found[match["name"]] = tuple(match["parts"].split(","))
    return found or None


bundle_option = click.option(
    "--bundle",
    "bundles",
    multiple=True,
    metavar="NAME=COMPONENT,...",
    callback=_parse_bundles,
    help="One archive of several components (repeatable).  [default: rke2-images=core,canal]",
)
by_option = click.option(
    "--shard-by",
    "by",
    type=click.Choice(["archives", "images"]),
    help="archives: what a shard of airgap needs; images: each image once, as mirror does.  "
    "[default: archives; images where images are named]",
)
_SHARD = click.option(
    "--shard",
    metavar="I/N",
    callback=_parse_shard,
    help="Only the part of the work that is shard I of N.",
)
_PLAN = click.option(
    "--plan",
    "plan",
    metavar="FILE|DIGEST",
    callback=_parse_plan,
    help="Refuse to work by another plan than this one.",
)


def shard_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--shard`` and ``--plan``; it is called with ``asked``, None without."""

    @functools.wraps(function)
    def wrapper(**given: Any) -> None:  # noqa: ANN401 - click passes options by name
        shard, plan = given.pop("shard"), given.pop("plan")
        if shard is None and plan is not None:
            raise ConfigError("--plan: without --shard there is nothing to compare", hint="name a "
                              "shard with --shard I/N")  # fmt: skip
        asked = None if shard is None else Asked(shard=shard, plan=plan)
        function(asked=asked, **given)

    return _SHARD(_PLAN(wrapper))
