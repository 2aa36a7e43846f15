"""``--lab`` with the words that need images: nothing but loopback, nothing tracked touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest

from rke2pack import cli
from rke2pack.errors import ValidationError
from rke2pack.lab import claims, tour
from rke2pack.oci.model import Index
from rke2pack.oci.platform import Platform
from rke2pack.oci.store.layout import Layout
from tests.contract.oci.runner import listing
from tests.contract.serving.serving import serving
from tests.settings import settings
from tests.unit.stages.conftest import Answer, Rke2pack, contents, rke2pack

__all__ = ["rke2pack"]
PAUSE = "docker.io/rancher/mirrored-pause:3.6"


@pytest.fixture
def tree(project: Path, tmp_path: Path) -> Path:
    """A copy of the project's tree as it is committed."""
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    shutil.copyfile(project / "images.txt", root / "images.txt")
    return root


@pytest.fixture
def lab(tree: Path, rke2pack: Rke2pack) -> Callable[..., Answer]:
    """Run a word with --lab on the tree; it must succeed and touch nothing else."""
    before = tracked(tree)

    def call(word: str, *arguments: str | Path) -> Answer:
        answer = rke2pack(word, *arguments, "--lab", "--tree", tree)
        assert answer.code == 0, answer.err
        assert tracked(tree) == before
        return answer

    return call


def tracked(root: Path) -> dict[str, bytes]:
    return {path: data for path, data in contents(root).items() if not path.startswith("dist/")}


