"""What ``validate --level kind`` is asked for on the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

PATIENCE: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class KindWish:
    """What the options of this level ask for."""

    program: str = "kind"
    image: str | None = None
    jobs: int = 1
    keep: bool = False
    timeout: int = PATIENCE


_OPTIONS: Final = (
    click.option(
        "--kind",
        "kind_program",
        metavar="PROGRAM",
        default="kind",
        show_default=True,
        help="kind: the program that makes clusters.",
    ),
    click.option(
        "--node-image",
        "node_image",
        metavar="IMAGE",
        help="kind: what nodes are made from.  [default: kindest/node at the row's version]",
    ),
    click.option(
        "--keep", "keep_clusters", is_flag=True, help="kind: leave the clusters, and name them."
    ),
    click.option(
        "--jobs",
        "kind_jobs",
        type=click.IntRange(1, 16),
        default=1,
        show_default=True,
        help="kind: rows at a time, each with a cluster.",
    ),
    click.option(
        "--timeout",
        "kind_timeout",
        metavar="SECONDS",
        type=click.IntRange(1, 3600),
        default=PATIENCE,
        show_default=True,
        help="kind: how long a chart may take to get as far as it can, and its hooks each.",
    ),
)
PARAMETERS: Final = (
    *("kind_program", "node_image", "keep_clusters", "kind_jobs"),
    "kind_timeout",
)


def kind_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of this level; it is called with ``kind``."""

    @functools.wraps(function)
    def wrapper(**given: Any) -> None:  # noqa: ANN401 - click passes options by name
        own = {name: given.pop(name) for name in PARAMETERS}
        wish = KindWish(
            program=own["kind_program"],
            image=own["node_image"],
            jobs=own["kind_jobs"],
            keep=own["keep_clusters"],
            timeout=own["kind_timeout"],
        )
        function(kind=wish, **given)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper
