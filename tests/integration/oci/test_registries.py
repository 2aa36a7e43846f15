"""pull and upload against docker-registry, with skopeo on the other side."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.oci import model
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry import certs
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.store.layout import Layout
from tests.compatibility import reads, refuses
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.runner import Answer, listing, run
from tests.integration.oci.conftest import PASSWORD, USER, RealRegistry

Skopeo = Callable[..., bytes]


@pytest.fixture(scope="module")
def made() -> dict[str, Made]:
    return {
        "alpha": images.multi(1, 200_000),
        "beta": images.multi(2, 300_000),
        "gamma": images.manifest(AMD64, [b"base", b"gamma"], is_docker=True),
    }


@pytest.fixture(scope="module")
def source(made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    images.write(root, made)
    return root


def push(skopeo: Skopeo, source: Path, registry: RealRegistry, names: list[str]) -> None:
    options: list[str | Path] = ["--dest-tls-verify=false"]
    if registry.certs is not None:
        options = ["--dest-cert-dir", registry.certs / registry.host]
    if registry.has_users:
        options += ["--dest-creds", f"{USER}:{PASSWORD}"]
    for name in names:
        place = f"docker://{registry.host}/rancher/{name}:v1"
        skopeo("copy", "--all", "--preserve-digests", *options, f"oci:{source}:{name}", place)


@pytest.fixture(scope="module")
def pushed(
    skopeo: Skopeo, source: Path, plain: RealRegistry, made: dict[str, Made]
) -> RealRegistry:
    push(skopeo, source, plain, ["alpha", "beta"])
    access = Access(keychain=Keychain({}))
    uploader = Uploader(access.registry(plain.host))
    send(uploader, Layout.open(source), made["gamma"], "rancher/gamma")
    return plain


def send(uploader: Uploader, layout: Layout, image: Made, repository: str) -> None:
    for each in image.documents:
        document = model.parse(each.raw, media_type=each.media_type, what="it")
        for digest, data in each.blobs.items():
            blob = Descriptor(media_type="a/b", digest=digest, size=len(data))
            uploader.push_blob(repository, blob, layout.path(digest))
        uploader.push_manifest(repository, document, each.digest)
    uploader.push_manifest(repository, document, "v1")


def pull(registry: RealRegistry, cache: Path, *more: str | Path, **environment: str) -> Answer:
    names = [f"{registry.host}/rancher/{name}:v1" for name in ("alpha", "beta", "gamma")]
    return run(
        ["pull", *names, "--tree", cache, "--cache-dir", cache, "--json", *more], environment
    )


def test_pulled_images_are_read_by_skopeo(
    pushed: RealRegistry, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    answer = pull(pushed, tmp_path)
    assert answer.code == 0, answer.err
    assert {each["digest"] for each in answer.json["images"]} == {
        str(image.digest) for image in made.values()
    }
    for name in ("alpha", "beta"):
        place = f"oci:{tmp_path}/store:{pushed.host}/rancher/{name}:v1"
        assert skopeo("inspect", "--raw", place) == made[name].raw
        for child in made[name].children[:2]:
            assert child.platform is not None
            override = ["--override-os", "linux", "--override-arch", child.platform.architecture]
            shown = json.loads(skopeo(*override, "inspect", place))
            layers = [layer["digest"] for layer in json.loads(child.raw)["layers"]]
            assert (shown["Architecture"], shown["Layers"]) == (
                child.platform.architecture,
                layers,
            )
    again = pull(pushed, tmp_path)
    assert {each["status"] for each in again.json["images"]} == {"present"}
    assert again.json["totals"]["received_bytes"] == 0
    # One more request finds out that loopback speaks plain HTTP.
    assert again.json["totals"]["requests"] == 4


@refuses("skopeo oci:", "image store", "Docker manifests")
def test_skopeo_passes_over_docker_manifests_of_a_layout(
    pushed: RealRegistry, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    # Their bytes and digests stay as the registry has them; docs/images.md tells of it.
    assert pull(pushed, tmp_path).code == 0
    place = f"oci:{tmp_path}/store:{pushed.host}/rancher/gamma:v1"
    with pytest.raises(AssertionError, match="no descriptor found for reference"):
        skopeo("inspect", "--raw", place)
    found = Layout.open(tmp_path / "store").find(f"{pushed.host}/rancher/gamma:v1")
    assert found is not None
    assert found.digest == made["gamma"].digest


@reads("skopeo oci:", "image store")
def test_skopeo_copies_out_of_the_store(
    pushed: RealRegistry, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    assert pull(pushed, tmp_path).code == 0
    place = f"oci:{tmp_path}/store:{pushed.host}/rancher/alpha:v1"
    copy = f"docker://{pushed.host}/copied/alpha:v1"
    skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", place, copy)
    found = skopeo("inspect", "--raw", "--tls-verify=false", copy)
    assert found == made["alpha"].raw


def test_uploaded_images_are_read_by_skopeo(
    plain: RealRegistry, skopeo: Skopeo, source: Path, made: dict[str, Made]
) -> None:
    access = Access(keychain=Keychain({}))
    uploader = Uploader(access.registry(plain.host))
    send(uploader, Layout.open(source), made["beta"], "sent/beta")
    place = f"docker://{plain.host}/sent/beta:v1"
    assert skopeo("inspect", "--raw", "--tls-verify=false", place) == made["beta"].raw
    layer = next(iter(made["beta"].children[0].blobs.items()))
    blob = Descriptor(media_type="a/b", digest=layer[0], size=len(layer[1]))
    path = Layout.open(source).path(layer[0])
    assert uploader.push_blob("mounted/beta", blob, path, mount_from="sent/beta") == "mounted"
    assert uploader.push_blob("mounted/beta", blob, path) == "present"


def test_tags_are_listed(pushed: RealRegistry) -> None:
    client = Access(keychain=Keychain({})).registry(pushed.host)
    assert client.tags("rancher/alpha") == ("v1",)


@pytest.fixture(scope="module")
def locked(
    skopeo: Skopeo, source: Path, private: RealRegistry, made: dict[str, Made]
) -> RealRegistry:
    push(skopeo, source, private, ["alpha", "beta"])
    assert private.certs is not None
    stem = "RKE2PACK_REGISTRY_" + private.host.replace(".", "_").replace(":", "_")
    environment = {f"{stem}_USERNAME": USER, f"{stem}_PASSWORD": PASSWORD}
    folders = certs.folders({}, own=private.certs)
    access = Access(keychain=Keychain(environment), cert_folders=folders)
    send(
        Uploader(access.registry(private.host)), Layout.open(source), made["gamma"], "rancher/gamma"
    )
    return private


def docker_config(folder: Path, registry: RealRegistry, password: str = PASSWORD) -> Path:
    pair = base64.b64encode(f"{USER}:{password}".encode()).decode()
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))
    return folder


def test_private_ca_client_certificate_and_password(
    locked: RealRegistry, pushed: RealRegistry, made: dict[str, Made], tmp_path: Path
) -> None:
    assert locked.certs is not None
    config = docker_config(tmp_path / "docker", locked)
    answer = pull(locked, tmp_path / "a", "--cert-dir", locked.certs, DOCKER_CONFIG=str(config))
    assert answer.code == 0, answer.err
    digests = {each["digest"] for each in answer.json["images"]}
    assert digests == {str(image.digest) for image in made.values()}
    assert pull(pushed, tmp_path / "b").code == 0
    blobs = {n for n in listing(tmp_path / "a/store") if n.startswith("blobs/")}
    assert blobs == {n for n in listing(tmp_path / "b/store") if n.startswith("blobs/")}


def test_wrong_password_is_named_and_not_shown(locked: RealRegistry, tmp_path: Path) -> None:
    assert locked.certs is not None
    config = docker_config(tmp_path / "docker", locked, "wr0ng-password")
    answer = pull(locked, tmp_path, "--cert-dir", locked.certs, DOCKER_CONFIG=str(config))
    assert answer.code == 4
    assert "401 Unauthorized" in answer.err
    assert "wr0ng-password" not in answer.err + answer.out


def test_unknown_authority_is_an_error_and_no_reason_for_plain_http(
    locked: RealRegistry, tmp_path: Path
) -> None:
    answer = pull(locked, tmp_path, "--insecure-registry", locked.host)
    assert answer.code == 4
    assert "TLS failed: " in answer.err
    assert "hint: name a private CA with --ca-file" in answer.err


def test_missing_client_certificate_is_an_error(locked: RealRegistry, tmp_path: Path) -> None:
    assert locked.certs is not None
    ca_file = locked.certs / locked.host / "ca.crt"
    answer = pull(locked, tmp_path, "--ca-file", ca_file)
    assert answer.code == 4
    assert "failed" in answer.err
