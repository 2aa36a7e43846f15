"""What ``validate --level import`` is asked for on the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from rke2pack.options import current_app

OUTPUT: Final = "dist/artifacts"  # where 'rke2pack airgap' writes
RUNTIMES: Final = ("docker", "containerd")
DEFAULT_ADDRESS: Final = "/run/containerd/containerd.sock"
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, kw_only=True)
class Importing:
    """What the options of this level ask for; ``runtimes`` is empty for those that are there."""

    given: tuple[Path, ...] = ()
    bases: tuple[Path, ...] = ()
    runtimes: tuple[str, ...] = ()
    address: str | None = None
    ctr: str = "ctr"
    snapshotter: str = ""
    registry: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


_OPTIONS: Final = (
    click.argument("given", metavar="[ARCHIVE|FOLDER]...", nargs=-1, type=_PATH),
    click.option(
        "--base",
        "bases",
        multiple=True,
        type=_PATH,
        help="import: an archive that a delta builds upon (repeatable).",
    ),
    click.option(
        "--runtime",
        "runtimes",
        multiple=True,
        type=click.Choice(RUNTIMES),
        help="import: only into this runtime (repeatable).  [default: those that answer]",
    ),
    click.option(
        "--containerd-address",
        "address",
        metavar="SOCKET",
        help=f"import: containerd's socket.  [default: $CONTAINERD_ADDRESS, {DEFAULT_ADDRESS}]",
    ),
    click.option(
        "--ctr",
        "ctr",
        metavar="PROGRAM",
        default="ctr",
        show_default=True,
        help="import: containerd's client program.",
    ),
    click.option(
        "--snapshotter",
        "snapshotter",
        metavar="NAME",
        default="",
        help="import: the snapshotter that unpacks.  [default: containerd's]",
    ),
    click.option(
        "--system-default-registry",
        "default_registry",
        metavar="HOST",
        help="import: give the images also the names under the nodes' system-default-registry.",
    ),
)
PARAMETERS: Final = ("given", "bases", "runtimes", "address", "ctr", "snapshotter",
                     "default_registry")  # fmt: skip


def import_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of this level; it is called with ``importing``."""

    @functools.wraps(function)
    def wrapper(**given: Any) -> None:  # noqa: ANN401 - click passes options by name
        own = {name: given.pop(name) for name in PARAMETERS}
        own["registry"] = own.pop("default_registry")
        environment = current_app().environment
        function(importing=Importing(**own, environment=environment), **given)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper
