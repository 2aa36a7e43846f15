"""Where a release comes from: the tag, the commit, the time, and who builds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rke2pack.errors import ConfigError, ReleaseError
from rke2pack.finding import Finding
from rke2pack.helm.version import Rke2Version
from rke2pack.release import trees
from rke2pack.release.provenance import LOCAL_BUILDER, Origin
from rke2pack.vcs.history import History, Revision
from rke2pack.workspace import Workspace

# The lab's charts and images are of no time.
_LAB_MOMENT: Final = datetime(2025, 1, 1, tzinfo=UTC)
_MAX_EPOCH: Final = 253402300799


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a release comes from; ``history`` is None for a tree outside git."""

    tag: str
    moment: datetime
    commit: str | None
    history: History | None
    findings: tuple[Finding, ...]

    def previous(self) -> str | None:
        """Return the tag of the release before; None where git knows none."""
        return trees.previous(self.history, self.tag) if self.history else None


def find(workspace: Workspace, tag: str, environment: Mapping[str, str]) -> Source:
    """Find out where a release comes from.

    Raises ReleaseError where tag, tree and git do not agree, ConfigError where
    nothing says from when it is.
    """
    version = workspace.tree.environment["RKE2_VERSION"]
    if tag != version:
        Rke2Version.parse(tag)
        msg = f"tag {tag}: the tree is of {version} (RKE2_VERSION)"
        raise ReleaseError(msg, hint="check out the tag, or correct the version and commit it")
    history = _history(workspace)
    head = history.revision("HEAD") if history else None
    if history is None or head is None:
        moment = _moment(workspace, environment, None)
        return Source(tag=tag, moment=moment, commit=None, history=None, findings=())
    return Source(
        tag=tag,
        moment=_moment(workspace, environment, head),
        commit=head.commit,
        history=history,
        findings=tuple(_agreement(history, tag, head)),
    )


def _history(workspace: Workspace) -> History | None:
    """Open the tree's own history; a tree that lies in another checkout unknown to it has none."""
    if workspace.settings.is_lab:
        return None
    try:
        history = History(workspace.tree.root)
    except ConfigError:
        return None
    return history if any(history.has(name) for name in trees.MARKERS) else None


def _agreement(history: History, tag: str, head: Revision) -> Iterable[Finding]:
    changed = history.changed(trees.FILES)
    if changed:
        msg = f"{changed[0]}: has local changes, which the tag does not have"
        raise ReleaseError(msg, hint="commit them, then tag that commit", details=changed[1:])
    tagged = history.revision(f"refs/tags/{tag}")
    if tagged is None:
        yield Finding(
            severity="warning",
            check="no-tag",
            subject=tag,
            expected="a tag of this name on the commit that is checked out",
            got="none",
        )
    elif tagged.commit != head.commit:
        msg = f"tag {tag}: is {tagged.commit}, checked out is {head.commit}"
        raise ReleaseError(msg, hint=f"run 'git switch --detach {tag}', then build again")


def _moment(
    workspace: Workspace, environment: Mapping[str, str], head: Revision | None
) -> datetime:
    text = environment.get("SOURCE_DATE_EPOCH", "")
    if text:
        if not (text.isascii() and text.isdigit()) or int(text) > _MAX_EPOCH:
            msg = f"SOURCE_DATE_EPOCH={text[:50]!r}: not seconds since 1970"
            raise ConfigError(msg, hint="write it as $(git log -1 --format=%ct)")
        return datetime.fromtimestamp(int(text), tz=UTC)
    if head is not None:
        return head.moment
    if workspace.settings.is_lab:
        return _LAB_MOMENT
    msg = f"{workspace.tree.root}: not in git, so nothing says from when the release is"
    raise ConfigError(msg, hint="set SOURCE_DATE_EPOCH, the seconds since 1970")


def origin(source: Source, environment: Mapping[str, str], builder: str | None) -> Origin:
    """Return who builds: the workflow on GitHub, what ``--builder`` says, or this machine.

    Runs of one workflow that are tried again have the same invocation, so that they
    make the same bytes.
    """
    commit = source.commit or ""
    if environment.get("GITHUB_ACTIONS") != "true":
        return Origin(builder=builder or LOCAL_BUILDER, commit=commit)
    server, repository = (
        environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY")
    )
    home = f"{server}/{repository}"
    return Origin(
        builder=builder or f"{server}/{environment.get('GITHUB_WORKFLOW_REF', repository)}",
        invocation=f"{home}/actions/runs/{environment.get('GITHUB_RUN_ID', '')}",
        source=home,
        commit=commit,
    )
