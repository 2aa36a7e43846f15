"""Runs that write archives into one folder: each file is one run's, and the sums fit the files."""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.answer import Answer
from tests.integration.concurrency.racing import again, alone, bytes_below, race
from tests.unit.stages.sharding import Yard

pytestmark = pytest.mark.slow
ROUNDS = 4


def call(yard: Yard, word: str, *arguments: str | Path) -> tuple[str | Path, ...]:
    where = () if word == "delta" else ("--tree", yard.tree)
    return (word, *arguments, *where, "--quiet", "--cache-dir", yard.root / "cache")


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    def answer(*arguments: str | Path) -> Answer:
        ended = alone(*arguments, "--quiet", "--cache-dir", made.root / "cache")
        return Answer(code=0, out="", err=ended.err)

    made = Yard(root=tmp_path_factory.mktemp("archives"), rke2pack=answer)
    made.write_lock()
    return made


def new_folder(yard: Yard) -> Path:
    return Path(tempfile.mkdtemp(dir=yard.root)) / "out"


def check_sums(folder: Path) -> None:
    """Every archive and list stands in one list of sums, as it is."""
    named: dict[str, str] = {}
    for path in folder.glob("sha256sum-*.txt"):
        lines = [line.split("  ") for line in path.read_text().splitlines()]
        named |= {name: digest for digest, name in lines}
    files = {p.name: p for p in folder.iterdir() if not p.name.startswith(("sha256sum-", "shard-"))}
    assert {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items()} == named


def alone_makes(yard: Yard, *arguments: str) -> dict[str, bytes]:
    out = new_folder(yard)
    alone(*call(yard, "airgap", "--output", out, *arguments))
    return bytes_below(out)


def test_the_same_archives_twice_at_once(yard: Yard, chance: random.Random) -> None:
    expected = alone_makes(yard)
    for _ in range(ROUNDS):
        out = new_folder(yard)
        ended = race([call(yard, "airgap", "--output", out)] * 2, chance)
        assert any(each.is_done for each in ended)
        again(ended)
        assert bytes_below(out) == expected


def test_different_components_side_by_side_keep_all_sums(yard: Yard, chance: random.Random) -> None:
    names = ("core", "canal", "cilium", "vsphere")
    out = new_folder(yard)
    for name in names:
        alone(*call(yard, "airgap", "--output", out, "--component", name))
    expected = bytes_below(out)
    for _ in range(ROUNDS):
        out = new_folder(yard)
        calls = [call(yard, "airgap", "--output", out, "--component", name) for name in names]
        again(race(calls, chance))
        found = bytes_below(out)
        lists = [name for name in found if name.startswith("rke2-images-all")]
        assert {n: d for n, d in found.items() if n not in lists} == {
            n: d for n, d in expected.items() if n not in lists
        }


def test_shards_side_by_side_in_one_folder(yard: Yard, chance: random.Random) -> None:
    expected = alone_makes(yard)
    for _ in range(ROUNDS):
        out = new_folder(yard)
        calls = [
            call(yard, "airgap", "--output", out, "--shard", f"{number}/3") for number in (1, 2, 3)
        ]
        assert all(each.is_done for each in race(calls, chance))
        alone(*call(yard, "merge", out, "--output", out))
        found = bytes_below(out)
        assert {n: d for n, d in found.items() if not n.startswith("shard-")} == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((), ("--profile", "fast")),
        (("--profile", "small"), ("--profile", "fast")),
        (("--max-size", "2kB"), ()),
        (("--max-size", "2kB"), ("--max-size", "3kB", "--profile", "fast")),
    ],
)
def test_different_archives_under_one_name(
    yard: Yard, chance: random.Random, one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    expected = {options: alone_makes(yard, *options) for options in (one, other)}
    for _ in range(ROUNDS):
        out = new_folder(yard)
        calls = {
            options: call(yard, "airgap", "--output", out, *options) for options in (one, other)
        }
        ended = race(tuple(calls.values()), chance)
        if all(each.is_done for each in ended):
            check_sums(out)
        for options, words in calls.items():
            alone(*words)
            assert bytes_below(out) == expected[options]


def two_shards(yard: Yard) -> Path:
    """Return the folder of two shards, made once."""
    folder = yard.root / "of-2"
    if not folder.is_dir():
        yard.shards(2)
    return folder


@pytest.mark.parametrize("options", [(), ("--profile", "fast"), ("--max-size", "2kB")])
def test_merge_beside_airgap(yard: Yard, chance: random.Random, options: tuple[str, ...]) -> None:
    expected, mine = alone_makes(yard), alone_makes(yard, *options)
    folder = two_shards(yard)
    for _ in range(ROUNDS):
        out = new_folder(yard)
        merge = call(yard, "merge", folder, "--output", out)
        airgap = call(yard, "airgap", "--output", out, *options)
        ended = race([merge, airgap], chance, longest=0.3)
        if all(each.is_done for each in ended):
            check_sums(out)
        alone(*airgap)
        assert bytes_below(out) == mine
        alone(*merge)
        assert bytes_below(out) == expected


def test_merge_beside_merge(yard: Yard, chance: random.Random) -> None:
    expected = alone_makes(yard)
    folder = two_shards(yard)
    for _ in range(ROUNDS):
        out = new_folder(yard)
        again(race([call(yard, "merge", folder, "--output", out)] * 3, chance))
        assert bytes_below(out) == expected


def test_merge_beside_a_shard_that_is_made_anew(yard: Yard, chance: random.Random) -> None:
    expected = alone_makes(yard)
    folder = two_shards(yard)
    shard = call(yard, "airgap", "--shard", "1/2", "--output", folder / "1")
    for _ in range(ROUNDS):
        out = new_folder(yard)
        merge = call(yard, "merge", folder, "--output", out)
        ended = race([merge, shard], chance)
        assert ended[1].is_done, ended[1].err
        again(ended)
        assert bytes_below(out) == expected


def test_delta_beside_delta(yard: Yard, chance: random.Random) -> None:
    old, new = new_folder(yard), new_folder(yard)
    alone(*call(yard, "airgap", "--output", old))
    shutil.copytree(old, new)
    name = "rke2-images-core.linux-amd64.tar.zst"
    shutil.copyfile(old / "rke2-images-canal.linux-amd64.tar.zst", new / name)
    out = new_folder(yard)
    words = ("delta", old / name, new / name)
    alone(*call(yard, *words, "--output", out))
    expected = bytes_below(out)
    for _ in range(ROUNDS):
        out = new_folder(yard)
        again(race([call(yard, *words, "--output", out)] * 3, chance))
        assert bytes_below(out) == expected
    assert not list((yard.root / "cache" / "deltas").glob("*"))


def test_proof_while_archives_are_written_anew(yard: Yard, chance: random.Random) -> None:
    out = new_folder(yard)
    alone(*call(yard, "airgap", "--output", out))
    verify = ("verify", "--quiet", out)
    for number in range(ROUNDS):
        profile = ("fast", "default")[number % 2]
        airgap = call(yard, "airgap", "--output", out, "--profile", profile)
        ended = race([airgap, verify, verify, verify], chance, longest=0.3)
        assert ended[0].is_done, ended[0].err
        alone(*verify)
