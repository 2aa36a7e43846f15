"""The word mirror between two registries: what is copied, present, renamed, left out."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.registry.pace import Pace
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made
from tests.contract.oci.runner import Answer, run
from tests.contract.oci.simulator import Simulator, serving

MirrorCall = Callable[..., Answer]
NAMES = ("rancher/alpha:v1", "rancher/beta:v1", "rancher/gamma:v1")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(pace: Pace, seconds: float) -> None:
        pace._silent_until -= seconds
        pace.check()

    monkeypatch.setattr(Pace, "pause", pause)


@pytest.fixture
def target() -> Iterator[Simulator]:
    """Take no manifest before what it names, as real registries do."""
    with serving(address="127.0.0.2") as running:
        running.is_strict = True
        yield running


@pytest.fixture
def made(registry: Simulator) -> dict[str, Made]:
    """Three images on one base layer; gamma is Docker's and for amd64 alone."""
    found = {
        "alpha": images.multi(1, 60_000),
        "beta": images.multi(2, 60_000),
        "gamma": images.manifest(AMD64, [b"base", b"gamma"], is_docker=True),
    }
    for name, image in found.items():
        registry.push(f"rancher/{name}", image, "v1")
    return found


@pytest.fixture
def mirror(registry: Simulator, target: Simulator, tmp_path: Path) -> MirrorCall:
    def call(
        *arguments: str | Path, to: str = "", environment: dict[str, str] | None = None
    ) -> Answer:
        own: list[str | Path] = ["--endpoint", f"docker.io=http://{registry.host}", "--json"]
        own += ["--cache-dir", tmp_path / "cache", "--tree", tmp_path]
        own += ["--endpoint", f"{target.host}=http://{target.host}"]
        for each in (registry, target):
            each.requests.clear()
        return run(["mirror", f"{target.host}{to}", *arguments, *own], environment or {})

    return call


def assert_there(target: Simulator, repository: str, image: Made, tag: str = "v1") -> None:
    assert target.manifests[repository, tag] == (image.media_type, image.raw)
    for each in image.documents:
        assert target.manifests[repository, str(each.digest)] == (each.media_type, each.raw)
        for digest, data in each.blobs.items():
            assert target.blobs[repository, digest] == data


def statuses(answer: Answer) -> dict[str, str]:
    return {each["target"].partition("/")[2]: each["status"] for each in answer.json["images"]}


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


def test_one_platform_makes_an_index_of_its_own_and_says_so(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    answer = mirror(*NAMES, "--platform", "linux/amd64")
    assert answer.code == 0, answer.err
    raw = target.manifests["rancher/alpha", "v1"][1]
    entries = json.loads(raw)["manifests"]
    kept = made["alpha"].children[0]
    assert [each["digest"] for each in entries] == [str(kept.digest)]
    assert entries[0]["platform"] == {"os": "linux", "architecture": "amd64"}
    assert ("rancher/alpha", str(made["alpha"].children[1].digest)) not in target.manifests
    changed = f"expected {made['alpha'].digest}, got {Digest.of(raw)} [digest-changed]"
    assert changed in answer.err
    # The image that has no index stays what it is.
    assert_there(target, "rancher/gamma", made["gamma"])
    assert answer.err.count("[digest-changed]") == 2
    again = mirror(*NAMES, "--platform", "linux/amd64")
    assert set(statuses(again).values()) == {"present"}
    assert target.manifests["rancher/alpha", "v1"][1] == raw


def test_attestation_goes_with_the_platform_that_it_is_about(
    mirror: MirrorCall, registry: Simulator, target: Simulator
) -> None:
    children = [images.manifest(AMD64), images.manifest(ARM64)]
    about = [images.attestation(child) for child in children]
    index = images.index(*children, *about)
    document = json.loads(index.raw)
    for entry, child in zip(document["manifests"][2:], children, strict=True):
        entry["annotations"] = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": str(child.digest),
        }
    whole = Made(
        media_type=index.media_type, raw=json.dumps(document).encode(), children=index.children
    )
    registry.push("rancher/att", whole, "v1")
    assert mirror("rancher/att:v1", "--platform", "linux/arm64").code == 0
    entries = json.loads(target.manifests["rancher/att", "v1"][1])["manifests"]
    assert [each["digest"] for each in entries] == [str(children[1].digest), str(about[1].digest)]
    assert_there(target, "rancher/att", about[1], str(about[1].digest))


