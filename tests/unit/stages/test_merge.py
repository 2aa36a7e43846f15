from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.stages.conftest import Rke2pack
from tests.unit.stages.sharding import LISTED, Yard, listing


@pytest.fixture
def yard(tmp_path: Path, rke2pack: Rke2pack) -> Yard:
    made = Yard(root=tmp_path, rke2pack=rke2pack)
    made.write_lock()
    return made


RECIPES = {
    "default": (),
    "fast": ("--profile", "fast", "--format", "gz", "--format", "zst"),
    "small in parts": ("--profile", "small", "--max-size", "2kB"),
    "bundle": ("--bundle", "mine=core,vsphere", "--format", "gz"),
}


@pytest.mark.parametrize("count", [1, 2, 5, 30])
@pytest.mark.parametrize("recipe", RECIPES)
def test_merged_is_unsharded_byte_for_byte(yard: Yard, recipe: str, count: int) -> None:
    options = RECIPES[recipe]
    own = options[:2] if "--bundle" in options else ()
    yard.done("airgap", "--output", yard.root / "whole", *options)
    folder = yard.shards(count, *options)
    document = yard.done("merge", folder, "--output", yard.root / "merged", "--json", *own).json
    merged = listing(yard.root / "merged")
    assert merged == listing(yard.root / "whole")
    assert {Path(each["path"]).name for each in document["artifacts"]} == {
        name for name in merged if not name.startswith("sha256sum-")
    }
    assert document["left_out"] == []


def test_parts_are_merged_too(yard: Yard) -> None:
    folder = yard.shards(2, *RECIPES["small in parts"])
    yard.done("merge", folder)
    assert [name for name in listing(yard.tree / "dist/artifacts") if name.endswith(".part02")]


def test_shards_of_one_folder_are_merged_in_place(yard: Yard) -> None:
    yard.done("airgap", "--output", yard.root / "whole")
    folder = yard.root / "one"
    for number in (1, 2):
        yard.done("airgap", "--shard", f"{number}/2", "--output", folder)
    yard.done("merge", folder, "--output", folder)
    found = listing(folder)
    records = {name for name in found if name.startswith("shard-")}
    assert records == {"shard-1-of-2.json", "shard-2-of-2.json"}
    assert {n: d for n, d in found.items() if n not in records} == listing(yard.root / "whole")


def test_a_second_merge_changes_nothing(yard: Yard) -> None:
    folder = yard.shards(2)
    yard.done("merge", folder)
    before = listing(yard.tree / "dist/artifacts")
    yard.done("merge", folder)
    assert listing(yard.tree / "dist/artifacts") == before


def test_after_a_merge_nothing_is_built_again(yard: Yard) -> None:
    yard.done("merge", yard.shards(3))
    document = yard.done("airgap", "--json").json
    assert {each["status"] for each in document["artifacts"]} == {"unchanged"}


def test_what_an_earlier_release_left_is_gone(yard: Yard) -> None:
    yard.done("airgap", "--max-size", "2kB")
    yard.done("airgap", "--output", yard.root / "whole")
    yard.done("merge", yard.shards(2))
    assert listing(yard.tree / "dist/artifacts") == listing(yard.root / "whole")


def test_dry_run_proves_and_writes_nothing(yard: Yard) -> None:
    folder = yard.shards(2)
    yard.done("merge", folder, "--dry-run")
    assert not (yard.tree / "dist").exists()
    archive = next((folder / "1").glob("*.tar.zst"))
    archive.write_bytes(archive.read_bytes()[:-1] + b"x")
    assert yard.run("merge", folder, "--dry-run").code == 5


