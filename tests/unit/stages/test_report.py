"""`report`: what is gathered, what is missing, the same bytes, nothing written where not asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from rke2pack.oci.store.layout import Layout
from tests.unit.lists.locking import image, lock
from tests.unit.oci.imaging import layer, put_image
from tests.unit.stages.conftest import Rke2pack, chart, contents, write_repository, write_tree

SHARED = "docker.io/example/shared:v1"
OWN = "docker.io/example/app:v1"
BASE, TOP = layer({"base": bytes(4000)}), layer({"top": b"1" * 900})


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    return write_repository(
        tmp_path / "charts",
        chart("one", "1.0.0", image="example/app:v1"),
        chart("one", "1.1.0", image="example/app:v1", appVersion="7"),
        chart("two", "2.0.0", image="example/shared:v1"),
    )


@pytest.fixture
def tree(tmp_path: Path, charts: Path, rke2pack: Rke2pack) -> Path:
    """A tree of two charts with lists, its images in the store."""
    root = write_tree(tmp_path / "tree", {"one": "1.1.0", "two": "2.0.0"})
    assert rke2pack("charts", "--references", "--tree", root, "--charts-repo", charts).code == 0
    assert rke2pack("images", "--tree", root, "--charts-repo", charts).code == 0
    store = Layout.open(tmp_path / "cache/store")
    put_image(store, OWN, [(BASE, "gzip"), (TOP, "gzip")])
    put_image(store, SHARED, [(BASE, "gzip")])
    return root


@pytest.fixture
def where(tree: Path, charts: Path) -> tuple[str, ...]:
    return ("--tree", str(tree), "--charts-repo", str(charts))


def test_what_is_missing_is_said_on_the_page_and_in_the_data(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    answer = rke2pack("report", *where, "--json")
    assert answer.code == 0, answer.err
    missing = {
        "archives": "no archives in dist/artifacts yet: run 'rke2pack airgap'",
        "changes": "no git tag before this tree: name a release with --against",
        "digests": "no images.lock yet: run 'rke2pack images --lock'",
        "history": "no sizes of earlier releases: keep them in a file and name it with --history",
        "validation": "no dist/validate/report.json yet: run 'rke2pack validate'",
    }
    assert answer.json["missing"] == missing
    page = (tree / "dist/report.html").read_text()
    for text in missing.values():
        assert text.replace("'", "&#39;") in page
    assert answer.json["archives"] == []
    assert answer.json["changes"] is None


def test_each_image_has_its_proof_taken_apart(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    names = ("linux/amd64", "linux/arm64")
    (tree / "images.lock").write_text(str(lock(image(OWN, *names, size=1234))))
    answer = rke2pack("report", *where, "--json")
    own, shared = answer.json["images"]
    assert own["reference"] == OWN
    assert own["proofs"] == [
        {
            "chart": "one",
            "version": "1.1.0",
            "variants": ["default"],
            "template": "templates/main.yaml",
            "object": "Deployment/one",
            "field": "spec.template.spec.containers[0].image",
        }
    ]
    assert [(each["platform"], each["bytes"]) for each in own["sizes"]] == [
        (name, 1234) for name in names
    ]
    assert own["digest"] == str(image(OWN).root.digest)
    assert shared["digest"] is None
    assert shared["sizes"] == []
    assert "digests" not in answer.json["missing"]


def test_archives_show_what_is_shared(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    options = ("--profile", "fast", "--format", "gz", "--format", "zst", "--tree", tree)
    assert rke2pack("airgap", *options).code == 0
    answer = rke2pack("report", *where, "--json")
    first = answer.json["archives"][0]
    assert first["name"] == "rke2-images-core.linux-amd64"
    assert first["component"] == "core"
    assert [each["name"].rpartition(".")[2] for each in first["files"]] == ["zst", "gz"]
    sums = (tree / "dist/artifacts/sha256sum-amd64.txt").read_text()
    assert first["files"][0]["digest"].removeprefix("sha256:") in sums
    assert [len(each["layers"]) for each in first["images"]] == [2, 1]
    core = answer.json["sharing"][0]["components"]["core"]
    base = first["images"][1]["layers"][0]["size"]
    top = first["images"][0]["layers"][1]["size"]
    assert core == {
        "images": 2,
        "alone": 2 * base + top,
        "stored": base + top,
        "unique": top,
        "shared": base,
        "elsewhere": 0,
    }
    assert first["content"] == base + top


def test_a_damaged_archive_is_a_finding_and_the_rest_is_shown(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    assert rke2pack("airgap", "--tree", tree).code == 0
    path = tree / "dist/artifacts/rke2-images-core.linux-amd64.tar.zst"
    path.write_bytes(path.read_bytes()[:-40])
    answer = rke2pack("report", *where, "--json")
    assert answer.code == 0, answer.err
    damaged, whole = answer.json["archives"]
    assert damaged["images"] == []
    assert damaged["problem"].startswith(path.name)
    assert len(whole["images"]) == 2
    found = [each for each in answer.json["findings"] if each["check"] == "archive"]
    assert [each["subject"] for each in found] == ["rke2-images-core.linux-amd64"]


def test_the_same_inputs_make_the_same_bytes(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    assert rke2pack("airgap", "--tree", tree).code == 0
    pages = []
    for name in ("a.html", "b.html"):
        assert rke2pack("report", *where, "-o", tree / name).code == 0
        pages.append((tree / name).read_bytes())
    assert pages[0] == pages[1]
    moved = tree.with_name("elsewhere")
    shutil.copytree(tree, moved)
    again = rke2pack("report", "--tree", moved, *where[2:], "-o", moved / "c.html")
    assert again.code == 0, again.err
    assert (moved / "c.html").read_bytes() == pages[0]


def test_a_dry_run_writes_nothing(where: tuple[str, ...], tree: Path, rke2pack: Rke2pack) -> None:
    before = contents(tree)
    answer = rke2pack("report", *where, "--dry-run", "--json", "--history", tree / "h.json")
    assert answer.code == 0, answer.err
    assert answer.json["format"] == 1
    assert contents(tree) == before


def test_a_tree_before_gives_the_differences_of_diff(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    before = write_tree(tmp_path / "before", {"one": "1.0.0"})
    (before / "images.txt").write_text(f"# component: core\n{OWN}\ndocker.io/example/gone:v1\n")
    answer = rke2pack("report", *where, "--json", "--against", before)
    changes = answer.json["changes"]
    assert changes["against"] == "v1.32.4+rke2r1"
    one, two = changes["charts"]
    assert (one["chart"], one["from"], one["to"]) == ("one", "1.0.0", "1.1.0")
    assert one["rows"][0] == {
        "area": "app version", "subject": "", "old": "", "new": "7", "kind": "added", "note": "",
    }  # fmt: skip
    assert (two["chart"], two["from"], two["to"], two["rows"]) == ("two", None, "2.0.0", [])
    assert changes["images"] == [
        {"component": "core", "added": [SHARED], "removed": ["docker.io/example/gone:v1"]}
    ]


def test_the_tag_before_is_what_it_compares_with(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", tree, *arguments], check=True, capture_output=True)

    versions = tree / "charts-manifest/chart_versions.yaml"
    now = versions.read_text()
    versions.write_text(now.replace("1.1.0", "1.0.0"))
    git("init", "-q")
    git("add", "charts-manifest", "images.txt")
    git("commit", "-qm", "before")
    git("tag", "v0.9.0")
    versions.write_text(now)
    git("commit", "-qam", "now")
    git("tag", "v1.0.0")
    changes = rke2pack("report", *where, "--json").json["changes"]
    assert changes["against"] == "v0.9.0"
    assert [each["chart"] for each in changes["charts"]] == ["one"]
    named = rke2pack("report", *where, "--json", "--against", "v1.0.0").json["changes"]
    assert named["charts"] == []


def test_another_registry_is_in_every_name(
    where: tuple[str, ...], tree: Path, tmp_path: Path, rke2pack: Rke2pack
) -> None:
    (tree / "images.lock").write_text(str(lock(image(OWN), image(SHARED))))
    before = tmp_path / "before"
    shutil.copytree(tree, before)
    own = ("--registry", "registry.example.com", "--against", before)
    answer = rke2pack("report", *where, *own, "--json")
    assert answer.code == 0, answer.err
    assert [each["reference"] for each in answer.json["images"]] == [
        "registry.example.com/example/app:v1",
        "registry.example.com/example/shared:v1",
    ]
    assert all(each["digest"] and each["proofs"] for each in answer.json["images"])
    assert answer.json["findings"] == []
    assert answer.json["changes"]["images"] == []


def test_a_folder_of_lists_gives_images_alone(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    folder = tmp_path / "v1"
    folder.mkdir()
    (folder / "rke2-images-core.linux-amd64.txt").write_text(f"{OWN}\n")
    (folder / "rke2-images-all.linux-amd64.txt").write_text("docker.io/x/not:counted\n")
    changes = rke2pack("report", *where, "--json", "--against", folder).json["changes"]
    assert changes["charts"] == []
    assert changes["images"] == [{"component": "core", "added": [SHARED], "removed": []}]
    assert changes["note"] == "v1 has lists only: charts are not compared"


def test_what_is_no_release_is_refused(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    (tmp_path / "empty").mkdir()
    answer = rke2pack("report", *where, "--against", tmp_path / "empty")
    assert answer.code == 2
    assert "neither a tree nor a folder with lists of a release" in answer.err


def test_a_chart_that_is_gone_is_named_and_not_compared(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    before = write_tree(tmp_path / "before", {"one": "0.1.0", "two": "2.0.0"})
    changes = rke2pack("report", *where, "--json", "--against", before).json["changes"]
    assert changes["charts"][0]["problem"].startswith("one: ")
    assert changes["charts"][0]["rows"] == []


def test_without_charts_the_page_says_what_it_lacks(tree: Path, rke2pack: Rke2pack) -> None:
    absent = ("--charts-repo", str(tree / "no-such-folder"))
    refused = rke2pack("report", "--tree", tree, *absent)
    assert refused.code != 0
    assert "no-such-folder" in refused.err
    assert not (tree / "dist/report.html").exists()
    answer = rke2pack("report", "--tree", tree, *absent, "--no-charts", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["images"][0]["proofs"] is None
    assert answer.json["missing"]["proofs"].startswith("the charts were not read")


def test_a_list_that_lacks_an_image_is_a_finding(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    (tree / "images.txt").write_text(f"# component: core\n{OWN}\n")
    answer = rke2pack("report", *where, "--json")
    found = [each for each in answer.json["findings"] if each["check"] == "images.txt"]
    assert [each["subject"] for each in found] == [f"core: {SHARED}"]


def test_the_history_grows_by_this_release_and_once_only(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    history = tree / "history.json"
    earlier = {"release": "v1.32.3+rke2r1", "archives": {"linux/amd64": {"core": 100}}}
    history.write_text(json.dumps({"version": 1, "releases": [earlier]}))
    assert rke2pack("airgap", "--tree", tree).code == 0
    for _ in "ab":
        answer = rke2pack("report", *where, "--history", history, "--json")
        assert answer.code == 0, answer.err
    releases = json.loads(history.read_text())["releases"]
    assert [each["release"] for each in releases] == ["v1.32.3+rke2r1", "v1.32.4+rke2r1"]
    archive = tree / "dist/artifacts/rke2-images-core.linux-amd64.tar.zst"
    assert releases[1]["archives"]["linux/amd64"] == {"core": archive.stat().st_size}
    assert releases[1]["images"] == {"linux/amd64": 2, "linux/arm64": 2}


def test_a_release_without_archives_is_not_added(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    history = tree / "history.json"
    answer = rke2pack("report", *where, "--history", history, "--json")
    assert answer.json["missing"]["history"] == (
        "this release has no archives yet: run 'rke2pack airgap'"
    )
    assert json.loads(history.read_text())["releases"] == []


def test_a_component_alone(where: tuple[str, ...], tree: Path, rke2pack: Rke2pack) -> None:
    assert rke2pack("airgap", "--tree", tree).code == 0
    answer = rke2pack("report", *where, "--component", "core", "--json")
    assert [each["name"] for each in answer.json["components"]] == ["core"]
    assert rke2pack("report", *where, "--component", "nothing").code == 2


def test_reports_of_validate_are_read_where_they_are_named(
    where: tuple[str, ...], tree: Path, rke2pack: Rke2pack
) -> None:
    result = {"subject": "row: one 1.1.0", "check": "render", "status": "passed", "detail": "ok"}
    for name in ("dist/validate/report.json", "other.json"):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"level": name, "results": [result], "findings": []}))
    levels = [
        [each["level"] for each in rke2pack("report", *where, "--json", *more).json["validations"]]
        for more in ((), ("--validation", tree / "other.json"))
    ]
    assert levels == [["dist/validate/report.json"], ["other.json"]]


def test_the_lab_has_a_page_too(project: Path, tmp_path: Path, rke2pack: Rke2pack) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    answer = rke2pack("report", "--lab", "--tree", tree, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["lab"]
    assert len(answer.json["images"]) > 50
    assert all(each["proofs"] for each in answer.json["images"])
    page = (tree / "dist/lab/tree/dist/report.html").read_text()
    assert "lab: built-in charts and images, not a real release" in page
