"""Shards with ``--lab``: jobs that know nothing of each other make what one run makes."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.oci.runner import listing
from tests.unit.stages.conftest import Answer, Rke2pack, rke2pack

__all__ = ["rke2pack"]
TARGET = "mirror.example.com/rke2"


class Job:
    """A machine of its own: a checkout of the tree, its lab and its cache."""

    def __init__(self, root: Path, project: Path, call: Rke2pack) -> None:
        self.tree, self._call = root / "tree", call
        shutil.copytree(project / "charts-manifest", self.tree / "charts-manifest")
        shutil.copyfile(project / "images.txt", self.tree / "images.txt")

    def run(self, *arguments: str | Path) -> Answer:
        return self._call(*arguments, "--lab", "--tree", self.tree)

    def done(self, *arguments: str | Path) -> Answer:
        answer = self.run(*arguments)
        assert answer.code == 0, answer.err
        return answer


MakeJob = Callable[[str], Job]


@pytest.fixture
def make_job(project: Path, tmp_path: Path, rke2pack: Rke2pack) -> MakeJob:
    return lambda name: Job(tmp_path / name, project, rke2pack)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "options"),
    [
        (1, ()),
        (2, ("--profile", "small")),
        (2, ("--profile", "fast", "--format", "gz", "--format", "zst")),
        (5, ()),
    ],
    ids=str,
)
def test_jobs_of_a_plan_make_the_release(
    make_job: MakeJob, tmp_path: Path, count: int, options: tuple[str, ...]
) -> None:
    whole = make_job("whole")
    whole.done("pull", "--quiet")
    whole.done("airgap", "--quiet", "--output", tmp_path / "whole-release", *options)
    plan = make_job("planner").done("plan", "--shards", str(count), "--json").json
    assert [job["shard"] for job in plan["include"]] == [
        f"{n}/{count}" for n in range(1, count + 1)
    ]
    for each in plan["include"]:
        job = make_job(each["name"])
        own = ("--shard", each["shard"], "--plan", each["plan"])
        pulled = job.done("pull", "--json", *own).json
        assert [image["reference"] for image in pulled["images"]] == each["references"]
        output = tmp_path / "shards" / each["name"]
        document = job.done("airgap", "--json", "--output", output, *own, *options).json
        assert (document["shard"], document["incomplete"]) == (each["shard"], [])
    last = make_job("last")
    last.done("merge", tmp_path / "shards", "--output", tmp_path / "merged")
    assert files(tmp_path / "merged") == files(tmp_path / "whole-release")
    assert len(files(tmp_path / "merged")) > 40


@pytest.mark.slow
def test_lost_job_is_named_with_the_commands_that_make_up_for_it(
    make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job("one")
    job.done("pull", "--quiet")
    job.done("airgap", "--quiet", "--profile", "fast", "--output", tmp_path / "whole")
    for number in (1, 3):
        where = ("--output", tmp_path / "shards" / str(number))
        job.done("airgap", "--profile", "fast", "--shard", f"{number}/3", *where)
    answer = job.run("merge", tmp_path / "shards", "--output", tmp_path / "merged")
    assert answer.code == 8
    assert "merge: 1 of 3 shards is missing: 2/3" in answer.err
    found = re.search(r"2/3: rke2pack (.*) && rke2pack (.*)", answer.err)
    assert found is not None
    again = make_job("again")
    for line in found.groups():
        assert "--lab" in line
        more = ("--output", tmp_path / "shards/2") if line.startswith("airgap") else ()
        again.done(*shlex.split(line), *more)
    job.done("merge", tmp_path / "shards", "--output", tmp_path / "merged")
    assert files(tmp_path / "merged") == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
def test_mirror_in_shards_fills_the_registry_as_one_run_does(make_job: MakeJob, count: int) -> None:
    whole, parts = make_job("whole"), make_job("parts")
    images = whole.done("mirror", TARGET, "--json").json["images"]
    plan = parts.done("plan", "--shards", str(count), "--shard-by", "images", "--json").json
    found = []
    for each in plan["include"]:
        own = ("--shard", each["shard"], "--plan", each["plan"])
        document = parts.done("mirror", TARGET, "--json", *own).json
        assert sorted(i["reference"] for i in document["images"]) == each["references"]
        found += document["images"]
    named = {image["target"]: image["digest"] for image in images}
    assert {image["target"]: image["digest"] for image in found} == named
    assert len(found) == len(images)
    registry = Path("dist/lab/registry")
    assert listing(parts.tree / registry) == listing(whole.tree / registry)
    again = parts.done("mirror", TARGET, "--json").json["totals"]
    assert (again["present"], again["sent_bytes"]) == (len(images), 0)


def test_pull_by_image_brings_each_once(make_job: MakeJob) -> None:
    job = make_job("one")
    found = []
    for number in (1, 2):
        own = ("--shard", f"{number}/2", "--shard-by", "images")
        found += [i["reference"] for i in job.done("pull", "--json", *own).json["images"]]
    totals = job.done("pull", "--json").json["totals"]
    assert len(found) == len(set(found)) == totals["images"]
    assert totals["received_bytes"] == 0


def test_pattern_for_the_engine_may_be_of_another_shard(make_job: MakeJob) -> None:
    job = make_job("one")
    more = ("--dry-run", "--quiet")
    answer = job.run("pull", "--shard", "1/2", "--from-engine", "rancher/nothing", *more)
    assert answer.code == 2
    assert "--from-engine rancher/nothing: no image is called so" in answer.err


def test_next_run_starts_with_the_cache_of_the_last(make_job: MakeJob, tmp_path: Path) -> None:
    place = "registry.example.com/ci/cache:main"
    job = make_job("one")
    job.done("pull", "--component", "canal", "--quiet")
    job.done("airgap", "--component", "canal", "--output", tmp_path / "first")
    sent = job.done("cache", "push", place, "--json").json
    assert (sent["status"], sent["sent_bytes"]) == ("copied", sent["bytes"])
    again = job.done("cache", "push", place, "--json").json
    assert (again["status"], again["sent_bytes"]) == ("present", 0)
    shutil.rmtree(job.tree / "dist/lab/cache")
    missing = job.done("cache", "pull", place.replace("main", "other"), "--if-there", "--json")
    assert missing.json["status"] == "missing"
    assert job.run("cache", "pull", place.replace("main", "other")).code == 4
    received = job.done("cache", "pull", place, "--json").json
    assert (len(received["images"]), received["digest"]) == (2, sent["digest"])
    assert received["frames"] > 0
    totals = job.done("pull", "--component", "canal", "--json").json["totals"]
    assert (totals["present"], totals["received_bytes"]) == (2, 0)
    before = listing(job.tree / "dist/lab/cache/frames")
    job.done("airgap", "--component", "canal", "--output", tmp_path / "second")
    assert files(tmp_path / "second") == files(tmp_path / "first")
    assert listing(job.tree / "dist/lab/cache/frames") == before