def test_platform_that_is_not_there_is_an_error_of_that_image(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    assert made
    answer = mirror(*NAMES, "--platform", "linux/arm64")
    assert answer.code == 4
    assert "rancher/gamma:v1: not there for linux/arm64; it has linux/amd64" in answer.err
    assert ("rancher/beta", "v1") in target.manifests


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


def test_prefix_and_maps_rename(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    maps = ("--map", "rancher/=team/r/", "--map", "rancher/beta=tools/beta")
    answer = mirror(*NAMES, *maps, to="/pre/fix")
    assert answer.code == 0, answer.err
    assert_there(target, "pre/fix/team/r/alpha", made["alpha"])
    assert_there(target, "pre/fix/tools/beta", made["beta"])


def test_two_images_for_one_name_are_refused_before_anything_is_written(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    assert made
    answer = mirror(*NAMES, "--map", "rancher/alpha=rancher/same", "--map",
                    "rancher/beta=rancher/same")  # fmt: skip
    assert answer.code == 2
    assert "1 names at the target would be several images" in answer.err
    assert "docker.io/rancher/alpha:v1 and docker.io/rancher/beta:v1" in answer.err
    assert target.requests == []
    registry.manifests["rancher/beta", "v1"] = registry.manifests["rancher/alpha", "v1"]
    same = mirror(*NAMES[:2], "--map", "rancher/alpha=rancher/same", "--map",
                  "rancher/beta=rancher/same")  # fmt: skip
    assert same.code == 0, same.err


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


def sign(registry: Simulator, repository: str, image: Made) -> dict[str, Made]:
    """Sign an index and its first manifest as cosign does."""
    found = {}
    for number, subject in enumerate((image, *image.children[:1])):
        signature = images.manifest(AMD64, [f"signature {number}".encode()])
        registry.push(repository, signature, f"sha256-{subject.digest.hex}.sig")
        found[f"sha256-{subject.digest.hex}.sig"] = signature
    # The signature of something else in this repository stays.
    registry.push(repository, images.manifest(AMD64, [b"other"]), f"sha256-{'a' * 64}.sig")
    return found


def test_signatures_in_tags_travel_along(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    signatures = sign(registry, "rancher/alpha", made["alpha"])
    answer = mirror(NAMES[0])
    assert answer.code == 0, answer.err
    assert answer.json["images"][0]["companions"] == 2
    for tag, signature in signatures.items():
        assert_there(target, "rancher/alpha", signature, tag)
    tags = {name for _, name in target.manifests if ":" not in name}
    assert tags == {"v1", *signatures}
    again = mirror(NAMES[0])
    assert statuses(again) == {NAMES[0]: "present"}
    assert {r.method for r in target.requests} == {"HEAD", "GET"}


def test_new_signature_of_an_unchanged_image_is_copied(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    assert mirror(NAMES[0]).code == 0
    signatures = sign(registry, "rancher/alpha", made["alpha"])
    answer = mirror(NAMES[0])
    assert statuses(answer) == {NAMES[0]: "copied"}
    assert all(("rancher/alpha", tag) in target.manifests for tag in signatures)


def test_no_referrers_leaves_them(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    sign(registry, "rancher/alpha", made["alpha"])
    assert mirror(NAMES[0], "--no-referrers").code == 0
    assert {name for _, name in target.manifests if ":" not in name} == {"v1"}
    assert registry.asked("GET", "/tags/list") == registry.asked("GET", "/referrers/") == []


def refer(registry: Simulator, repository: str, subject: Made) -> Made:
    """Push an SBOM of an image, as an OCI 1.1 referrer."""
    made = images.manifest(
        AMD64,
        [b"sbom of " + subject.digest.hex.encode()],
        extra={"subject": subject.descriptor.to_json(), "artifactType": "application/spdx+json"},
    )
    registry.push(repository, made)
    return made


@pytest.mark.parametrize("is_new", [True, False])
def test_referrers_travel_along(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    made: dict[str, Made],
    *,
    is_new: bool,
) -> None:
    registry.has_referrers = True
    target.has_referrers = is_new
    sboms = [refer(registry, "rancher/alpha", made["alpha"])]
    sboms += [refer(registry, "rancher/alpha", made["alpha"].children[1])]
    # A signature of an SBOM: companions have companions.
    sboms += [refer(registry, "rancher/alpha", sboms[0])]
    answer = mirror(NAMES[0])
    assert answer.code == 0, answer.err
    assert answer.json["images"][0]["companions"] == 3
    for sbom in sboms:
        assert_there(target, "rancher/alpha", sbom, str(sbom.digest))
    listed = {
        name: [entry["digest"] for entry in json.loads(raw)["manifests"]]
        for (_, name), (_, raw) in target.manifests.items()
        if name.startswith("sha256-")
    }
    subjects = (made["alpha"], made["alpha"].children[1], sboms[0])
    expected = {
        f"sha256-{subject.digest.hex}": [str(sbom.digest)]
        for subject, sbom in zip(subjects, sboms, strict=True)
    }
    assert listed == ({} if is_new else expected)
    again = mirror(NAMES[0])
    assert statuses(again) == {NAMES[0]: "present"}
    assert target.asked("PUT") == []


def test_list_of_referrers_in_a_tag_is_copied_and_merged(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    subject = made["alpha"]
    tag = f"sha256-{subject.digest.hex}"
    first = refer(registry, "rancher/alpha", subject)
    listed = images.index(first, has_platforms=False)
    registry.push("rancher/alpha", listed, tag)
    assert mirror(NAMES[0]).code == 0
    assert_there(target, "rancher/alpha", listed, tag)
    # The target has one of its own meanwhile: both stay.
    own = images.manifest(AMD64, [b"made at the target"])
    target.push("rancher/alpha", images.index(first, own, has_platforms=False), tag)
    second = refer(registry, "rancher/alpha", images.manifest(AMD64, [b"else"]))
    registry.push("rancher/alpha", images.index(first, second, has_platforms=False), tag)
    assert mirror(NAMES[0]).code == 0
    raw = target.manifests["rancher/alpha", tag][1]
    found = [entry["digest"] for entry in json.loads(raw)["manifests"]]
    assert found == sorted(str(each.digest) for each in (first, second, own))


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


def test_store_is_mirrored_without_asking_a_registry(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    made: dict[str, Made],
    tmp_path: Path,
) -> None:
    images.write(
        tmp_path / "cache/store", {f"docker.io/rancher/{n}:v1": i for n, i in made.items()}
    )
    answer = mirror(*NAMES, "--from-store")
    assert answer.code == 0, answer.err
    assert registry.requests == []
    for name, image in made.items():
        assert_there(target, f"rancher/{name}", image)
    assert set(statuses(mirror(*NAMES, "--from-store")).values()) == {"present"}
    absent = mirror("rancher/none:v1", "--from-store")
    assert absent.code == 4
    assert "docker.io/rancher/none:v1: not in" in absent.err


def test_store_that_has_some_platforms_needs_platform(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    layout = images.write(tmp_path / "cache/store", {"docker.io/rancher/alpha:v1": made["alpha"]})
    for child in made["alpha"].children[1:]:
        layout.drop(child.digest)
    answer = mirror(NAMES[0], "--from-store")
    assert answer.code == 4
    assert "--all-platforms', or choose with --platform" in answer.err
    assert mirror(NAMES[0], "--from-store", "--platform", "linux/amd64").code == 0
    entries = json.loads(target.manifests["rancher/alpha", "v1"][1])["manifests"]
    assert [each["digest"] for each in entries] == [str(made["alpha"].children[0].digest)]


def test_damaged_blob_of_the_store_never_appears_at_the_target(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    layout = images.write(tmp_path / "cache/store", {"docker.io/rancher/alpha:v1": made["alpha"]})
    layer = list(made["alpha"].children[0].blobs)[2]
    path = layout.path(layer)
    path.write_bytes(bytes(path.stat().st_size))
    answer = mirror(NAMES[0], "--from-store")
    assert answer.code == 5
    assert "content is sha256:" in answer.err
    assert all(digest != layer for _, digest in target.blobs)
    assert all(":" in name for _, name in target.manifests)


def test_registries_yaml_is_written(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    path = tmp_path / "out/registries.yaml"
    assert mirror(*NAMES, "--write-registries-yaml", path, "--dry-run").code == 0
    assert not path.exists()
    answer = mirror(*NAMES, "--write-registries-yaml", path, to="/pre")
    assert f"written  {path}" in answer.err
    text = path.read_text()
    assert f'- "https://{target.host}"' in text
    assert "'^(.*)$': 'pre/$1'" in text
    assert (
        f"unchanged  {path}"
        in mirror(*reversed(NAMES), "--write-registries-yaml", path, to="/pre").err
    )
    assert path.read_text() == text


def test_registries_yaml_is_not_written_where_images_failed(
    mirror: MirrorCall, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    path = tmp_path / "registries.yaml"
    for options in ((), ("--dry-run",)):
        answer = mirror(*NAMES, "rancher/none:v1", "--write-registries-yaml", path, *options)
        assert answer.code == 4
        assert f"{path} is not written: images failed" in answer.err
        assert not path.exists()


def test_registries_yaml_is_shown_in_a_dry_run(
    registry: Simulator, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert made
    path = tmp_path / "registries.yaml"
    call: list[str | Path] = ["mirror", f"{target.host}/pre", *NAMES, "--cache-dir", tmp_path]
    call += ["--endpoint", f"docker.io=http://{registry.host}"]
    call += ["--endpoint", f"{target.host}=http://{target.host}", "--write-registries-yaml", path]
    shown = run([*call, "--dry-run"], {})
    assert shown.code == 0, shown.err
    assert not path.exists()
    assert run(call, {}).code == 0
    assert shown.out == path.read_text()


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


def test_archives_of_two_platforms_become_one_index(
    mirror: MirrorCall, registry: Simulator, target: Simulator, tmp_path: Path
) -> None:
    name = "docker.io/rancher/pause:v1"
    children = {"amd64": images.manifest(AMD64), "arm64": images.manifest(ARM64, [b"other"])}
    for folder, image in children.items():
        images.write(tmp_path / folder, {name: image})
    folders = [tmp_path / "arm64", tmp_path / "amd64"]
    archives = [part for folder in folders for part in ("--from-archive", folder)]
    planned = mirror(*archives, "--dry-run")
    assert planned.code == 0, planned.err
    assert target.manifests == {}
    assert not (tmp_path / "cache/store").exists()
    answer = mirror(*archives)
    assert answer.code == 0, answer.err
    assert registry.requests == []
    assert f"{name}: an index was made of the parts in the archives" in answer.err
    kind, raw = target.manifests["rancher/pause", "v1"]
    assert kind == media.OCI_INDEX
    entries = json.loads(raw)["manifests"]
    assert [each["platform"]["architecture"] for each in entries] == ["amd64", "arm64"]
    assert [each["digest"] for each in entries] == [str(i.digest) for i in children.values()]
    for image in children.values():
        assert_there(target, "rancher/pause", image, str(image.digest))
    other_order = mirror(*archives[2:], *archives[:2])
    assert statuses(other_order) == {"rancher/pause:v1": "present"}


def test_release_folder_is_mirrored(
    mirror: MirrorCall, target: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, release = "docker.io/rancher/pause:v1", tmp_path / "release"
    release.mkdir()
    (release / "sha256sum.txt").write_text("no archive\n")
    children = {"amd64": images.manifest(AMD64), "arm64": images.manifest(ARM64, [b"other"])}
    for folder, image in children.items():
        images.write(tmp_path / folder, {name: image})
        with tarfile.open(release / f"images.linux-{folder}.tar.gz", "w:gz") as tar:
            for part in ("oci-layout", "index.json", "blobs"):
                tar.add(tmp_path / folder / part, part)
    # An archive that is looked at is larger than what a system keeps for small files.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    planned = mirror("--from-archive", release, "--dry-run")
    assert planned.code == 0, planned.err
    assert statuses(planned) == {"rancher/pause:v1": "planned"}
    assert target.manifests == {}
    assert list((tmp_path / "cache").iterdir()) == []
    answer = mirror("--from-archive", release)
    assert answer.code == 0, answer.err
    for image in children.values():
        assert_there(target, "rancher/pause", image, str(image.digest))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no archive" in mirror("--from-archive", empty).err


def test_archive_of_one_platform_stays_what_it_is(
    mirror: MirrorCall, target: Simulator, tmp_path: Path
) -> None:
    name, image = "docker.io/rancher/pause:v1", images.manifest(AMD64)
    images.write(tmp_path / "amd64", {name: image, "docker.io/rancher/other:v1": image})
    answer = mirror("rancher/pause:v1", "--from-archive", tmp_path / "amd64")
    assert answer.code == 0, answer.err
    assert_there(target, "rancher/pause", image)
    assert "an index was made" not in answer.err
    assert ("rancher/other", "v1") not in target.manifests


def test_two_images_for_one_platform_in_archives_are_refused(
    mirror: MirrorCall, target: Simulator, tmp_path: Path
) -> None:
    name = "docker.io/rancher/pause:v1"
    images.write(tmp_path / "a", {name: images.manifest(AMD64, [b"a"])})
    images.write(tmp_path / "b", {name: images.manifest(AMD64, [b"b"])})
    answer = mirror("--from-archive", tmp_path / "a", "--from-archive", tmp_path / "b")
    assert answer.code == 7
    assert f"{name}: two images for linux/amd64" in answer.err
    assert target.manifests == {}


def test_one_source_at_a_time(mirror: MirrorCall, tmp_path: Path) -> None:
    answer = mirror("--from-store", "--from-archive", tmp_path / "a")
    assert answer.code == 2
    assert "--from-store and --from-archive: two sources" in answer.err
