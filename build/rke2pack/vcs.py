"""The door to git (GitPython)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack.errors import ConfigError, ToolError

if TYPE_CHECKING:
    from git import Repo


class Checkout:
    """A git checkout that a tree lies in."""

    def __init__(self, folder: Path) -> None:
        """Open the checkout around ``folder``; raises ConfigError where there is none."""
        import git  # noqa: PLC0415 - slow to import

        try:
            self._repo: Repo = git.Repo(folder, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
            msg = f"{folder}: not in a git checkout"
            raise ConfigError(msg, hint="leave out --commit, or clone the tree with git") from exc
        if self._repo.bare:
            msg = f"{folder}: a bare repository has no files to change"
            raise ConfigError(msg)

    def refuse_local_changes(self, paths: Iterable[Path]) -> None:
        """Raise ConfigError when one of the files has changes that are not committed."""
        names = [str(path) for path in paths]
        changed = self._git("status", "--porcelain", "--", *names).splitlines()
        if changed:
            first = changed[0][3:]
            msg = f"{first}: has local changes, which --commit would take along"
            raise ConfigError(
                msg, hint="commit or stash them first", details=tuple(c[3:] for c in changed[1:])
            )

    def refuse_branch(self, name: str) -> None:
        """Raise ConfigError where a branch cannot be made under this name."""
        if name in {head.name for head in self._repo.heads}:
            msg = f"branch {name} exists already"
            raise ConfigError(msg, hint="choose another name with --branch, or delete that branch")
        self._git("check-ref-format", "--branch", name)

    def commit(
        self, paths: Iterable[Path], *, message: str, branch: str | None, is_signed_off: bool
    ) -> str:
        """Commit exactly these files, on a new branch where one is named; return the commit's id.

        What else is staged stays staged and uncommitted.
        """
        names = [str(path) for path in paths]
        if branch is not None:
            self._git("switch", "--quiet", "--create", branch)
        self._git("add", "--", *names)
        options = ["--signoff"] if is_signed_off else []
        self._git("commit", "--quiet", "--only", *options, "--message", message, "--", *names)
        return str(self._repo.head.commit.hexsha)

    def _git(self, command: str, *arguments: str) -> str:
        import git  # noqa: PLC0415

        try:
            return str(self._repo.git.execute(["git", command, *arguments]))
        except git.GitCommandError as exc:
            reason = str(exc.stderr or exc.stdout).strip().removeprefix("stderr:").strip(" '\n")
            lines = tuple(line for line in reason.splitlines() if line.strip())
            msg = f"git {command}: {lines[0] if lines else 'failed'}"
            raise ToolError(msg, details=lines[1:6]) from exc