def references(tree: Path) -> set[str]:
    lines = (tree / "images.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_pull_brings_every_image_under_its_own_name(lab: Callable[..., Answer], tree: Path) -> None:
    first = lab("pull", "--json").json
    assert {each["reference"] for each in first["images"]} == references(tree)
    assert first["totals"]["failed"] == 0
    again = lab("pull", "--json").json["totals"]
    assert (again["present"], again["received_bytes"]) == (len(references(tree)), 0)
    store = Layout(tree / "dist/lab/cache/store")
    assert {entry.name for entry in store.entries()} == references(tree)


def test_pause_is_there_for_every_windows_of_the_tree(
    lab: Callable[..., Answer], tree: Path
) -> None:
    lab("pull", PAUSE, "--all-platforms", "--quiet")
    store = Layout(tree / "dist/lab/cache/store")
    root = store.find(PAUSE)
    assert root is not None
    index = store.document(root)
    assert isinstance(index, Index)
    versions = {p.os_version for each in index.manifests if (p := each.platform)}
    assert versions == {"", "10.0.17763", "10.0.20348", "10.0.26100"}
    assert Platform.parse("linux/arm64") in {each.platform for each in index.manifests}


def test_two_labs_make_the_same_images(
    lab: Callable[..., Answer], tree: Path, tmp_path: Path
) -> None:
    lab("pull", "--component", "canal", "--quiet")
    first = listing(tree / "dist/lab/registry")
    shutil.move(tree / "dist/lab", tmp_path / "away")
    lab("pull", "--component", "canal", "--quiet")
    assert listing(tree / "dist/lab/registry") == first


def test_image_that_no_list_has_is_not_there(rke2pack: Rke2pack, tree: Path) -> None:
    answer = rke2pack("pull", "docker.io/library/other:v1", "--lab", "--tree", tree)
    assert answer.code == 4
    assert "docker.io/library/other" in answer.err


@pytest.mark.parametrize("registry", ["registry.example.com", "registry.example.com:5000"])
def test_another_registry_is_the_lab_as_well(lab: Callable[..., Answer], registry: str) -> None:
    document = lab("pull", "--registry", registry, "--component", "canal", "--json").json
    names = {each["reference"] for each in document["images"]}
    assert names
    assert all(name.startswith(f"{registry}/rancher/") for name in names)


def test_archives_are_made_of_what_was_pulled(lab: Callable[..., Answer], tree: Path) -> None:
    lab("pull", "--component", "canal", "--quiet")
    document = lab("airgap", "--component", "canal", "--json").json
    paths = [Path(each["path"]) for each in document["artifacts"]]
    assert [p.name for p in paths if p.suffix == ".zst"] == [
        "rke2-images-canal.linux-amd64.tar.zst",
        "rke2-images-canal.linux-arm64.tar.zst",
    ]
    assert all(path.is_relative_to(tree / "dist/lab") for path in paths)


def test_mirror_keeps_digests_and_reaches_nobody_else(
    lab: Callable[..., Answer], tree: Path
) -> None:
    target = ("registry.example.com/rke2", "--component", "canal", "--json")
    first = lab("mirror", *target).json
    assert {each["status"] for each in first["images"]} == {"copied"}
    assert {each["status"] for each in lab("mirror", *target).json["images"]} == {"present"}
    layout = Layout(tree / "dist/lab/registry")
    there = {entry.name: str(entry.descriptor.digest) for entry in layout.entries()}
    for each in first["images"]:
        name = each["reference"].replace("docker.io/", "registry.example.com/rke2/")
        assert there[name] == each["digest"]


@pytest.mark.parametrize("call", [("pull",), ("mirror", "registry.example.com/rke2")], ids=str)
def test_endpoints_do_not_mix_with_the_lab(
    rke2pack: Rke2pack, tree: Path, call: tuple[str, ...]
) -> None:
    more = ("--endpoint", "docker.io=https://mirror.example.com")
    answer = rke2pack(*call, *more, "--lab", "--tree", tree)
    assert answer.code == 2
    assert "--lab brings its own registry, --endpoint cannot go with it" in answer.err


def test_serve_has_all_images_and_charts(tree: Path) -> None:
    with serving("--lab", "--tree", tree) as serve:
        assert serve.document["images"] >= len(references(tree))
        address = serve.document["address"]
        with urlopen(f"{address}/v2/rancher/mirrored-pause/tags/list") as reply:  # noqa: S310 - our own address
            assert json.load(reply)["tags"] == ["3.6"]
        with urlopen(f"{serve.document['charts']}/index.yaml") as reply:  # noqa: S310 - our own address
            assert "rke2-canal" in json.load(reply)["entries"]
    assert serve.code == 0


# ---- the tour


@pytest.mark.slow
def test_the_lab_walks_through_every_command(tree: Path, rke2pack: Rke2pack) -> None:
    before = tracked(tree)
    answer = rke2pack("lab", "--tree", tree)
    assert answer.code == 0, answer.err
    for step in tour.STEPS:
        assert f"+ rke2pack {step.command.name}" in answer.err
        assert not step.claim or f"so: {step.claim}\n" in answer.err
    words = {step.command.name for step in tour.STEPS}
    alone = {"audit", "cache", "lab", "propose", "serve"}  # no steps of one release
    assert words == set(cli.WORDS) - alone
    assert tracked(tree) == before


def test_shards_that_make_other_bytes_do_not_make_the_claim_true(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in (claims.MERGED, "dist/artifacts")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "a.tar.zst").write_bytes(b"the same")
    for number in (1, 2):
        record = tmp_path / claims.SHARDS / f"{number}/shard-{number}-of-2.json"
        record.parent.mkdir(parents=True)
        record.touch()
    assert claims.is_merged(settings(tmp_path))
    (folders[0] / "a.tar.zst").write_bytes(b"another!")
    assert not claims.is_merged(settings(tmp_path))
    shutil.copy(folders[0] / "a.tar.zst", folders[1])
    record.unlink()
    assert not claims.is_merged(settings(tmp_path))


def test_tour_has_one_document(
    tree: Path, rke2pack: Rke2pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = tuple(step for step in tour.STEPS if step.command.name in {"images", "diff"})[:2]
    monkeypatch.setattr(tour, "STEPS", steps)
    answer = rke2pack("lab", "--tree", tree, "--json")
    assert answer.code == 0, answer.err
    assert answer.json == {
        "steps": [[step.command.name, *step.arguments] for step in steps],
        "claims": ["images.txt fits the charts"],
    }


def test_claim_that_does_not_hold_ends_the_tour(
    tree: Path, rke2pack: Rke2pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(tour.STEPS[0], claim="pigs fly", check=lambda _: False)
    monkeypatch.setattr(tour, "STEPS", (wrong,))
    answer = rke2pack("lab", "--tree", tree)
    assert answer.code == ValidationError.exit_code
    assert "error: lab: not so: pigs fly\n" in answer.err


def test_step_that_should_change_nothing_and_does_ends_the_tour(
    tree: Path, rke2pack: Rke2pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bump,) = [s for s in tour.STEPS if s.arguments[-1:] == ("0.2.10",)]
    wrong = replace(bump, claim="nothing changes", keeps="{tree}/charts-manifest")
    monkeypatch.setattr(tour, "STEPS", (wrong,))
    assert rke2pack("lab", "--tree", tree).code == ValidationError.exit_code


def test_state_sees_every_change(tmp_path: Path) -> None:
    path = tmp_path / "a/b"
    path.parent.mkdir()
    path.write_bytes(b"x")
    before = claims.state(tmp_path)
    path.write_bytes(b"y")
    assert set(before) == {"a/b"}
    assert claims.state(tmp_path) != before
