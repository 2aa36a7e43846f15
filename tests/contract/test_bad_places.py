"""A file system that does not take it: a clear error, the exit code, and nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack import cli, journal
from tests.contract.simulator import (
    Exchange,
    Simulator,
)
from tests.contract.workbench import CHART, Bump, content


@pytest.fixture
def namespaced(missing: Callable[[str, str], NoReturn]) -> Callable[[str], tuple[int, str]]:
    """Run a shell script that may mount what it likes, seen by nobody else."""
    works = shutil.which("unshare") and not subprocess.call(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL
    )
    if not works:
        missing("mount", "mounting is not permitted here")

    def run(script: str) -> tuple[int, str]:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def command(bump: Bump) -> str:
    options = f"--tree {bump.tree} --charts-repo {bump.source} --cache-dir {bump.cache}"
    return f"{sys.executable} -m rke2pack bump {CHART} 0.2.1100 {options}"


def test_read_only_tree(bump: Bump, namespaced: Callable[[str], tuple[int, str]]) -> None:
    before = content(bump.tree)
    tree = bump.tree
    mount = f"mount --bind {tree} {tree}; mount -o remount,ro,bind {tree}"
    code, output = namespaced(f"{mount}; exec {command(bump)}")
    assert code == 6
    assert "Read-only file system" in output
    assert f"error: cannot lock {tree}/.rke2pack/lock: " in output
    assert "Traceback" not in output
    assert content(tree) == before


def test_read_only_file_system_below_the_tree(
    bump: Bump, namespaced: Callable[[str], tuple[int, str]]
) -> None:
    before = content(bump.tree)
    folder = bump.tree / "charts-manifest"
    mount = f"mount --bind {folder} {folder}; mount -o remount,ro,bind {folder}"
    code, output = namespaced(f"{mount}; exec {command(bump)}")
    assert code == 6
    assert f"error: cannot write {folder}/" in output
    assert "it is read-only\nhint: make the tree writable, or look with --dry-run\n" in output
    assert content(bump.tree) == before


def test_full_disk(
    bump: Bump, namespaced: Callable[[str], tuple[int, str]], tmp_path: Path
) -> None:
    before = content(bump.tree)
    tree, full, after = bump.tree, tmp_path / "full", tmp_path / "after"
    full.mkdir()
    bump.tree = full
    code, output = namespaced(
        f"mount -t tmpfs -o size=512k none {full}; cp -a {tree}/. {full}\n"
        f"mkdir -p {full}/.rke2pack; echo 1 > {full}/.rke2pack/lock\n"
        f"dd if=/dev/zero of={tmp_path}/zeros bs=1k count=600 2>/dev/null\n"
        f"cp {tmp_path}/zeros {full}/zeros 2>/dev/null || true\n"
        f"{command(bump)} && code=0 || code=$?\n"
        f"rm {full}/zeros; cp -a {full} {after}; exit $code"
    )
    assert code == 6
    assert "No space left on device" in output
    assert "hint: check permissions and free space of that folder" in output
    assert content(after) == before


def test_folder_of_the_lists_on_another_disk(
    bump: Bump, namespaced: Callable[[str], tuple[int, str]], tmp_path: Path
) -> None:
    lists, after = bump.tree / "dist", tmp_path / "after"
    alike = Path(shutil.copytree(bump.tree, tmp_path / "alike"))
    code, output = namespaced(
        f"cp -a {lists} {tmp_path}/lists; mount -t tmpfs none {lists}\n"
        f"cp -a {tmp_path}/lists/. {lists}; {command(bump)}; cp -a {bump.tree} {after}"
    )
    assert code == 0, output
    bump.tree = alike
    bump.succeeds()
    assert content(after) == content(alike)


@pytest.mark.parametrize("place", [".", "charts-manifest", "dist/images"])
def test_tree_that_may_not_be_written(
    bump: Bump, missing: Callable[[str, str], NoReturn], place: str
) -> None:
    before = content(bump.tree)
    as_others = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    prefix = as_others if os.geteuid() == 0 else []
    if prefix and (not shutil.which("setpriv") or subprocess.call([*prefix, "true"])):
        missing("setpriv", "cannot give up root's right to write everywhere")
    (bump.tree / place).chmod(0o555)
    done = subprocess.run(
        [*prefix, *command(bump).split()], capture_output=True, text=True, check=False
    )
    (bump.tree / place).chmod(0o755)
    assert done.returncode == 6, done.stderr
    path = bump.tree / place
    expected = {
        ".": f"error: cannot write {path}/images.txt: it is read-only\n",
        "charts-manifest": f"error: cannot write {path}/chart_versions.yaml: it is read-only\n",
        "dist/images": f"error: cannot write {path}/rke2-images-",
    }
    assert expected[place] in done.stderr
    assert "Traceback" not in done.stderr
    assert content(bump.tree) == before


@pytest.mark.parametrize("name", ["dist", "dist/images", "images.txt"])
def test_something_else_in_the_way(bump: Bump, name: str) -> None:
    place = bump.tree / name
    if place.is_dir():
        shutil.rmtree(place)
        place.write_text("a file")
        message = f"cannot write {bump.tree}/dist/images/"
    else:
        place.unlink()
        place.mkdir()
        message = f"{place}: not a file"
    before = content(bump.tree)
    options = ["--tree", str(bump.tree), "--charts-repo", bump.source]
    options += ["--cache-dir", str(bump.cache)]
    code = cli.run(["bump", *options, CHART, "0.2.1100"])
    shown = bump.capsys.readouterr().err
    assert f"error: {message}" in shown
    assert code in {2, 6}
    assert content(bump.tree) == before


def test_two_bumps_at_once(bump: Bump) -> None:
    with journal.locked(bump.tree):
        bump.fails(
            6,
            f"{bump.tree}: another rke2pack is changing this tree (process {os.getpid()})",
            hint="wait until it has finished, then run this again",
        )
    bump.succeeds()


def test_two_bumps_at_once_in_two_processes(bump: Bump, served: Simulator) -> None:
    held = served.stop

    def hold(exchange: Exchange, data: bytes) -> None:
        held.wait(20)
        exchange.reply(200, body=data)

    served.faults["/index.yaml"] = hold
    with ExitStack() as stack:
        slow = stack.enter_context(
            subprocess.Popen(command(bump).split(), stderr=subprocess.PIPE, text=True)
        )
        assert slow.stderr is not None
        slow.stderr.readline()
        bump.fails(
            6,
            f"{bump.tree}: another rke2pack is changing this tree (process {slow.pid})",
            hint="wait until it has finished, then run this again",
        )
        held.set()
        assert "0.2.900 -> 0.2.1100" in slow.stderr.read()
    assert slow.returncode == 0