def test_lost_shard_is_named_and_can_be_run_again_alone(yard: Yard) -> None:
    yard.done("airgap", "--output", yard.root / "whole", *RECIPES["fast"])
    folder = yard.shards(5, *RECIPES["fast"], only=(1, 2, 4, 5))
    answer = yard.run("merge", folder)
    assert answer.code == 8
    assert "error: merge: 1 of 5 shards is missing: 3/5\n" in answer.err
    assert not (yard.tree / "dist").exists()
    (said,) = re.findall(r"3/5: .* && rke2pack (.*)", answer.err)
    yard.done(*shlex.split(said), "--output", folder / "3")
    yard.done("merge", folder, "--output", yard.root / "merged")
    assert listing(yard.root / "merged") == listing(yard.root / "whole")


def test_command_for_a_lost_shard_has_all_options(yard: Yard) -> None:
    options = ("--component", "core", "--platform", "linux/amd64", "--registry", "r.example.com")
    folder = yard.root / "some"
    for name in LISTED["core"]:
        yard.put(name.replace("docker.io", "r.example.com"), "linux/amd64")
    (yard.tree / "images.lock").unlink()
    bundles = ("--bundle", "mine=core")
    yard.done(
        "airgap", "--shard", "1/2", "--max-size", "1MB", "--output", folder, *options, *bundles
    )
    yard.done("plan", "--shards", "2", *options, *bundles)
    yard.done(
        "airgap", "--shard", "2/2", "--max-size", "1MB", "--output", folder, *options, *bundles
    )
    (folder / "shard-1-of-2.json").unlink()
    answer = yard.run("merge", folder, *options, *bundles)
    again = answer.err.partition("1/2: ")[2].partition("\n")[0]
    pull, _, airgap = again.partition(" && ")
    expected = "--component core --platform linux/amd64 --registry r.example.com --bundle mine=core"
    assert expected in pull
    assert airgap.endswith(f"{expected} --profile default --format zst --max-size 1000000B")


def test_failed_shard_leaves_no_record(yard: Yard) -> None:
    folder = yard.shards(1)
    yard.layout.untag(frozenset({"docker.io/example/cilium:v1"}))
    answer = yard.run("airgap", "--shard", "1/1", "--output", folder / "1")
    assert answer.code == 4
    assert not list(folder.rglob("shard-*.json"))
    assert yard.run("merge", folder).code == 4


def test_dry_run_of_a_shard_leaves_the_record(yard: Yard) -> None:
    folder = yard.shards(2)
    before = listing(folder / "1")
    yard.done("airgap", "--shard", "1/2", "--output", folder / "1", "--dry-run")
    assert listing(folder / "1") == before


def test_changed_plan_is_refused(yard: Yard) -> None:
    folder = yard.shards(2)
    yard.put("docker.io/example/cilium:v1", "linux/amd64", "linux/arm64", content="other")
    yard.write_lock()
    answer = yard.run("merge", folder)
    assert answer.code == 2
    assert "merge: the shards are of plan sha256:" in answer.err
    yard.done("airgap", "--shard", "2/2", "--output", folder / "2")
    answer = yard.run("merge", folder)
    assert answer.code == 5
    assert "are of different plans" in answer.err


def test_shards_of_other_options_are_refused(yard: Yard) -> None:
    folder = yard.shards(2)
    yard.done("airgap", "--shard", "2/2", "--profile", "fast", "--output", folder / "2")
    answer = yard.run("merge", folder)
    assert answer.code == 5
    assert "made with other options or libraries" in answer.err
    assert "hint: make all with --profile default --format zst" in answer.err


def test_shard_that_is_there_twice_is_refused(yard: Yard) -> None:
    folder = yard.shards(2)
    shutil.copytree(folder / "1", folder / "again")
    answer = yard.run("merge", folder)
    assert answer.code == 2
    assert "shard 1/2 is there twice" in answer.err


def test_folder_that_is_named_twice_is_one(yard: Yard) -> None:
    folder = yard.shards(2)
    yard.done("merge", folder, folder / "1", folder / "2")


@pytest.mark.parametrize("where", ["nothing", "empty"])
def test_folders_without_shards_are_named(yard: Yard, where: str) -> None:
    (yard.root / "empty").mkdir()
    answer = yard.run("merge", yard.root / where)
    assert answer.code == (2 if where == "nothing" else 4)
    assert "no such folder" in answer.err or "no record of a shard" in answer.err


