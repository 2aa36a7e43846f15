"""``propose``: push what ``bump --lines`` made, and open a pull request for every line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from rke2pack import files, wording
from rke2pack.address import hidden
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.manual import Manual
from rke2pack.options import current_app, github_token, local_options
from rke2pack.settings import Settings
from rke2pack.vcs.checkout import Branch, Checkout


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A branch for a release line, and what a pull request of it says."""

    branch: Branch
    title: str
    body: str

    def to_json(self, *, is_pushed: bool, address: str | None) -> dict[str, Any]:
        """Return the object that ``--json`` carries."""
        return {
            "branch": self.branch.name,
            "line": self.branch.line,
            "commit": self.branch.commit,
            "title": self.title,
            "pushed": is_pushed,
            "pull_request": address,
        }


@click.command(
    "propose", cls=Manual, short_help="Push branches of bump --lines and open pull requests."
)
@local_options
@click.argument("branches", nargs=-1, required=True, metavar="BRANCH...")
@click.option("--remote", default="origin", show_default=True, help="Where to push.")
@click.option(
    "--repo",
    "repository",
    metavar="OWNER/NAME",
    help="Open pull requests in this repository of GitHub.  [default: only push]",
)
@click.option(
    "--head-owner", metavar="OWNER", help="Whose fork the remote is.  [default: the repository's]"
)
@click.option("--api", metavar="URL", help="GitHub's API, of GitHub Enterprise for example.")
@click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of 'bump --report': LINE.md is the text of the line's pull request.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    branches: tuple[str, ...],
    remote: str,
    repository: str | None,
    head_owner: str | None,
    api: str | None,
    reports: Path | None,
) -> None:
    """Push branches, all or none, and open a pull request for each against its release line.

    BRANCH is a branch that 'bump --lines' made, or what several of them begin
    with: bump/harvester-cloud-provider-0.2.10 stands for all lines of that bump.
    A branch that has a pull request keeps it. The token comes from GITHUB_TOKEN
    or GH_TOKEN.
    """
    if hidden(remote) != remote and ":" in urlsplit(remote).netloc.rpartition("@")[0]:
        msg = f"--remote: {hidden(remote)} carries a password, which every process here could see"
        raise ConfigError(msg, hint="leave it to git's credential helper (git help credentials)")
    checkout = Checkout(settings.tree)
    proposals = [_proposal(checkout, branch, reports) for branch in checkout.below(branches)]
    environment = current_app().environment
    token = ""
    if repository and not settings.is_dry_run:
        token = github_token("--repo", rights="pull requests")
    for proposal in proposals:
        console.line(f"{proposal.branch.name} -> {proposal.branch.line}: {proposal.title}")
    addresses: dict[str, str] = {}
    if not settings.is_dry_run:
        told = wording.count(len(proposals), "branch", "branches")
        console.step(f"propose: pushing {told} to {remote}")
        checkout.push(remote, [each.branch.name for each in proposals])
        if repository:
            target = (repository, api or environment.get("GITHUB_API_URL"), token)
            addresses = _open(settings, target, proposals, head_owner)
            for address in addresses.values():
                console.line(f"pull request {address}")
    else:
        console.line("dry run: nothing was pushed")
    console.document(
        {
            "remote": remote,
            "repository": repository,
            "proposals": [
                each.to_json(
                    is_pushed=not settings.is_dry_run, address=addresses.get(each.branch.name)
                )
                for each in proposals
            ],
        }
    )


def _proposal(checkout: Checkout, branch: Branch, reports: Path | None) -> Proposal:
    title, _, body = checkout.message(branch.commit).partition("\n")
    if reports is not None:
        body = files.read_text(reports / f"{branch.line.replace('/', '-')}.md")
    return Proposal(branch=branch, title=f"[{branch.line}] {title}", body=body.strip())


def _open(
    settings: Settings,
    target: tuple[str, str | None, str],
    proposals: list[Proposal],
    head_owner: str | None,
) -> dict[str, str]:
    from rke2pack.github.client import API, GitHub  # noqa: PLC0415 - requests is slow to import
    from rke2pack.http import new_session  # noqa: PLC0415

    repository, api, token = target
    session = new_session(ca_file=settings.ca_file)
    github = GitHub(session, repository, token=token, api=api or API)
    owner = head_owner or repository.partition("/")[0]
    return {
        each.branch.name: github.pull_request(
            head=f"{owner}:{each.branch.name}",
            base=each.branch.line,
            title=each.title,
            body=each.body,
        )
        for each in proposals
    }
