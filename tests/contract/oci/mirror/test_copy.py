"""The word mirror between two registries: what is copied, present, left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rke2pack.oci import media
from tests.contract.oci import images
from tests.contract.oci.images import Made
from tests.contract.oci.mirror.mirroring import (
    NAMES,
    MirrorCall,
    assert_there,
    sign,
    statuses,
)
from tests.contract.oci.runner import run
from tests.contract.oci.simulator import Simulator


def test_images_arrive_whole_and_shared_blobs_once(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    answer = mirror(*NAMES)
    assert answer.code == 0, answer.err
    assert statuses(answer) == dict.fromkeys(NAMES, "copied")
    for name, image in made.items():
        assert_there(target, f"rancher/{name}", image)
    by_name = {each["reference"]: each for each in answer.json["images"]}
    assert by_name["docker.io/rancher/alpha:v1"]["digest"] == str(made["alpha"].digest)
    assert by_name["docker.io/rancher/alpha:v1"]["platforms"] == ["linux/amd64", "linux/arm64"]
    every = {d: data for image in made.values() for d, data in image.all_blobs.items()}
    assert {d: len(registry.asked("GET", str(d))) for d in every} == dict.fromkeys(every, 1)
    ends = {d: len(target.asked("PUT", f"digest=sha256%3A{d.hex}")) for d in every}
    assert ends == dict.fromkeys(every, 1)
    assert answer.json["totals"]["sent_bytes"] == sum(map(len, every.values()))


def test_unchanged_images_cost_one_head_a_side_and_one_list_a_repository(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    more = [f"rancher/alpha:t{number}" for number in range(20)]
    for number in range(20):
        registry.push("rancher/alpha", made["alpha"], f"t{number}")
    assert mirror(*NAMES, *more).code == 0
    answer = mirror(*NAMES, *more)
    assert set(statuses(answer).values()) == {"present"}
    assert [r.method for r in target.requests] == ["HEAD"] * 23
    assert len(registry.asked("HEAD")) == 23
    assert sorted(r.path for r in registry.asked("GET")) == sorted(
        [f"/v2/rancher/{name}/tags/list" for name in made]
        + [r.path for r in registry.asked("GET", "/referrers/")]
    )
    # Once for the host: it does not know the question.
    assert len(registry.asked("GET", "/referrers/")) == 1
    assert answer.json["totals"]["sent_bytes"] == 0


@pytest.mark.parametrize("knows_conditions", [True, False])
@pytest.mark.parametrize("has_digest_header", [True, False])
def test_target_is_asked_whether_it_has_what_the_source_has(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    made: dict[str, Made],
    *,
    knows_conditions: bool,
    has_digest_header: bool,
) -> None:
    """It need not read the manifest for a no; who does not know the question answers as ever."""
    target.knows_conditions, target.has_digest_header = knows_conditions, has_digest_header
    assert mirror(*NAMES).code == 0
    answer = mirror(*NAMES)
    assert set(statuses(answer).values()) == {"present"}
    asked = {r.path.split("/")[3]: r.headers.get("If-None-Match") for r in target.asked("HEAD")}
    assert asked == {name: f'"{image.digest}"' for name, image in made.items()}
    assert {r.status for r in target.asked("HEAD")} == {304 if knows_conditions else 200}
    assert len(target.asked("GET")) == (0 if knows_conditions or has_digest_header else 3)
    moved = images.multi(9)
    registry.push("rancher/beta", moved, "v1")
    assert mirror(*NAMES).code == 0
    assert target.manifests["rancher/beta", "v1"][1] == moved.raw


def test_not_modified_with_another_digest_is_refused(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    assert mirror(NAMES[0]).code == 0
    target.statuses = [(304, {"Docker-Content-Digest": str(made["beta"].digest)})]
    answer = mirror(NAMES[0])
    assert answer.code != 0
    assert f"answers 304 to {made['alpha'].digest}, and that it is" in answer.err


def test_not_modified_is_no_answer_to_who_did_not_ask(
    mirror: MirrorCall, registry: Simulator, made: dict[str, Made]
) -> None:
    assert made
    registry.statuses = [(304, {})]
    answer = mirror(NAMES[0])
    assert answer.code != 0
    assert "304" in answer.err


def test_dry_run_plans_what_the_run_does_and_writes_nothing(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    sign(registry, "rancher/alpha", made["alpha"])
    planned = mirror(*NAMES, "--dry-run")
    assert planned.code == 0, planned.err
    assert set(statuses(planned).values()) == {"planned"}
    assert {r.method for r in target.requests} <= {"HEAD", "GET"}
    assert target.manifests == {}
    done = mirror(*NAMES)
    totals, really = planned.json["totals"], done.json["totals"]
    assert totals["planned_requests"] == really["requests"]
    assert totals["planned_bytes"] == totals["missing_bytes"] == really["missing_bytes"]


def test_images_txt_is_mirrored_without_arguments(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], project: Path, tmp_path: Path
) -> None:
    shutil.copytree(project / "charts-manifest", tmp_path / "charts-manifest")
    lines = "".join(f"docker.io/{name}\n" for name in NAMES[:2])
    (tmp_path / "images.txt").write_text(
        f"# component: core\n{lines}\n# component: extra\ndocker.io/{NAMES[2]}\n"
    )
    assert mirror("--component", "core").code == 0
    assert {tag for _, tag in target.manifests if ":" not in tag} == {"v1"}
    assert_there(target, "rancher/beta", made["beta"])
    assert ("rancher/gamma", "v1") not in target.manifests


def test_moved_tag_replaces_the_old_image(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    assert mirror(NAMES[0]).code == 0
    newer = images.index(images.multi(7).children[0], *made["alpha"].children[1:])
    registry.push("rancher/alpha", newer, "v1")
    answer = mirror(NAMES[0])
    assert statuses(answer) == {NAMES[0]: "copied"}
    assert_there(target, "rancher/alpha", newer)
    # What both have is not sent again.
    kept = made["alpha"].children[1]
    assert target.asked("PUT", str(kept.digest)) == []


def test_reference_by_digest_and_a_tag_that_moved(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    old = made["alpha"].digest
    assert mirror(f"rancher/alpha@{old}").code == 0
    assert target.manifests["rancher/alpha", str(old)][1] == made["alpha"].raw
    registry.push("rancher/alpha", images.multi(7), "v1")
    answer = mirror(f"rancher/alpha:v1@{old}")
    assert answer.code == 5
    assert "the tag moved" in answer.err


def test_same_registry_mounts_instead_of_copying(
    registry: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    host = registry.host
    call: list[str | Path] = [
        "mirror",
        f"{host}/copy",
        f"{host}/{NAMES[0]}",
        "--cache-dir",
        tmp_path,
        "--json",
    ]
    answer = run([*call, "--endpoint", f"{host}=http://{host}"], {})
    assert answer.code == 0, answer.err
    assert_there(registry, "copy/rancher/alpha", made["alpha"])
    assert answer.json["totals"]["sent_bytes"] == 0


def test_schema_1_is_an_error_of_that_image(
    mirror: MirrorCall, registry: Simulator, made: dict[str, Made]
) -> None:
    assert made
    kind = min(media.SCHEMA_1)
    registry.manifests["rancher/old", "v1"] = (kind, b'{"schemaVersion": 1}')
    answer = mirror("rancher/old:v1", NAMES[0])
    assert answer.code == 7
    assert "Docker schema 1" in answer.err
    assert statuses(answer)[NAMES[0]] == "copied"
