from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack import files, journal
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ToolError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_bytes(b"old a")
    (tmp_path / "b.txt").write_bytes(b"old b")
    return tmp_path


def state(root: Path) -> dict[str, bytes]:
    own = {"lock", ".gitignore"}
    found = (path for path in root.rglob("*") if path.is_file() and path.name not in own)
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def decided(root: Path, changes: dict[str, bytes]) -> Path:
    """Leave what a process leaves that dies right after its decision."""
    folder = root / ".rke2pack" / "journal"
    folder.mkdir(parents=True)
    listing = []
    for number, (path, data) in enumerate(changes.items()):
        (folder / str(number)).write_bytes(data)
        listing.append({"file": str(number), "path": path, "digest": str(Digest.of(data))})
    (folder / "commit.json").write_text(json.dumps(listing))
    return folder


def test_apply_writes_everything_and_leaves_nothing_else(root: Path) -> None:
    (root / "a.txt").chmod(0o600)
    with journal.locked(root):
        journal.apply(root, {root / "a.txt": b"new a", root / "new" / "c.txt": b"new c"})
    assert state(root) == {"a.txt": b"new a", "b.txt": b"old b", "new/c.txt": b"new c"}
    assert (root / "a.txt").stat().st_mode & 0o777 == 0o600
    assert not (root / ".rke2pack" / "journal").exists()


def test_git_does_not_see_the_journal(root: Path) -> None:
    with journal.locked(root):
        pass
    assert (root / ".rke2pack/.gitignore").read_text() == "*\n"


def test_full_disk_is_told_and_not_a_bug(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ToolError, match="cannot lock"), journal.locked(root):
        pass
    monkeypatch.undo()
    with journal.locked(root):
        journal.apply(root, {root / "a.txt": b"new"})


def test_apply_that_fails_before_the_decision_changes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = state(root)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolError, match="No space left on device"), journal.locked(root):
        journal.apply(root, {root / "a.txt": b"new a", root / "b.txt": b"new b"})
    assert state(root) == before


@pytest.mark.parametrize("name", ["dist/c.txt", "dist/deep/c.txt", "taken"])
def test_something_in_the_way_is_seen_before_the_decision(root: Path, name: str) -> None:
    (root / "dist").touch()
    (root / "taken").mkdir()
    before = state(root)
    with pytest.raises(ToolError, match=r" is in the way$") as error, journal.locked(root):
        journal.apply(root, {root / "a.txt": b"new a", root / name: b"new c"})
    assert error.value.hint == "move it elsewhere"
    assert state(root) == before


def test_other_disk_is_no_obstacle(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def across(self: Path, target: Path) -> Path:
        if self.parent.name == "journal" and target.parent != self.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    with journal.locked(root):
        journal.apply(root, {root / "a.txt": b"new a", root / "b.txt": b"new b"})
    assert state(root) == {"a.txt": b"new a", "b.txt": b"new b"}


def test_undecided_change_is_forgotten(root: Path) -> None:
    before = state(root)
    (decided(root, {"a.txt": b"new a"}) / "commit.json").unlink()
    assert journal.recover(root) == ()
    assert state(root) == before


def test_decided_change_is_finished_by_recover(root: Path) -> None:
    decided(root, {"a.txt": b"new a", "new/c.txt": b"new c"})
    assert journal.recover(root) == (root / "a.txt", root / "new" / "c.txt")
    assert state(root) == {"a.txt": b"new a", "b.txt": b"old b", "new/c.txt": b"new c"}
    assert journal.recover(root) == ()


def test_decided_change_is_finished_by_the_next_lock(root: Path) -> None:
    decided(root, {"a.txt": b"new a"})
    with journal.locked(root) as finished:
        assert finished == (root / "a.txt",)
        assert (root / "a.txt").read_bytes() == b"new a"


def test_lock_is_held_by_one_and_names_it(root: Path) -> None:
    with journal.locked(root), pytest.raises(ToolError) as error, journal.locked(root):
        pytest.fail("two hold the lock")
    expected = f"{root}: another rke2pack is changing this tree (process {os.getpid()})"
    assert error.value.message == expected
    assert error.value.hint == "wait until it has finished, then run this again"
    with journal.locked(root):
        pass


def test_recover_waits_for_who_is_writing(root: Path) -> None:
    writer = journal.locked(root)
    writer.__enter__()
    decided(root, {"a.txt": b"new a"})
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            writer.__exit__(None, None, None)

    assert journal.recover(root, wait=wait) == (root / "a.txt",)
    assert len(pauses) == 3


def test_recover_does_not_wait_for_ever(root: Path) -> None:
    with journal.locked(root):
        decided(root, {"a.txt": b"new a"})
        pauses: list[float] = []
        with pytest.raises(ToolError, match="another rke2pack is changing this tree"):
            journal.recover(root, wait=pauses.append)
        assert (root / "a.txt").read_bytes() == b"old a"
    assert len(pauses) == 200


@pytest.mark.parametrize(
    "listing", ["", "{", "[1]", '[{"file": "0"}]', "null", '[{"path": "a.txt", "digest": ""}]']
)
def test_unreadable_journal_is_said(root: Path, listing: str) -> None:
    folder = decided(root, {"a.txt": b"new a"})
    (folder / "commit.json").write_text(listing)
    with pytest.raises(ToolError) as error:
        journal.recover(root)
    assert error.value.message == f"{folder}: the journal of an interrupted change is not readable"
    assert error.value.hint == f"restore the tree with git and remove {folder}"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_journal_does_not_write_outside_the_tree(root: Path, name: str) -> None:
    decided(root, {name: b"x"})
    with pytest.raises(ConfigError, match="names a path outside the tree"):
        journal.recover(root)


def test_damaged_new_content_is_not_put_in_place(root: Path) -> None:
    folder = decided(root, {"a.txt": b"new a"})
    (folder / "0").write_bytes(b"new")
    with pytest.raises(IntegrityError, match="content is sha256:"):
        journal.recover(root)
    assert (root / "a.txt").read_bytes() == b"old a"


def test_folder_that_is_no_folder_is_named(tmp_path: Path) -> None:
    files.write(tmp_path / "file", b"")
    with (
        pytest.raises(ToolError, match=f"^cannot lock {tmp_path}/file/.rke2pack/lock: "),
        journal.locked(tmp_path / "file"),
    ):
        pytest.fail("a file has no lock")
