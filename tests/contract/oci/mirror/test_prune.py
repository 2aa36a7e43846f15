"""--prune: exactly the named tags go, and nothing that is mirrored."""

from __future__ import annotations

from pathlib import Path

from tests.contract.oci import images
from tests.contract.oci.images import Made
from tests.contract.oci.mirror.mirroring import (
    NAMES,
    MirrorCall,
)
from tests.contract.oci.simulator import Simulator


def test_prune_removes_exactly_what_the_list_names(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    assert mirror(*NAMES).code == 0
    for tag in ("old", "older"):
        target.push("rancher/alpha", images.multi(9), tag)
    old = tmp_path / "old.txt"
    old.write_text(f"# gone\n{target.host}/rancher/alpha:old\n{target.host}/rancher/x:never\n")
    before = dict(target.manifests)
    planned = mirror(*NAMES, "--prune", old, "--dry-run")
    assert target.manifests == before
    assert [each["status"] for each in planned.json["pruned"]] == ["planned", "absent"]
    answer = mirror(*NAMES, "--prune", old)
    assert answer.code == 0, answer.err
    assert [each["status"] for each in answer.json["pruned"]] == ["deleted", "absent"]
    del before["rancher/alpha", "old"]
    assert target.manifests == before


def test_prune_where_only_manifests_can_be_removed(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    assert mirror(*NAMES).code == 0
    target.deletes = "manifests"
    target.push("rancher/alpha", images.multi(9), "old", "older")
    old = tmp_path / "old.txt"
    old.write_text(f"{target.host}/rancher/alpha:old\n")
    answer = mirror(*NAMES, "--prune", old)
    assert answer.code == 7
    assert "rancher/alpha:old: the registry cannot remove it without older" in answer.err
    old.write_text(f"{target.host}/rancher/alpha:old\n{target.host}/rancher/alpha:older\n")
    assert mirror(*NAMES, "--prune", old).code == 0
    assert {
        tag for name, tag in target.manifests if name == "rancher/alpha" and ":" not in tag
    } == {"v1"}


def test_dry_run_of_prune_names_the_tags_that_share_a_manifest(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert mirror(*NAMES).code == 0
    target.push("rancher/alpha", images.multi(9), "old", "older")
    target.push("rancher/beta", images.multi(8), "alone")
    old = tmp_path / "old.txt"
    lines = ("alpha:old", "beta:alone", f"alpha@{images.multi(9).digest}")
    old.write_text("".join(f"{target.host}/rancher/{line}\n" for line in lines))
    before = dict(target.manifests)
    answer = mirror(*NAMES, "--prune", old, "--dry-run")
    assert target.manifests == before
    assert answer.code == 7
    shared, alone, manifest = answer.json["pruned"]
    assert [each["status"] for each in (shared, alone, manifest)] == [
        "planned", "planned", "failed",
    ]  # fmt: skip
    assert "the registry cannot remove it without older" in shared["note"]
    assert shared["note"] in answer.err
    assert alone["note"] == ""
    assert "older points at it" in manifest["error"]
    assert made


def test_prune_without_the_right_to_delete_deletes_no_manifest(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    assert mirror(*NAMES).code == 0
    target.push("rancher/alpha", images.multi(9), "old")
    target.refusals["DELETE"] = (403, "DENIED")
    old = tmp_path / "old.txt"
    old.write_text(f"{target.host}/rancher/alpha:old\n")
    answer = mirror(*NAMES, "--prune", old)
    assert answer.code == 4
    assert "log in with the right to delete there" in answer.err
    assert [r.path for r in target.asked("DELETE")] == ["/v2/rancher/alpha/manifests/old"]


def test_prune_never_takes_what_this_run_mirrors(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert mirror(*NAMES).code == 0
    before = dict(target.manifests)
    old = tmp_path / "old.txt"
    for line, code, why in (
        (f"{target.host}/rancher/alpha:v1", 2, "this run mirrors it"),
        ("registry.example.com/rancher/alpha:v0", 2, "is not at"),
        (f"{target.host}/rancher/alpha", 2, "name it by its tag or by its digest"),
        ("# nothing", 2, "names nothing to remove"),
        (f"{target.host}/rancher/alpha@{made['alpha'].children[0].digest}", 7, "v1 needs it"),
        (f"{target.host}/rancher/gamma@{made['gamma'].digest}", 7, "v1 needs it"),
    ):
        old.write_text(f"{line}\n")
        answer = mirror(*NAMES, "--prune", old)
        assert answer.code == code, answer.err
        assert why in answer.err
    target.push("rancher/alpha", made["alpha"], "alias")
    old.write_text(f"{target.host}/rancher/alpha:alias\n")
    target.deletes = "manifests"
    assert "cannot remove it without v1" in mirror(*NAMES, "--prune", old).err
    del target.manifests["rancher/alpha", "alias"]
    assert target.manifests == before


def test_prune_waits_until_no_image_fails(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    target.push("rancher/alpha", images.multi(9), "old")
    (tmp_path / "old.txt").write_text(f"{target.host}/rancher/alpha:old\n")
    answer = mirror(*NAMES, "rancher/none:v1", "--prune", tmp_path / "old.txt")
    assert answer.code == 4
    assert "nothing is removed: images failed" in answer.err
    assert ("rancher/alpha", "old") in target.manifests
