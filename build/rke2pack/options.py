"""The options of every command, and how a command gets its settings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from rke2pack.console import Console
from rke2pack.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class App:
    """What the CLI hands to commands: made once from the environment."""

    is_github: bool
    default_cache_dir: Path
    open_lab: Callable[[Settings, Console], AbstractContextManager[Settings]]


_IMAGES: tuple[Callable[[_F], _F], ...] = (
    click.option(
        "--registry",
        metavar="HOST",
        help="Registry to write in front of images, as system-default-registry does.",
    ),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH",
        help="Only this platform (repeatable).",
    ),
    click.option(
        "--component",
        "components",
        multiple=True,
        metavar="NAME",
        help="Only this component (repeatable).",
    ),
    click.option(
        "--prime",
        "is_prime",
        is_flag=True,
        help="The images of Rancher Prime (global.prime.enabled).",
    ),
)
_COMMON: tuple[Callable[[_F], _F], ...] = (
    click.option(
        "--tree",
        type=_FOLDER,
        default=Path(),
        show_default="this folder",
        help="The tree to work in.",
    ),
    click.option(
        "--charts-repo",
        metavar="NAME|URL|DIR",
        help="Chart repository: a name of repositories.yaml, an address, or a folder.",
    ),
    click.option(
        "--cache-dir",
        type=_FOLDER,
        help="Where downloads are kept.  [default: the user's cache folder]",
    ),
    click.option("--ca-file", type=_FILE, help="Certificate authorities to trust, as PEM."),
    click.option(
        "--helm",
        metavar="PROGRAM",
        help="Render with this helm program instead of the built-in Helm.",
    ),
    click.option("--offline", "is_offline", is_flag=True, help="Use only what is cached."),
    click.option(
        "--allow-missing-digest",
        "allows_missing_digest",
        is_flag=True,
        help="Accept charts whose index entry has no digest.",
    ),
    click.option(
        "--dry-run", "is_dry_run", is_flag=True, help="Show what would change; write nothing."
    ),
    click.option(
        "--lab",
        "is_lab",
        is_flag=True,
        help="Use the built-in charts on a copy of the tree in dist/lab/.",
    ),
    click.option("--json", "is_json", is_flag=True, help="Write one JSON document to stdout."),
    click.option("-v", "--verbose", count=True, help="Say more."),
    click.option("-q", "--quiet", is_flag=True, help="Say only errors."),
)


def common_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command all common options; it is called with ``settings`` and ``console``."""
    return _with(function, (*_COMMON[:2], *_IMAGES, *_COMMON[2:]))


def chart_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options but those that select images and their registry."""
    return _with(function, _COMMON)


def _with(
    function: Callable[..., None], options: tuple[Callable[[_F], _F], ...]
) -> Callable[..., None]:

    @click.pass_obj
    @functools.wraps(function)
    def wrapper(app: App, /, **given: Any) -> None:  # noqa: ANN401 - click passes options by name
        console = Console(
            is_json=given.pop("is_json"),
            verbosity=-1 if given.pop("quiet") else given["verbose"],
            is_github=app.is_github,
        )
        given.pop("verbose")
        click.get_current_context().find_root().meta["rke2pack.console"] = console
        settings = _settings(app, given)
        if not settings.is_lab:
            function(settings=settings, console=console, **given)
            return
        with app.open_lab(settings, console) as lab_settings:
            function(settings=lab_settings, console=console, **given)

    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


def _settings(app: App, given: dict[str, Any]) -> Settings:
    """Take the common options out of ``given``; what is left are the command's own."""
    unset: dict[str, Any] = {"registry": None, "platforms": (), "components": (), "is_prime": False}
    names = [name for name in Settings.__dataclass_fields__ if name != "cache_dir"]
    values = {name: given.pop(name) if name in given else unset[name] for name in names}
    cache_dir = given.pop("cache_dir") or app.default_cache_dir
    return Settings(cache_dir=Path(cache_dir), **values)
