"""mirror while things go wrong: everything arrives, or nothing wrong does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from tests.contract.oci import images
from tests.contract.oci.images import Made
from tests.contract.oci.mirror.mirroring import MirrorCall
from tests.contract.oci.runner import Answer, run
from tests.contract.oci.simulator import Simulator

REPOSITORY = "rancher/alpha"
NAME = f"docker.io/{REPOSITORY}:v1"
SIZE = 400_000


@pytest.fixture
def made(registry: Simulator) -> Made:
    image = images.multi(1, SIZE)
    registry.push(REPOSITORY, image, "v1")
    return image


@pytest.fixture
def mirror(registry: Simulator, target: Simulator, tmp_path: Path) -> MirrorCall:
    def call(*arguments: str, environment: dict[str, str] | None = None) -> Answer:
        own: list[str | Path] = ["--endpoint", f"docker.io=http://{registry.host}", "--json"]
        own += ["--cache-dir", tmp_path / "cache", "--tree", tmp_path]
        own += ["--endpoint", f"{target.host}=http://{target.host}"]
        return run(["mirror", target.host, *(arguments or (NAME,)), *own], environment or {})

    return call


def largest(image: Made) -> Digest:
    blobs = image.all_blobs
    return max(blobs, key=lambda digest: len(blobs[digest]))


def assert_same(target: Simulator, image: Made) -> None:
    assert target.manifests[REPOSITORY, "v1"] == (image.media_type, image.raw)
    for each in image.documents:
        assert target.manifests[REPOSITORY, str(each.digest)][1] == each.raw
    assert {d: data for (_, d), data in target.blobs.items()} == image.all_blobs


def assert_nothing_tagged(target: Simulator) -> None:
    assert [name for _, name in target.manifests if ":" not in name] == []


def password(host: str, user: str, secret: str) -> dict[str, str]:
    stem = "RKE2PACK_REGISTRY_" + host.upper().replace(".", "_").replace(":", "_")
    return {f"{stem}_USERNAME": user, f"{stem}_PASSWORD": secret}


@pytest.mark.parametrize("mode", ["honour", "ignore", "wrong", "refuse"])
def test_source_that_breaks_off_is_read_on(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made, mode: str
) -> None:
    registry.range_mode = mode  # type: ignore[assignment]
    registry.resets[largest(made)] = [100_000, 0, 300_000]
    answer = mirror()
    assert answer.code == 0, answer.err
    assert_same(target, made)
    # The upload stood open meanwhile.
    assert len(target.asked("PUT", largest(made).hex)) == 1


def test_target_that_breaks_off_is_written_on(
    mirror: MirrorCall, target: Simulator, made: Made
) -> None:
    target.upload_resets = [0, 100_000, 200_000, 1]
    answer = mirror(NAME, "--jobs", "1")
    assert answer.code == 0, answer.err
    assert_same(target, made)
    assert target.asked("PATCH")


def test_both_sides_break_off(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    registry.resets[largest(made)] = [50_000, 150_000, 10]
    target.upload_resets = [30_000, 60_000, 90_000, 120_000]
    assert mirror().code == 0
    assert_same(target, made)


def test_upload_session_that_is_lost_begins_anew(
    mirror: MirrorCall, target: Simulator, made: Made
) -> None:
    target.lost_uploads = 4
    answer = mirror()
    assert answer.code == 0, answer.err
    assert_same(target, made)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_wrong_bytes_never_appear_at_the_target(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made, framing: str
) -> None:
    registry.framing = framing  # type: ignore[assignment]
    bad = largest(made)
    registry.bodies[bad] = images.noise(len(made.all_blobs[bad]), 99)
    answer = mirror()
    assert answer.code == 5
    assert "content is sha256:" in answer.err
    assert all(digest != bad for _, digest in target.blobs)
    assert_nothing_tagged(target)
    registry.bodies.clear()
    assert mirror().code == 0
    assert_same(target, made)


@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_length_never_appears_at_the_target(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made, change: int
) -> None:
    registry.framing = "chunked"
    bad = largest(made)
    data = made.all_blobs[bad]
    registry.bodies[bad] = data[:-1] if change < 0 else data + b"x"
    assert mirror().code == 5
    assert all(digest != bad for _, digest in target.blobs)
    assert_nothing_tagged(target)


def test_wrong_manifest_is_refused(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    child = made.children[1]
    registry.bodies[child.digest] = child.raw.replace(b"amd64", b"arm64") + b" "
    assert mirror().code == 5
    assert_nothing_tagged(target)


def test_mount_that_is_refused_becomes_an_upload(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    registry.push("rancher/twin", made, "v1")
    target.has_mount = False
    answer = mirror(NAME, "docker.io/rancher/twin:v1")
    assert answer.code == 0, answer.err
    for repository in (REPOSITORY, "rancher/twin"):
        assert target.manifests[repository, "v1"][1] == made.raw
        assert all(target.blobs[repository, d] == data for d, data in made.all_blobs.items())
    # The upload that the registry opened instead of the mount is not left behind.
    assert target.uploads == {}


def test_storm_of_429_is_waited_out(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    made: Made,
    waits: list[float],
) -> None:
    for each in (registry, target):
        each.statuses = [(429, {"Retry-After": "7"})] * 4 + [(503, {"Retry-After": "3"})]
    answer = mirror()
    assert answer.code == 0, answer.err
    assert_same(target, made)
    assert any(2 < wait <= 7 for wait in waits)


def test_tokens_that_run_out_are_renewed_on_both_sides(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    for each in (registry, target):
        each.auth, each.token_uses, each.is_public = "bearer", 20, False
    own = password("docker.io", "user", "pass") | password(target.host, "user", "pass")
    own |= password(registry.host, "user", "pass")
    answer = mirror(environment=own)
    assert answer.code == 0, answer.err
    assert_same(target, made)
    assert [r for r in target.requests if r.status == 401]


def test_401_in_the_middle_of_an_upload_sends_it_again(
    mirror: MirrorCall, target: Simulator, made: Made
) -> None:
    target.auth, target.token_uses = "bearer", 1
    answer = mirror(NAME, "--jobs", "1")
    assert answer.code == 0, answer.err
    assert_same(target, made)
    assert [r for r in target.asked("PUT", "/uploads/") if r.status == 401]


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_credentials_stay_with_their_registry(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made, scheme: str
) -> None:
    registry.credentials, target.credentials = "reader:source-secret", "writer:target-secret"
    for each in (registry, target):
        each.auth, each.is_public = scheme, False  # type: ignore[assignment]
    own = password(registry.host, "reader", "source-secret")
    answer = mirror(environment=own | password(target.host, "writer", "target-secret"))
    assert answer.code == 0, answer.err
    assert_same(target, made)
    given = {
        each.host: {r.headers.get("Authorization", "") for r in each.requests}
        for each in (registry, target)
    }
    assert not given[registry.host] & given[target.host] - {""} or scheme == "bearer"
    for words in ("source-secret", "target-secret"):
        assert words not in answer.out + answer.err
    if scheme == "basic":
        assert len(given[registry.host] - {""}) == len(given[target.host] - {""}) == 1
    only_source = mirror(environment=own)
    assert only_source.code == 4
    asked = {r.headers.get("Authorization", "") for r in target.requests}
    assert asked == given[target.host]


def test_redirect_to_storage_gets_no_credentials(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    storage: Simulator,
    made: Made,
) -> None:
    registry.redirect = f"http://{storage.host}"
    storage.blobs = {(REPOSITORY, d): data for d, data in made.all_blobs.items()}
    registry.auth, registry.is_public = "basic", False
    answer = mirror(environment=password(registry.host, "user", "pass"))
    assert answer.code == 0, answer.err
    assert_same(target, made)
    assert storage.requests
    assert all("Authorization" not in r.headers for r in storage.requests)


@pytest.mark.parametrize(
    ("method", "refusal", "hint"),
    [
        ("POST", (403, "DENIED"), "log in with the right to push there"),
        ("POST", (404, "NAME_UNKNOWN"), "make the project first"),
        ("POST", (405, "UNSUPPORTED"), "turn off its read-only or proxy mode"),
        ("PUT", (413, "SIZE_INVALID"), "raise the body limit"),
        ("PUT", (507, "QUOTA"), "raise the quota of that project"),
    ],
)
def test_target_that_takes_nothing_is_told_with_the_next_step(  # noqa: PLR0917 - pytest passes by name
    mirror: MirrorCall,
    target: Simulator,
    made: Made,
    method: str,
    refusal: tuple[int, str],
    hint: str,
) -> None:
    assert made
    status, code = target.refusals[method] = refusal
    answer = mirror()
    assert answer.code == 4
    assert f": {status} " in answer.err
    assert code in answer.err
    assert f"hint: {hint}" in answer.err
    assert_nothing_tagged(target)


def test_target_that_fails_for_ever_is_an_error_and_the_rest_goes_on(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    registry.push("rancher/small", images.manifest(), "v1")
    registry.resets[largest(made)] = [0] * 100
    answer = mirror(NAME, "docker.io/rancher/small:v1")
    assert answer.code == 4
    statuses = {each["reference"]: each["status"] for each in answer.json["images"]}
    assert statuses == {NAME: "failed", "docker.io/rancher/small:v1": "copied"}
    registry.resets.clear()
    target.requests.clear()
    assert mirror(NAME).code == 0
    assert target.manifests[REPOSITORY, "v1"][1] == made.raw
    # What came before is not sent again.
    assert len(target.asked("POST", "/uploads/")) < len(made.all_blobs)


def test_registry_that_tells_no_digest_is_read(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    registry.has_digest_header = target.has_digest_header = False
    assert mirror().code == 0
    assert_same(target, made)
    answer = mirror()
    assert [each["status"] for each in answer.json["images"]] == ["present"]


def test_tag_that_another_program_takes_is_found_out(
    mirror: MirrorCall, target: Simulator, made: Made
) -> None:
    assert made
    target.wrong_digest_header = f"sha256:{'b' * 64}"
    answer = mirror()
    assert answer.code == 5
    assert f"{target.host}/{REPOSITORY}:v1: is sha256:{'b' * 64} and not" in answer.err


def test_hostile_list_of_referrers_is_bounded(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: Made
) -> None:
    tag = f"sha256-{made.digest.hex}"
    entries = [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
         "digest": f"sha256:{number:064x}"}
        for number in range(1001)
    ]  # fmt: skip
    raw = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    for name in (tag, str(Digest.of(raw))):
        registry.manifests[REPOSITORY, name] = ("application/vnd.oci.image.index.v1+json", raw)
    answer = mirror()
    assert answer.code == 5
    assert "more than 1000 manifests" in answer.err
    assert target.manifests[REPOSITORY, "v1"][1] == made.raw
