"""The command: two trees as folders, tags or commits, and what differs between them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.lists.lock import Lock, LockedImage, LockedPlatform
from rke2pack.oci.model import Descriptor
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from tests.unit.release.benches import IMAGES, Bench, bench, made
from tests.unit.stages.conftest import Answer

__all__ = ["bench", "made"]


@pytest.fixture
def older(bench: Bench) -> Path:
    """The tree as it was before rke2-coredns moved on."""
    before = Path(shutil.copytree(bench.tree, bench.root / "older"))
    versions = bench.tree / "charts-manifest/chart_versions.yaml"
    versions.write_text(versions.read_text().replace("1.39.201", "1.40.000"))
    listed = bench.tree / "images.txt"
    listed.write_text(listed.read_text().replace("dns:v1", "dns:v2") + "docker.io/example/new:v1\n")
    answer = bench.run(
        "charts", "--references", "--tree", bench.tree, "--charts-repo", bench.root / "charts",
        "--cache-dir", bench.root / "cache",
    )  # fmt: skip
    assert answer.code == 0
    return before


def put(source: Path, tree: Path) -> None:
    """Write what `source` holds into `tree`, as of now: git trusts an old time of the same size."""
    charts = "charts-manifest"
    shutil.copytree(
        source / charts, tree / charts, copy_function=shutil.copyfile, dirs_exist_ok=True
    )
    shutil.copyfile(source / "images.txt", tree / "images.txt")


def changelog(bench: Bench, *arguments: str | Path) -> Answer:
    where = ("--tree", bench.tree, "--cache-dir", bench.root / "cache")
    return bench.run("changelog", *where, "--charts-repo", bench.root / "charts", *arguments)


def test_charts_images_and_their_meaning_are_told(bench: Bench, older: Path) -> None:
    document = changelog(bench, older, bench.tree, "--json").json
    (chart,) = document["charts"]
    assert (chart["chart"], chart["from"], chart["to"]) == ("rke2-coredns", "1.39.201", "1.40.000")
    assert chart["upstream"] == {"from": "1.39.2", "to": "1.40.0"}
    assert chart["diff"]["images"]["added"] == ["/example/dns:v2"]
    assert document["images"] == {
        "core": {
            "added": ["docker.io/example/new:v1"],
            "removed": [],
            "moved": [{"image": "docker.io/example/dns", "from": "v1", "to": "v2"}],
        }
    }
    assert document["versions"] == {}


def test_lines_are_for_people(bench: Bench, older: Path) -> None:
    lines = changelog(bench, older, bench.tree).out.splitlines()
    assert lines[0] == "rke2-coredns: 1.39.201 -> 1.40.000"
    assert "images of core: docker.io/example/dns v1 -> v2" in lines
    assert "images of core: + docker.io/example/new:v1" in lines


def test_markdown_is_written_where_asked(bench: Bench, older: Path) -> None:
    path = bench.root / "CHANGES.md"
    assert changelog(bench, older, bench.tree, "--markdown", path, "--dry-run").code == 0
    assert not path.exists()
    assert changelog(bench, older, bench.tree, "--markdown", path).code == 0
    text = path.read_text()
    assert text.startswith("# Changes from ")
    assert "| `rke2-coredns` | `1.39.201` | `1.40.000` | `1.40.0` |" in text
    assert "## rke2-coredns 1.39.201 → 1.40.000" in text
    assert "| moved | `docker.io/example/dns` | `v1` | `v2` |" in text


def test_other_way_round_images_go(bench: Bench, older: Path) -> None:
    document = changelog(bench, bench.tree, older, "--json").json
    assert document["images"]["core"]["removed"] == ["docker.io/example/new:v1"]


def test_same_tree_has_no_difference(bench: Bench) -> None:
    answer = changelog(bench, bench.tree, bench.tree)
    assert answer.out == "no difference\n"


def test_tags_and_commits_are_trees_of_their_time(bench: Bench, older: Path) -> None:
    newer = Path(shutil.copytree(bench.tree, bench.root / "newer"))
    put(older, bench.tree)
    first = bench.commit("one", "v1")
    put(newer, bench.tree)
    bench.commit("two")
    expected = changelog(bench, older, bench.tree, "--json").json
    for old, new in (("v1", "HEAD"), (first, "main"), ("v1", str(bench.tree))):
        found = changelog(bench, old, new, "--json").json
        assert (found["charts"], found["images"]) == (expected["charts"], expected["images"])


def test_brief_asks_no_chart_repository(bench: Bench, older: Path) -> None:
    shutil.rmtree(bench.root / "charts")
    assert changelog(bench, older, bench.tree).code != 0
    (chart,) = changelog(bench, older, bench.tree, "--brief", "--json").json["charts"]
    assert (chart["diff"], chart["no_diff"]) == (None, "left out")


def test_chart_that_comes_or_goes_has_no_other_side(bench: Bench, older: Path) -> None:
    versions = older / "charts-manifest/chart_versions.yaml"
    versions.write_text(versions.read_text().replace("1.39.201", "0.0.0"))
    (chart,) = changelog(bench, older, bench.tree, "--json").json["charts"]
    assert (chart["from"], chart["to"], chart["diff"]) == (None, "1.40.000", None)
    assert "rke2-coredns: 1.40.000 -> removed" in changelog(bench, bench.tree, older).out


def test_version_that_is_no_longer_published_is_said(bench: Bench, older: Path) -> None:
    versions = older / "charts-manifest/chart_versions.yaml"
    versions.write_text(versions.read_text().replace("1.39.201", "1.38.000"))
    (chart,) = changelog(bench, older, bench.tree, "--json").json["charts"]
    assert chart["no_diff"] == "1.38.000 is not in the chart repository"


def test_chart_whose_bytes_were_replaced_is_an_error(bench: Bench, older: Path) -> None:
    manifest = older / "charts-manifest/rke2-coredns.yaml"
    text = manifest.read_text()
    digest = text.split("chart-digest: sha256:")[1][:64]
    manifest.write_text(text.replace(digest, "0" * 64))
    answer = changelog(bench, older, bench.tree)
    assert answer.code == 5
    assert "the older tree says sha256:000" in answer.err


def test_same_tag_with_another_locked_digest_is_a_move(bench: Bench, older: Path) -> None:
    for root, number in ((older, "1"), (bench.tree, "2")):
        (root / "images.lock").write_text(str(Lock(images=(locked(IMAGES[1], number),))))
    document = changelog(bench, older, bench.tree, "--json").json
    assert document["images"]["core"]["moved"][-1] == {
        "image": IMAGES[1],
        "from": f"sha256:{'1' * 64}",
        "to": f"sha256:{'2' * 64}",
    }


def locked(name: str, number: str) -> LockedImage:
    digest = Digest(number * 64)
    platform = LockedPlatform(
        platform=Platform.parse("linux/amd64"), manifest=digest, config=digest, blobs=2, size=1
    )
    media = "application/vnd.oci.image.index.v1+json"
    root = Descriptor(media_type=media, digest=digest, size=1)
    return LockedImage(reference=Reference.parse(name), root=root, platforms=(platform,))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v9", "v9: no folder of a tree, and "),
        ("/", "/: no folder of a tree, and "),
        ("--all", "No such option"),
    ],
)
def test_what_is_no_tree_is_refused(bench: Bench, name: str, said: str) -> None:
    answer = changelog(bench, name, bench.tree)
    assert answer.code == 2
    assert said in answer.err


@pytest.mark.parametrize("name", ["v9", "HEAD~9", "v1:images.txt", "refs/heads/..", "main@{1", ""])
def test_what_git_does_not_know_is_refused(bench: Bench, name: str) -> None:
    bench.commit("one", "v1")
    answer = changelog(bench, name, "v1")
    assert answer.code == 2
    assert "neither the folder of a tree nor a revision" in answer.err


def test_time_before_the_tree_is_refused(bench: Bench) -> None:
    bench.git("init", "--quiet", "--initial-branch", "main")
    bench.git("commit", "--quiet", "--allow-empty", "--message", "empty")
    bench.git("tag", "v0")
    answer = changelog(bench, "v0", bench.tree)
    assert answer.code == 2
    assert "was no tree then" in answer.err


def test_links_of_a_revision_are_not_followed(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    (bench.tree / "charts-manifest/link.yaml").symlink_to(secret)
    bench.commit("one", "v1")
    assert changelog(bench, "v1", bench.tree).out == "no difference\n"
