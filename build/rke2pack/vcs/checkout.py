"""A checkout that is changed: commits, branches, worktrees, pushes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rke2pack import filelock
from rke2pack.errors import ConfigError, ToolError, choice

if TYPE_CHECKING:
    from git import Repo

# Checking out a large tree may take minutes.
_PAUSES = 6000


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit: its id, its day (``2025-06-16``) and the first line of its message."""

    id: str
    date: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A branch with its tip, made on top of a release line."""

    name: str
    commit: str
    line: str


class Checkout:
    """A git checkout that a tree lies in; what would hinder a commit shows before it."""

    def __init__(self, folder: Path, *, commits: bool = False) -> None:
        """Open the checkout around ``folder``; raises ConfigError where there is none.

        ``commits``: refuse at once where git would refuse a commit later.
        """
        try:
            import git  # noqa: PLC0415 - slow to import
        except ImportError as exc:
            msg = "git: no such program"
            raise ToolError(msg, hint="install git, or leave out what commits") from exc
        try:
            self._repo: Repo = git.Repo(folder, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
            msg = f"{folder}: not in a git checkout"
            raise ConfigError(msg, hint="clone it with git, or leave out what commits") from exc
        if self._repo.bare:
            msg = f"{folder}: a bare repository has no files to change"
            raise ConfigError(msg)
        if commits:
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

    @property
    def top(self) -> Path:
        """The checkout's top folder."""
        return Path(str(self._repo.working_dir)).resolve()

    def line(self, name: str) -> str:
        """Return the commit at the tip of a release line: a branch here, or of the one remote.

        Raises ConfigError where there is none, or remotes disagree.
        """
        local = [head for head in self._repo.heads if head.name == name]
        remote = [
            ref for each in self._repo.remotes for ref in each.refs if ref.remote_head == name
        ]
        tips = dict.fromkeys(str(ref.commit.hexsha) for ref in (local or remote))
        if len(tips) == 1:
            return next(iter(tips))
        if tips:
            remotes = ", ".join(ref.name for ref in remote)
            msg = f"{name}: remotes have different branches of this name: {remotes}"
            raise ConfigError(msg, hint=f"make a branch {name} here from the one that is meant")
        msg = f"{name}: no branch of this name, here or at a remote"
        raise ConfigError(msg, hint="fetch it, or name lines that 'git branch --all' shows")

    @contextlib.contextmanager
    def worktree(self, commit: str) -> Iterator[Path]:
        """Check a commit out into a temporary folder, detached; the folder goes at the end."""
        with tempfile.TemporaryDirectory(prefix="rke2pack-") as folder:
            path = Path(folder).resolve() / "line"
            with self._worktrees():
                self._git("worktree", "prune")  # what a killed run left
                self._git("worktree", "add", "--quiet", "--detach", str(path), commit)
            try:
                yield path
            finally:
                with self._worktrees():
                    self._git("worktree", "remove", "--force", str(path))

    def _worktrees(self) -> contextlib.AbstractContextManager[None]:
        """Keep other runs from the list of worktrees: git prunes what another git begins."""
        place = Path(self._repo.common_dir) / "rke2pack-worktrees.lock"
        busy = f"{self._repo.common_dir}: another rke2pack adds or removes a worktree"
        return filelock.held(place, busy=busy, pauses=_PAUSES)

    def create_branches(self, commits: Mapping[str, str]) -> None:
        """Create branches (name -> commit), all or none; raises ToolError.

        Raises ConfigError for one that another process has made meanwhile.
        """
        lines = ["start", *(f"create refs/heads/{n} {c}" for n, c in commits.items())]
        text = "".join(f"{line}\n" for line in (*lines, "prepare", "commit"))
        try:
            self._git("update-ref", "--stdin", stdin=text)
        except ToolError:
            for name in commits:
                self.refuse_branch(name)
            raise

    def below(self, names: Iterable[str]) -> tuple[Branch, ...]:
        """Return the branches of these names, and those below them, each with its release line.

        The line of ``bump/x/release-1.32`` is the longest end of the name that is a
        branch itself, here or at a remote. Raises ConfigError.
        """
        heads = {head.name: str(head.commit.hexsha) for head in self._repo.heads}
        found: dict[str, None] = {}
        for name in names:
            some = [head for head in heads if head == name or head.startswith(f"{name}/")]
            if not some:
                msg = f"{name}: no branch of this name, and none below it"
                made = [head.rpartition("/")[0] for head in heads if head.startswith("bump/")]
                raise ConfigError(msg, hint=choice(name, [*made, *heads]))
            found |= dict.fromkeys(sorted(some))
        return tuple(Branch(name=n, commit=heads[n], line=self._line_of(n)) for n in found)

    def _line_of(self, branch: str) -> str:
        parts = branch.split("/")
        remote = {ref.remote_head for each in self._repo.remotes for ref in each.refs}
        known = {head.name for head in self._repo.heads} | remote
        for number in range(1, len(parts)):
            line = "/".join(parts[number:])
            if line in known:
                return line
        msg = f"{branch}: its name ends in no release line"
        hint = "bump with 'rke2pack bump --lines LINE', or push this branch with git"
        raise ConfigError(msg, hint=hint)

    def message(self, commit: str) -> str:
        """Return a commit's message."""
        return str(self._repo.commit(commit).message)

    def push(self, remote: str, branches: Iterable[str]) -> None:
        """Push branches under their names, all or none; raises ToolError."""
        specs = [f"refs/heads/{name}:refs/heads/{name}" for name in branches]
        self._git("push", "--quiet", "--atomic", "--", remote, *specs)

    def history(self, since: str, paths: Iterable[Path]) -> tuple[Commit, ...]:
        """Return the commits after ``since`` that changed one of ``paths``, oldest first."""
        log = self._git(
            *("log", "--first-parent", "--reverse", "--format=%H %cs %s"),
            *(f"{since}..HEAD", "--", *_absolute(paths)),
        )
        parts = (line.split(" ", 2) for line in log.split("\n") if line)
        return tuple(Commit(id=p[0], date=p[1], subject=p[2] if p[2:] else "") for p in parts)

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

    def _git(self, command: str, *arguments: str, stdin: str | None = None) -> str:
        import git  # noqa: PLC0415

        try:
            with _input(stdin) as source:
                words = ["git", "--literal-pathspecs", command, *arguments]
                return str(self._repo.git.execute(words, istream=source))
        except git.GitCommandError as exc:
            reason = str(exc.stderr or exc.stdout).strip().removeprefix("stderr:").strip(" '\n")
            lines = tuple(line for line in reason.splitlines() if line.strip())
            msg = f"git {command}: {lines[0] if lines else 'failed'}"
            raise ToolError(msg, details=lines[1:6]) from exc


@contextlib.contextmanager
def _input(text: str | None) -> Iterator[BinaryIO | None]:
    if text is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        path.write_text(text, encoding="utf-8")
        with path.open("rb") as file:
            yield file


def _absolute(paths: Iterable[Path]) -> list[str]:
    """Name files independently of the folder git runs in, which is the checkout's top."""
    return [str(path.parent.resolve() / path.name) for path in paths]
