from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from rke2pack import wishes
from rke2pack.oci.wish import Wish
from rke2pack.shards import choose
from rke2pack.shards.asked import Asked, By
from rke2pack.shards.shard import Shard
from tests.settings import settings
from tests.unit.stages.conftest import Rke2pack
from tests.unit.stages.sharding import LISTED, Yard

ARCHIVES = {
    *(f"rke2-images-{name}.linux-{arch}" for name in ("core", "canal", "cilium")
      for arch in ("amd64", "arm64")),
    "rke2-images-vsphere.linux-amd64", "rke2-images.linux-amd64", "rke2-images.linux-arm64",
    "rke2-windows-1809-amd64-images", "rke2-windows-ltsc2022-amd64-images",
}  # fmt: skip


@pytest.fixture
def yard(tmp_path: Path, rke2pack: Rke2pack) -> Yard:
    return Yard(root=tmp_path, rke2pack=rke2pack)


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_every_archive_is_in_exactly_one_shard(yard: Yard, count: int) -> None:
    yard.write_lock()
    document = yard.done("plan", "--shards", str(count), "--json").json
    names = [name for job in document["include"] for name in job["archives"]]
    assert (len(names), set(names)) == (len(ARCHIVES), ARCHIVES)
    assert len(document["include"]) <= count
    assert all(job["archives"] for job in document["include"])
    assert document["findings"] == []


def test_plan_is_the_same_wherever_it_is_made(yard: Yard, tmp_path: Path) -> None:
    yard.write_lock()
    first = yard.done("plan", "--shards", "3", "--json").out
    yard.tree = yard.tree.rename(tmp_path / "elsewhere")
    assert yard.done("plan", "--shards", "3", "--json").out == first


def test_bytes_of_a_shard_have_each_layer_once(yard: Yard) -> None:
    yard.write_lock()
    (job,) = yard.done("plan", "--shards", "1", "--json").json["include"]
    manifests = [m for each in yard.manifests.values() for m in each.values()]
    # vsphere is listed for one platform and has two.
    unused = yard.manifests["docker.io/example/vsphere:v1"]["linux/arm64"]
    blobs = {b.digest: b.size for m in manifests if m is not unused for b in m.blobs}
    assert job["bytes"] == sum(blobs.values())


def test_platforms_that_share_nothing_but_a_base_are_balanced(yard: Yard) -> None:
    yard.write_lock()
    document = yard.done("plan", "--shards", "2", "--json").json
    one, two = (job["bytes"] for job in document["include"])
    assert max(one, two) < 1.5 * min(one, two)
    bundle = "rke2-images.linux-amd64"
    (own,) = (job["archives"] for job in document["include"] if bundle in job["archives"])
    assert "rke2-images-core.linux-amd64" in own


def test_without_a_lock_images_are_counted_and_that_is_said(yard: Yard) -> None:
    answer = yard.done("plan", "--shards", "2", "--json")
    assert answer.json["unit"] == "images"
    assert "bytes" not in answer.json["include"][0]
    assert "expected sizes of the images, got none: images are counted" in answer.err


def test_matrix_is_one_line_that_a_job_can_give_on(yard: Yard) -> None:
    yard.write_lock()
    answer = yard.done("plan", "--shards", "2", "--matrix")
    assert answer.out.count("\n") == 1
    document = yard.done("plan", "--shards", "2", "--json").json
    assert json.loads(answer.out) == {
        "include": [
            {
                "shard": f"{n}/2",
                "name": f"{n}-of-2",
                "plan": document["plan"],
                "bytes": job["bytes"],
            }
            for n, job in enumerate(document["include"], start=1)
        ]
    }


