"""``release TAG``: one folder with everything, described and signed; and on to GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.manual import Manual
from rke2pack.oci.pack import outfolder
from rke2pack.options import current_app, github_token, image_options
from rke2pack.release.uploadplan import UploadPlan, Wanted
from rke2pack.settings import Settings
from rke2pack.stages.release import notes, signers
from rke2pack.stages.release import source as sources
from rke2pack.stages.release.wish import OUTPUT, Content, Publishing, Signing, release_options
from rke2pack.stages.release.work import Request, Work, plan_path
from rke2pack.workspace import Workspace


@click.command(
    "release", cls=Manual, short_help="Put a release into one folder, signed; and publish it."
)
@image_options
@click.argument("tag")
@release_options
def command(
    *,
    settings: Settings,
    console: Console,
    tag: str,
    content: Content,
    signing: Signing,
    publishing: Publishing,
) -> None:
    """Collect dist/ into one folder: archives, lists, manifests, checksums, SBOM, provenance.

    TAG is the tree's RKE2_VERSION. Every file has to be there, and to be what
    its list says. The same tree gives the same bytes. With --publish the folder
    goes to GitHub: as a draft first, proved by download, then published; what
    broke off goes on where it was. Keys and tokens: docs/release.md.
    """
    environment = current_app().environment
    workspace = Workspace(settings=settings)
    source = sources.find(workspace, tag, environment)
    request = _request(settings.tree, content, signing, environment)
    target = _target(publishing, environment) if publishing.is_published else None
    console.step(f"release: {tag}, of {source.moment:%Y-%m-%d %H:%M:%S} UTC, in {request.output}")
    work = Work(
        workspace=workspace,
        request=request,
        source=source,
        origin=sources.origin(source, environment, content.builder),
        console=console,
    )
    with nullcontext() if settings.is_dry_run else work.folder.alone():
        with outfolder.reading(request.artifacts):
            released = work.release()
        plan_file = None if settings.is_dry_run else plan_path(request.output)
        plan = UploadPlan(tag=tag, assets=released.assets, path=plan_file)
        plan.write()
        for asset in plan.assets:
            console.line(f"{asset.name:<48} {asset.size:>12}  {asset.digest}")
        console.findings(released.findings)
        address = None
        if target is not None:
            wanted = Wanted(
                name=tag,
                body=notes.shortened(released.notes),
                commit=source.commit,
                is_prerelease=publishing.is_prerelease,
                stays_draft=publishing.stays_draft,
            )
            address = _publish(target, plan, wanted, settings, console)
    console.document(
        {
            **plan.to_json(),
            "folder": str(request.output),
            "findings": [each.to_json() for each in released.findings],
            "address": address,
        }
    )


def _request(
    tree: Path, content: Content, signing: Signing, environment: Mapping[str, str]
) -> Request:
    """Fill in the defaults; raises ConfigError for options that contradict each other."""
    if content.is_unvalidated and content.validations:
        msg = "--without-validation: cannot go with --validation"
        raise ConfigError(msg, hint="leave out one of the two")
    reports = content.validations or (tree / "dist/validate/report.json",)
    return Request(
        artifacts=content.artifacts or tree / "dist/artifacts",
        charts=content.charts or tree / "dist/charts",
        validations=() if content.is_unvalidated else reports,
        output=content.output or tree / OUTPUT,
        bundles=content.bundles,
        since=content.since,
        intro=content.intro,
        attached=content.attached,
        has_spdx=content.has_spdx,
        signers=signers.find(signing, environment),
    )


def _target(publishing: Publishing, environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Return repository, API and token; raises ConfigError where one is not told."""
    from rke2pack.github.client import API  # noqa: PLC0415 - requests is slow to import

    repository = publishing.repo or environment.get("GITHUB_REPOSITORY", "")
    if not repository:
        msg = "--publish: nothing says where"
        raise ConfigError(msg, hint="name the repository with --repo OWNER/NAME")
    token = github_token("--publish", rights="contents")
    return repository, publishing.api or environment.get("GITHUB_API_URL") or API, token


def _publish(
    target: tuple[str, str, str],
    plan: UploadPlan,
    wanted: Wanted,
    settings: Settings,
    console: Console,
) -> str:
    from rke2pack.github.client import GitHub  # noqa: PLC0415 - requests is slow to import
    from rke2pack.http import new_session  # noqa: PLC0415
    from rke2pack.release.publish import Publisher  # noqa: PLC0415

    repository, api, token = target
    files = wording.count(len(plan.assets), "file")
    console.step(f"publish: {plan.tag}, {files}, to {repository}")
    session = new_session(ca_file=settings.ca_file)
    publisher = Publisher(
        github=GitHub(session, repository, token=token, api=api),
        plan=plan,
        wanted=wanted,
        now=lambda: datetime.now(UTC),
        tell=console.line,
    )
    return publisher.publish(is_dry_run=settings.is_dry_run)
