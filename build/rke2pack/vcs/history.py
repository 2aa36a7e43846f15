"""What a checkout was: files at a revision, tags, exports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack import files
from rke2pack.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from git import Repo
    from git.objects import Blob, Tree

# git is imported in a try of its own: a signal may come meanwhile, and then there is no `git`
# that the handlers of the other one could name.


def read_at(folder: Path, revision: str, name: str) -> str:
    """Return the text of the file ``name`` below ``folder`` as it was at a revision.

    Raises ConfigError where ``folder`` is in no checkout or the revision has no such file.
    """
    try:
        import git  # noqa: PLC0415 - slow to import
    except ImportError as exc:
        msg = "git: no such program"
        raise ToolError(msg, hint="install git, or name a folder") from exc
    try:
        repo = git.Repo(folder, search_parent_directories=True)
        commit = repo.commit(revision)
        path = (folder.resolve() / name).relative_to(Path(str(repo.working_dir)).resolve())
        data: bytes = (commit.tree / path.as_posix()).data_stream.read()
        return data.decode()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
        msg = f"{folder}: not in a git checkout, so there is no revision {revision}"
        raise ConfigError(msg, hint="name the folder of a tree") from exc
    except (git.GitError, git.BadName, KeyError, ValueError, IndexError) as exc:
        msg = f"{revision}: git knows no such revision with {name}"
        raise ConfigError(msg, hint="name a commit, branch, tag, or the folder of a tree") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A commit: its id, and when it was committed (UTC)."""

    commit: str
    moment: datetime


class History:
    """What git knows of a folder of a checkout; nothing is changed."""

    def __init__(self, folder: Path) -> None:
        """Open the checkout around ``folder``; raises ConfigError where there is none."""
        try:
            import git  # noqa: PLC0415 - slow to import
        except ImportError as exc:
            msg = "git: no such program"
            raise ToolError(msg, hint="install git") from exc
        try:
            self._repo: Repo = git.Repo(folder, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
            msg = f"{folder}: not in a git checkout"
            raise ConfigError(msg, hint="name the folder of a tree") from exc
        top = Path(str(self._repo.working_dir)).resolve()
        self._folder = folder
        self._below = folder.resolve().relative_to(top).as_posix()

    def has(self, name: str) -> bool:
        """Whether the newest commit has the file ``name`` of the folder."""
        return self._repo.head.is_valid() and self._at("HEAD", name) is not None

    def revision(self, name: str) -> Revision | None:
        """Return the commit that a tag, a branch or an id leads to; None for no such name."""
        import git  # noqa: PLC0415 - slow to import

        try:
            commit = self._repo.commit(f"{name}^{{commit}}")
        except (git.GitError, git.BadName, KeyError, ValueError, IndexError, AttributeError):
            return None
        moment = datetime.fromtimestamp(commit.committed_date, tz=UTC)
        return Revision(commit=str(commit.hexsha), moment=moment)

    def tags(self, revision: str) -> tuple[str, ...]:
        """Return the tags on the way to a revision, itself included, in git's order."""
        return tuple(self._git("tag", "--list", "--merged", revision).splitlines())

    def changed(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of the folder's files are not as the newest commit has them."""
        below = [str((self._folder / name).resolve()) for name in names]
        lines = self._git("status", "--porcelain", "--", *below).splitlines()
        return tuple(line[3:] for line in lines)

    def export(self, revision: str, names: Iterable[str], target: Path) -> None:
        """Write the folder's files and folders ``names`` as they were to ``target``.

        What the revision does not have is left out. Links are not followed, nor written.
        """
        for name in names:
            found = self._at(revision, name)
            for blob in _blobs(found) if found is not None else ():
                if blob.mode != blob.link_mode:
                    below = Path(str(blob.path)).relative_to(self._below)
                    files.write(target / below, blob.data_stream.read())

    def _at(self, revision: str, name: str) -> Tree | Blob | None:
        path = name if self._below == "." else f"{self._below}/{name}"
        try:
            found = self._repo.commit(f"{revision}^{{commit}}").tree / path
        except KeyError:
            return None
        return None if found.type == "submodule" else found

    def _git(self, command: str, *arguments: str) -> str:
        import git  # noqa: PLC0415 - slow to import

        try:
            return str(self._repo.git.execute(["git", "--literal-pathspecs", command, *arguments]))
        except git.GitCommandError as exc:
            reason = str(exc.stderr or exc.stdout).strip().removeprefix("stderr:").strip(" '\n")
            msg = f"git {command}: {reason.splitlines()[0] if reason else 'failed'}"
            raise ToolError(msg) from exc


def _blobs(found: Tree | Blob) -> Iterator[Blob]:
    """Yield the files of a revision that a path leads to."""
    if found.type == "blob":
        yield found
        return
    yield from found.blobs
    for folder in found.trees:
        yield from _blobs(folder)


def tag_before(folder: Path) -> str | None:
    """Return the newest tag that stands before the commit which is checked out; None for none.

    None also where ``folder`` is in no checkout, or nothing is committed there.
    """
    try:
        import git  # noqa: PLC0415 - slow to import
    except ImportError as exc:
        msg = "git: no such program"
        raise ToolError(msg, hint="install git, or name a folder") from exc
    try:
        repo = git.Repo(folder, search_parent_directories=True)
        if not repo.head.is_valid():
            return None
        found = str(repo.git.tag("--merged", "HEAD", "--no-contains", "HEAD", sort="-creatordate"))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None
    except git.GitCommandError as exc:
        msg = f"git tag: {' '.join(str(exc.stderr).split())[:200]}"
        raise ToolError(msg, hint="name what to compare with") from exc
    return next(iter(found.splitlines()), None)