def test_dry_run_writes_no_file(yard: Yard, tmp_path: Path) -> None:
    yard.done("plan", "--shards", "2", "--dry-run", "--output", tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()


def digests(yard: Yard, *arguments: str) -> str:
    return str(yard.done("plan", "--shards", "3", "--json", *arguments).json["plan"])


def test_whatever_makes_other_archives_makes_another_plan(yard: Yard) -> None:
    plans = [digests(yard)]
    yard.write_lock()
    plans += [digests(yard), digests(yard, "--platform", "linux/amd64")]
    plans += [digests(yard, "--component", "core"), digests(yard, "--shard-by", "images")]
    plans.append(digests(yard, "--bundle", "mine=core,vsphere"))
    plans.append(digests(yard, "--registry", "registry.example.com"))
    plans.append(str(yard.done("plan", "--shards", "4", "--json").json["plan"]))
    yard.put("docker.io/example/cilium:v1", "linux/amd64", "linux/arm64", content="other")
    yard.write_lock()
    plans.append(digests(yard))
    yard.list_images({**LISTED, "core": tuple(reversed(LISTED["core"]))})
    plans.append(digests(yard))
    assert [pair for pair in combinations(plans, 2) if len({*pair}) == 1] == []


@pytest.mark.parametrize("by", ["archives", "images"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_shards_of_pull_bring_what_pull_brings(yard: Yard, by: By, count: int) -> None:
    yard.write_lock()
    own = settings(yard.tree)
    every = wishes.asked(own, (), is_whole=False)
    found: list[Wish] = []
    for number in range(1, count + 1):
        asked = Asked(shard=Shard(number=number, count=count), plan=None)
        found += choose.choose(own, asked, every, (), by=by).wishes
    assert {(w.reference, p) for w in found for p in w.platforms} == {
        (w.reference, p) for w in every for p in w.platforms
    }
    if by == "images":
        assert sorted(found, key=str) == sorted(every, key=str)


def test_shard_of_pull_has_what_its_archives_need(yard: Yard) -> None:
    yard.write_lock()
    own = settings(yard.tree)
    every = wishes.asked(own, (), is_whole=False)
    for job in yard.done("plan", "--shards", "3", "--json").json["include"]:
        asked = Asked(shard=Shard.parse(job["shard"]), plan=None)
        chosen = choose.choose(own, asked, every, (), by=None)
        assert [str(w.reference) for w in chosen.wishes if not w.platforms] == []
        assert sorted(str(w.reference) for w in chosen.wishes) == job["references"]


def test_named_images_are_split_by_image(yard: Yard) -> None:
    names = ("example/one:v1", "example/two:v1", "example/three:v1")
    document = yard.done("plan", "--shards", "3", "--json", *names).json
    assert document["by"] == "images"
    assert [len(job["references"]) for job in document["include"]] == [1, 1, 1]


def test_archives_cannot_be_of_named_images(yard: Yard) -> None:
    answer = yard.run("plan", "--shards", "3", "--shard-by", "archives", "example/one:v1")
    assert answer.code == 2
    assert "archives are of images.txt" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "--shards", "0"), "--shards"),
        (("plan", "--shards", "257"), "--shards"),
        (("plan",), "--shards"),
        (("plan", "--shards", "2", "--matrix", "--json"), "stdout has one document"),
        (("airgap", "--shard", "3/2"), "'3/2' is no shard"),
        (("airgap", "--plan", "x.json"), "--plan: without --shard"),
        (("airgap", "--shard", "1/2", "--plan", "nowhere.json"), "nowhere.json: no such file"),
        (("pull", "--shard-by", "images"), "--shard-by: only for a shard"),
        (("pull", "--shard", "1/2", "--all-platforms"), "an archive is for one platform"),
        (("mirror", "a.example.com", "--shard", "1/2", "--prune", "x"), "--prune and --shard"),
        (
            ("mirror", "a.example.com", "--shard", "1/2", "--write-registries-yaml", "x"),
            "--write-registries-yaml and --shard",
        ),
        (("mirror", "a.example.com", "--shard", "1/2", "--from-archive", "x"), "--from-archive"),
    ],
    ids=str,
)
def test_wrong_calls_are_named(yard: Yard, arguments: tuple[str, ...], said: str) -> None:
    answer = yard.run(*arguments)
    assert answer.code == 2, answer.err
    assert said in answer.err


@pytest.mark.parametrize("word", ["airgap", "pull", "mirror"])
def test_shard_of_another_plan_refuses_to_run(yard: Yard, word: str) -> None:
    yard.write_lock()
    target = ("registry.example.com",) if word == "mirror" else ()
    answer = yard.run(word, *target, "--shard", "1/2", "--plan", f"sha256:{'0' * 64}")
    assert answer.code == 2
    assert f"--plan: expected sha256:{'0' * 64}, this tree and these options make" in answer.err


def test_matrix_reaches_shards_through_variables(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = yard.done("plan", "--shards", "2", "--json").json["include"][1]
    monkeypatch.setenv("RKE2PACK_AIRGAP_SHARD", job["shard"])
    monkeypatch.setenv("RKE2PACK_AIRGAP_PLAN", job["plan"])
    document = yard.done("airgap", "--json").json
    assert document["shard"] == "2/2"
    archives = {Path(each["path"]).name for each in document["artifacts"]}
    assert {n for n in archives if n.endswith(".zst")} == {f"{n}.tar.zst" for n in job["archives"]}
    monkeypatch.setenv("RKE2PACK_AIRGAP_SHARD", "1/3")
    assert yard.run("airgap").code == 2


def test_shard_takes_the_plan_as_file_or_digest(yard: Yard, tmp_path: Path) -> None:
    yard.write_lock()
    path = tmp_path / "plan.json"
    document = yard.done("plan", "--shards", "2", "--output", path, "--json").json
    assert json.loads(path.read_text()) == document
    for plan in (path, document["plan"]):
        answer = yard.done("airgap", "--shard", "1/2", "--plan", plan, "--json")
        assert (answer.json["shard"], answer.json["plan"]) == ("1/2", document["plan"])
    path.write_text("[]")
    answer = yard.run("airgap", "--shard", "1/2", "--plan", path)
    assert answer.code == 2
    assert "no plan" in answer.err