def first(folder: Path, pattern: str) -> Path:
    return min((folder / "1").glob(pattern))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def link(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.symlink_to("away")


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [flip, cut, link, folder_instead, Path.unlink])
@pytest.mark.parametrize("pattern", ["*.tar.zst", "rke2-images*.txt"])
def test_tampered_file_is_refused_and_nothing_is_merged(
    yard: Yard, harm: Callable[[Path], None], pattern: str
) -> None:
    folder = yard.shards(2)
    path = first(folder, pattern)
    harm(path)
    yard.done("airgap", "--output", yard.root / "there", "--component", "core")
    before = listing(yard.root / "there")
    answer = yard.run("merge", folder, "--output", yard.root / "there")
    assert answer.code == 5, answer.err
    assert f"{path}: " in answer.err
    assert listing(yard.root / "there") == before


def edit(record: Path, change: Callable[[dict[str, object]], None]) -> None:
    document = json.loads(record.read_text())
    change(document)
    record.write_text(json.dumps(document))


def drop_archive(document: dict[str, object]) -> None:
    archives = document["archives"]
    assert isinstance(archives, dict)
    archives.pop(min(archives))


def add_archive(document: dict[str, object]) -> None:
    archives = document["archives"]
    assert isinstance(archives, dict)
    archives["rke2-images-other.linux-amd64"] = archives[min(archives)]


def rename_file(document: dict[str, object]) -> None:
    archives = document["archives"]
    assert isinstance(archives, dict)
    archives[min(archives)]["zst"]["files"][0]["name"] = "other.tar.zst"


def drop_list(document: dict[str, object]) -> None:
    lists = document["lists"]
    assert isinstance(lists, list)
    lists.pop()


def other_list(document: dict[str, object]) -> None:
    lists = document["lists"]
    assert isinstance(lists, list)
    lists[0]["sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_archive, ".tar.zst is missing"),
        (add_archive, "rke2-images-other.linux-amd64.tar.zst is not its own"),
        (rename_file, "are called otherwise"),
        (drop_list, ".txt is not as it should be"),
        (other_list, ".txt does not list what the tree lists"),
    ],
)
def test_record_that_does_not_fit_the_plan_is_refused(
    yard: Yard, change: Callable[[dict[str, object]], None], said: str
) -> None:
    folder = yard.shards(2)
    edit(folder / "1" / "shard-1-of-2.json", change)
    answer = yard.run("merge", folder)
    assert answer.code == 5, answer.err
    assert said in answer.err
    assert not (yard.tree / "dist").exists()


def test_record_that_is_a_link_is_refused(yard: Yard) -> None:
    folder = yard.shards(2)
    record = folder / "1" / "shard-1-of-2.json"
    record.rename(yard.root / record.name)
    record.symlink_to(yard.root / record.name)
    answer = yard.run("merge", folder)
    assert answer.code == 5
    assert f"{record}: no record of a shard: not a file" in answer.err


def test_files_that_no_shard_tells_of_are_named_and_left_out(yard: Yard) -> None:
    folder = yard.shards(2)
    (folder / "1" / "rke2-images-evil.linux-amd64.tar.zst").write_bytes(b"evil")
    answer = yard.done("merge", folder, "--json")
    assert [Path(each).name for each in answer.json["left_out"]] == [
        "rke2-images-evil.linux-amd64.tar.zst"
    ]
    assert "evil" not in "".join(listing(yard.tree / "dist/artifacts"))


def test_merge_where_files_cannot_be_linked_copies_them(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    yard.done("airgap", "--output", yard.root / "whole")
    folder = yard.shards(2)
    monkeypatch.setattr(os, "link", refuse)
    yard.done("merge", folder, "--output", yard.root / "merged")
    assert listing(yard.root / "merged") == listing(yard.root / "whole")
