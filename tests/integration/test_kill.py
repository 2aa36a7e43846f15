"""kill -9 at any moment: the tree is the old one or the new one, never a mix of both."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2pack import cli, journal
from rke2pack.lab import repository
from tests.contract.workbench import CHART, content, make_tree

KILLS = 60
STEPS = """
import os, sys
from pathlib import Path

from rke2pack import journal

root, last = Path(sys.argv[1]), int(sys.argv[2])
changes = {root / name: name.encode() * 3 for name in ("a.txt", "folder/b.txt", "new/c.txt")}
WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate"}
done = 0

def step(event, arguments):
    global done
    name = str(arguments[0]) if arguments else ""
    if event in WATCHED and (event != "open" or str(root) in name):
        done += 1
        if done > last:
            os._exit(99)

fsync = os.fsync

def counted(descriptor):
    step("os.rename", ())
    fsync(descriptor)

os.fsync = counted
with journal.locked(root):
    sys.addaudithook(step)
    journal.apply(root, changes)
    done = -(10**9)
"""


@pytest.fixture(scope="module")
def bench(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path, Path]]:
    """Lay out a folder repository, a tree that fits it, and a cache; only copied."""
    folder = tmp_path_factory.mktemp("kill")
    charts = repository.build(folder / "charts")
    tree, cache = make_tree(project, charts, folder)
    yield charts, tree, cache
    shutil.rmtree(folder)


def options(tree: Path, charts: Path, cache: Path) -> list[str]:
    return ["--tree", str(tree), "--charts-repo", str(charts), "--cache-dir", str(cache)]


def bump(tree: Path, charts: Path, cache: Path) -> list[str]:
    return ["bump", CHART, "0.2.1100", *options(tree, charts, cache)]


def started(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "rke2pack", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.slow
def test_kill_at_random_moments_leaves_old_or_new(
    bench: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    charts, pristine, pristine_cache = bench
    old = content(pristine)
    undisturbed = Path(shutil.copytree(pristine, tmp_path / "new"))
    cache = Path(shutil.copytree(pristine_cache, tmp_path / "cache"))
    begin = time.monotonic()
    assert started(bump(undisturbed, charts, cache)).wait(60) == 0
    duration = time.monotonic() - begin
    new = content(undisturbed)
    assert new != old
    chance = random.Random(20250501)  # noqa: S311 - moments, no secrets
    outcomes = {"old": 0, "new": 0, "unkilled": 0}
    for number in range(KILLS):
        tree = Path(shutil.copytree(pristine, tmp_path / f"tree{number}"))
        process = started(bump(tree, charts, cache))
        # The last fifth of the run, where it writes, gets half of the kills.
        low = 0.7 if number % 2 else 0.0
        time.sleep(duration * chance.uniform(low, 1.05))
        with_group = process.poll() is None
        if with_group:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        # The machine may be quicker or slower than it was when the whole run was timed.
        duration *= 1.02 if with_group else 0.85
        code = cli.run(["images", "--check", "--quiet", *options(tree, charts, cache)])
        assert code == 0, f"kill {number}: versions and lists do not fit"
        state = content(tree)
        assert state in (old, new), f"kill {number}: a mix"
        outcomes["unkilled" if not with_group else "old" if state == old else "new"] += 1
        if number % 10 == 0 or state == new:
            assert cli.run([*bump(tree, charts, cache), "--quiet"]) == 0
            assert content(tree) == new
        shutil.rmtree(tree)
    assert outcomes["old"] > KILLS / 4, outcomes


def test_interrupted_at_each_step_a_change_is_old_or_new(tmp_path: Path) -> None:
    outcomes: list[str] = []
    for last in range(200):
        root = tmp_path / str(last)
        (root / "folder").mkdir(parents=True)
        (root / "a.txt").write_bytes(b"old a")
        (root / "folder" / "b.txt").write_bytes(b"old b")
        old = content(root)
        code = subprocess.call([sys.executable, "-c", STEPS, str(root), str(last)])
        assert code in {0, 99}
        journal.recover(root)
        state = content(root)
        new = {
            name: (root / name).read_bytes()
            for name in ("a.txt", "folder/b.txt", "new/c.txt")
            if (root / name).is_file()
        }
        is_new = new == {name: name.encode() * 3 for name in new} and len(new) == 3
        assert is_new or state == old, f"step {last}: {state}"
        assert not (root / ".rke2pack" / "journal").exists()
        assert not [name for name in state if name.endswith(".tmp")]
        outcomes.append("new" if is_new else "old")
        if code == 0:
            break
    assert code == 0
    switch = outcomes.index("new")
    assert set(outcomes[:switch]) == {"old"}
    assert set(outcomes[switch:]) == {"new"}
    assert switch > 10
    assert len(outcomes) - switch > 5


def test_recovery_interrupted_at_each_step_is_finished_by_the_next(tmp_path: Path) -> None:
    recovery = STEPS.replace("with journal.locked(root):\n", "").replace(
        "    sys.addaudithook(step)\n    journal.apply(root, changes)\n    done",
        "sys.addaudithook(step)\njournal.recover(root)\ndone",
    )
    decided = committed(tmp_path)
    for last in range(100):
        root = Path(shutil.copytree(decided, tmp_path / f"r{last}"))
        code = subprocess.call([sys.executable, "-c", recovery, str(root), str(last)])
        assert code in {0, 99}
        journal.recover(root)
        assert (root / "a.txt").read_bytes() == b"a.txt" * 3
        assert (root / "new" / "c.txt").read_bytes() == b"new/c.txt" * 3
        assert not (root / ".rke2pack" / "journal").exists()
        if code == 0:
            return
    pytest.fail("recovery did not end")


def committed(tmp_path: Path) -> Path:
    """Return a tree whose writer was killed just after its decision."""
    for last in range(200):
        root = tmp_path / f"c{last}"
        (root / "folder").mkdir(parents=True)
        (root / "a.txt").write_bytes(b"old a")
        (root / "folder" / "b.txt").write_bytes(b"old b")
        subprocess.call([sys.executable, "-c", STEPS, str(root), str(last)])
        if (root / ".rke2pack" / "journal" / "commit.json").is_file():
            return root
    pytest.fail("no step was a decision")


def test_next_writer_finishes_what_was_decided_before_it_changes_more(tmp_path: Path) -> None:
    root = committed(tmp_path)
    with journal.locked(root) as finished:
        assert {path.name for path in finished} == {"a.txt", "b.txt", "c.txt"}
        journal.apply(root, {root / "a.txt": b"newer"})
    assert (root / "a.txt").read_bytes() == b"newer"
    assert (root / "folder" / "b.txt").read_bytes() == b"folder/b.txt" * 3
