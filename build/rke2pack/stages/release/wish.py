"""The command's own options, in three groups: what is in it, who signs, where it goes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import click

from rke2pack.shards.asked import Bundles, bundle_option

OUTPUT: Final = "dist/release"
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the release is made of; None stands for the default in the tree."""

    artifacts: Path | None
    charts: Path | None
    validations: tuple[Path, ...]
    is_unvalidated: bool
    output: Path | None
    bundles: Bundles
    since: str | None
    intro: Path | None
    attached: tuple[Path, ...]
    has_spdx: bool
    builder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs."""

    sign_key: Path | None
    is_keyless: bool
    trust_config: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Where the release goes."""

    is_published: bool
    repo: str | None
    api: str | None
    is_prerelease: bool
    stays_draft: bool


_CONTENT: Final = (
    click.option("--artifacts", type=_FOLDER, help="What airgap wrote.  [default: dist/artifacts]"),
    click.option("--charts", type=_FOLDER, help="What charts wrote.  [default: dist/charts]"),
    click.option(
        "--validation",
        "validations",
        multiple=True,
        type=_FILE,
        help="A report of validate (repeatable).  [default: dist/validate/report.json]",
    ),
    click.option(
        "--without-validation",
        "is_unvalidated",
        is_flag=True,
        help="Release what was not validated.",
    ),
    click.option("--output", type=_FOLDER, help=f"Folder to write to.  [default: {OUTPUT}]"),
    bundle_option,
    click.option(
        "--since",
        metavar="TAG|DIR",
        help="The release to compare with in the notes.  [default: the newest tag before]",
    ),
    click.option("--notes", "intro", type=_FILE, help="Markdown to begin the notes with."),
    click.option(
        "--attach", "attached", multiple=True, type=_FILE, help="One more file (repeatable)."
    ),
    click.option("--spdx", "has_spdx", is_flag=True, help="Write an SBOM as SPDX, too."),
    click.option("--builder", metavar="URI", help="Who builds, for the provenance."),
)
_SIGNING: Final = (
    click.option(
        "--sign-key", type=_FILE, help="Sign with this private key: PEM, Ed25519 or ECDSA."
    ),
    click.option(
        "--keyless", "is_keyless", is_flag=True, help="Sign with sigstore, as this workflow."
    ),
    click.option(
        "--trust-config", type=_FILE, help="A sigstore of one's own: its ClientTrustConfig."
    ),
)
_PUBLISHING: Final = (
    click.option("--publish", "is_published", is_flag=True, help="Publish it on GitHub."),
    click.option(
        "--repo", metavar="OWNER/NAME", help="Where to publish.  [default: $GITHUB_REPOSITORY]"
    ),
    click.option(
        "--api", metavar="URL", help="GitHub's API.  [default: $GITHUB_API_URL, or GitHub's own]"
    ),
    click.option(
        "--prerelease", "is_prerelease", is_flag=True, help="Publish it as a pre-release."
    ),
    click.option(
        "--draft", "stays_draft", is_flag=True, help="Send and prove it, and leave it a draft."
    ),
)
_GROUPS: Final = (
    ("content", Content, _CONTENT),
    ("signing", Signing, _SIGNING),
    ("publishing", Publishing, _PUBLISHING),
)


def release_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; it is called with ``content``, ``signing``, ``publishing``."""

    @functools.wraps(function)
    def wrapper(**given: Any) -> None:  # noqa: ANN401 - click passes options by name
        groups = {
            name: kind(**{each.name: given.pop(each.name) for each in fields(kind)})
            for name, kind, _ in _GROUPS
        }
        function(**groups, **given)

    for _, _, options in reversed(_GROUPS):
        for option in reversed(options):
            wrapper = option(wrapper)
    return wrapper
