"""The options of every command, and how a command gets its settings."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from rke2pack import completion
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.settings import Settings

TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_SIZE = re.compile(r"([1-9]\d{0,11})(B|kB|MB|GB|KiB|MiB|GiB)\Z")
_UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3,
          "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}  # fmt: skip
_F = TypeVar("_F", bound=Callable[..., Any])
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class App:
    """What the CLI hands to commands: made once from the environment."""

    is_github: bool
    default_cache_dir: Callable[[], Path]
    open_lab: Callable[[Settings, Console], AbstractContextManager[Settings]]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class CommonOption(click.Option):
    """An option that means the same in every command that has it."""


_common = functools.partial(click.option, cls=CommonOption)
_OPTIONS: dict[str, Callable[[_F], _F]] = {
    "tree": _common(
        "--tree",
        type=_FOLDER,
        default=Path(),
        show_default="this folder",
        help="The tree to work in.",
    ),
    "charts-repo": _common(
        "--charts-repo",
        metavar="NAME|URL|DIR",
        help="Chart repository: a name of repositories.yaml, an address, or a folder.",
    ),
    "registry": _common(
        "--registry",
        metavar="HOST",
        help="Registry to write in front of images, as system-default-registry does.",
    ),
    "platform": _common(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH",
        help="Only this platform (repeatable).",
        shell_complete=completion.platforms,
    ),
    "component": _common(
        "--component",
        "components",
        multiple=True,
        metavar="NAME",
        help="Only this component (repeatable).",
        shell_complete=completion.components,
    ),
    "prime": _common(
        "--prime",
        "is_prime",
        is_flag=True,
        help="The images of Rancher Prime (global.prime.enabled).",
    ),
    "cache-dir": _common(
        "--cache-dir",
        type=_FOLDER,
        help="Where downloads are kept.  [default: the user's cache folder]",
    ),
    "ca-file": _common("--ca-file", type=_FILE, help="Certificate authorities to trust, as PEM."),
    "helm": _common(
        "--helm",
        metavar="PROGRAM",
        help="Render with this helm program instead of the built-in Helm.",
    ),
    "offline": _common("--offline", "is_offline", is_flag=True, help="Use only what is cached."),
    "allow-missing-digest": _common(
        "--allow-missing-digest",
        "allows_missing_digest",
        is_flag=True,
        help="Accept charts whose index entry has no digest.",
    ),
    "dry-run": _common(
        "--dry-run", "is_dry_run", is_flag=True, help="Show what would change; write nothing."
    ),
    "lab": _common(
        "--lab",
        "is_lab",
        is_flag=True,
        help="Use the built-in charts and images, on a copy of the tree in dist/lab/.",
    ),
    "json": _common("--json", "is_json", is_flag=True, help="Write one JSON document to stdout."),
    "verbose": _common("-v", "--verbose", count=True, help="Say more."),
    "quiet": _common("-q", "--quiet", is_flag=True, help="Say only errors."),
}
_TALK = ("json", "verbose", "quiet")
_CHARTS = ("tree", "charts-repo", "cache-dir", "ca-file", "helm", "offline", "allow-missing-digest")


def common_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command all common options; it is called with ``settings`` and ``console``."""
    return _with(function, tuple(_OPTIONS))


def chart_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that a tree and its charts need."""
    return _with(function, (*_CHARTS, "dry-run", "lab", *_TALK))


def validate_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that checks of a tree's charts need."""
    return _with(function, (*_CHARTS, "registry", "component", "prime", "dry-run", "lab", *_TALK))


def image_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that listed images need."""
    return common_options(function)


def server_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that something to serve needs."""
    return _with(function, ("tree", "cache-dir", "lab", *_TALK))


def local_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that a git checkout needs."""
    return _with(function, ("tree", "ca-file", "dry-run", *_TALK))


def store_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that the image store needs."""
    return _with(function, ("cache-dir", "dry-run", *_TALK))


def travel_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options that a cache on its way through a registry needs."""
    return _with(function, ("tree", "cache-dir", "ca-file", "dry-run", "lab", *_TALK))


allow_moved_tags = click.option(
    "--allow-moved-tags",
    "allows_moved",
    is_flag=True,
    help="Accept images that are not what images.lock has; each is a finding.",
)


def talk_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the common options for what it says; it keeps nothing."""
    return _with(function, _TALK)


def _parse_size(_context: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = _SIZE.match(value)
    if match is None:
        msg = f"{value!r} is no size; write it as 1900MB or 2GiB"
        raise click.BadParameter(msg)
    return int(match[1]) * _UNITS[match[2]]


max_size_option = click.option(
    "--max-size",
    metavar="SIZE",
    callback=_parse_size,
    help="Split what is larger into NAME.part01, ... of at most SIZE, like 1900MB.",
)


def current_app() -> App:
    """Return what the CLI made for the command that runs now."""
    app = click.get_current_context().find_object(App)
    if app is None:
        msg = "the command was called without an App"
        raise TypeError(msg)
    return app


def github_token(asked_by: str, *, rights: str) -> str:
    """Return the token of the environment, for the option ``asked_by``; raises ConfigError."""
    environment = current_app().environment
    token = next((environment[name] for name in TOKENS if environment.get(name)), "")
    if not token:
        msg = f"{asked_by}: there is no token in {' or '.join(TOKENS)}"
        raise ConfigError(msg, hint=f"set GITHUB_TOKEN to a token that may write {rights}")
    return token


store_option = click.option(
    "--store",
    type=_FOLDER,
    help="The image store, an OCI layout.  [default: store/ in the cache folder]",
)


def _with(function: Callable[..., None], names: tuple[str, ...]) -> Callable[..., None]:
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

    for name in reversed(tuple(name for name in _OPTIONS if name in names)):
        wrapper = _OPTIONS[name](wrapper)
    return wrapper


def _settings(app: App, given: dict[str, Any]) -> Settings:
    """Take the common options out of ``given``; what is left are the command's own."""
    unset: dict[str, Any] = {
        **dict.fromkeys(("charts_repo", "registry", "ca_file", "helm")),
        **dict.fromkeys(("platforms", "components"), ()),
        **dict.fromkeys(
            ("is_prime", "is_offline", "is_dry_run", "allows_missing_digest", "is_lab"), False
        ),
        "tree": Path(),
    }
    names = [name for name in Settings.__dataclass_fields__ if name not in {"cache_dir", "lab"}]
    values = {name: given.pop(name) if name in given else unset[name] for name in names}
    cache_dir = given.pop("cache_dir", None) or app.default_cache_dir()
    return Settings(cache_dir=Path(cache_dir), **values)
