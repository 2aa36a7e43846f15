"""The door to git (GitPython)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from git import Repo


class Checkout:
    """A git checkout that a tree lies in; what would hinder a commit shows before it."""

    def __init__(self, folder: Path) -> None:
        """Open the checkout around ``folder``; raises ConfigError where there is none."""
        try:
            import git  # noqa: PLC0415 - slow to import
        except ImportError as exc:
            msg = "git: no such program"
            raise ToolError(msg, hint="install git, or leave out --commit") from exc
        try:
            self._repo: Repo = git.Repo(folder, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
            msg = f"{folder}: not in a git checkout"
            raise ConfigError(msg, hint="leave out --commit, or clone the tree with git") from exc
        if self._repo.bare:
            msg = f"{folder}: a bare repository has no files to change"
            raise ConfigError(msg)
        self._refuse_open_merge()
        self._refuse_anonymity()

    def refuse_local_changes(self, paths: Iterable[Path]) -> None:
        """Raise ConfigError when one of the files has changes that are not committed."""
        names = _absolute(paths)
        changed = self._git("status", "--porcelain", "--", *names).splitlines()
        if changed:
            first = changed[0][3:]
            msg = f"{first}: has local changes, which --commit would take along"
            raise ConfigError(
                msg, hint="commit or stash them first", details=tuple(c[3:] for c in changed[1:])
            )

    def refuse_branch(self, name: str) -> None:
        """Raise ConfigError where a branch cannot be made under this name."""
        self._git("check-ref-format", "--branch", name)
        for head in self._repo.heads:
            if head.name == name:
                msg = f"branch {name} exists already"
            elif head.name.startswith(f"{name}/") or name.startswith(f"{head.name}/"):
                msg = f"branch {name} cannot stand beside the branch {head.name}"
            else:
                continue
            raise ConfigError(msg, hint="choose another name with --branch, or delete that branch")

    def commit(
        self, paths: Iterable[Path], *, message: str, branch: str | None, is_signed_off: bool
    ) -> str:
        """Commit exactly these files, on a new branch where one is named; return the commit's id.

        What else is staged stays staged and uncommitted. Where git refuses,
        branch and staging are put back and ToolError is raised; the files stay.
        """
        names = _absolute(paths)
        before = self._head()
        options = ["--signoff"] if is_signed_off else []
        try:
            if branch is not None:
                self._git("switch", "--quiet", "--create", branch)
            self._git("add", "--", *names)
            self._git("commit", "--quiet", "--only", *options, "--message", message, "--", *names)
        except ToolError:
            self._git("reset", "--quiet", "--", *names)
            if branch is not None and self._head() != before:
                self._git("switch", "--quiet", *before)
                self._git("branch", "--quiet", "--delete", "--force", branch)
            raise
        return str(self._repo.head.commit.hexsha)

    def _head(self) -> tuple[str, ...]:
        """Return what ``git switch`` needs to come back here: a branch, or a detached commit."""
        if self._repo.head.is_detached:
            return ("--detach", str(self._repo.head.commit.hexsha))
        return (str(self._repo.active_branch.name),)

    def _refuse_open_merge(self) -> None:
        if (Path(self._repo.git_dir) / "MERGE_HEAD").exists():
            msg = f"{self._repo.working_dir}: a merge is not finished, git commits no single files"
            raise ConfigError(msg, hint="finish the merge, or end it with 'git merge --abort'")

    def _refuse_anonymity(self) -> None:
        for role in ("AUTHOR", "COMMITTER"):
            try:
                self._git("var", f"GIT_{role}_IDENT")
            except ToolError as exc:
                msg = f"git does not know who commits ({role.lower()})"
                raise ToolError(msg, hint="set user.name and user.email with 'git config'") from exc

    def _git(self, command: str, *arguments: str) -> str:
        import git  # noqa: PLC0415

        try:
            return str(self._repo.git.execute(["git", "--literal-pathspecs", command, *arguments]))
        except git.GitCommandError as exc:
            reason = str(exc.stderr or exc.stdout).strip().removeprefix("stderr:").strip(" '\n")
            lines = tuple(line for line in reason.splitlines() if line.strip())
            msg = f"git {command}: {lines[0] if lines else 'failed'}"
            raise ToolError(msg, details=lines[1:6]) from exc


def _absolute(paths: Iterable[Path]) -> list[str]:
    """Name files independently of the folder git runs in, which is the checkout's top."""
    return [str(path.parent.resolve() / path.name) for path in paths]


def read_at(folder: Path, revision: str, name: str) -> str:
    """Return the text of the file ``name`` below ``folder`` as it was at a revision.

    Raises ConfigError where ``folder`` is in no checkout or the revision has no such file.
    """
    try:
        import git  # noqa: PLC0415 - slow to import

        repo = git.Repo(folder, search_parent_directories=True)
        commit = repo.commit(revision)
        path = (folder.resolve() / name).relative_to(Path(str(repo.working_dir)).resolve())
        data: bytes = (commit.tree / path.as_posix()).data_stream.read()
        return data.decode()
    except ImportError as exc:
        msg = "git: no such program"
        raise ToolError(msg, hint="install git, or name a folder") from exc
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
        msg = f"{folder}: not in a git checkout, so there is no revision {revision}"
        raise ConfigError(msg, hint="name the folder of a tree") from exc
    except (git.GitError, git.BadName, KeyError, ValueError, IndexError) as exc:
        msg = f"{revision}: git knows no such revision with {name}"
        raise ConfigError(msg, hint="name a commit, branch, tag, or the folder of a tree") from exc
