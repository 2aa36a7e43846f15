"""mirror between real registries: read by skopeo and docker, killed at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from rke2pack.oci.store.layout import Layout
from tests.compatibility import reads
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.runner import Answer, run
from tests.integration.archives.conftest import (
    Consumer,
    containerd_socket,
    docker,
    program,
    short_folder,
)
from tests.integration.oci.conftest import (
    PASSWORD,
    USER,
    Missing,
    RealRegistry,
    running,
    start,
)
from tests.integration.oci.test_endurance import CEILING, MEASURED, finish
from tests.integration.oci.test_registries import push, send

__all__ = ["containerd_socket", "docker", "program", "short_folder"]
Skopeo = Callable[..., bytes]
KILLS = 30
LARGE = 400 * 1024 * 1024
NAMES = ("alpha", "beta", "gamma")


@pytest.fixture(scope="module")
def made() -> dict[str, Made]:
    return {
        "alpha": images.multi(1, 3_000_000),
        "beta": images.multi(2, 3_000_000),
        "gamma": images.manifest(AMD64, [b"base", b"gamma"], is_docker=True),
    }


@pytest.fixture(scope="module")
def layout(made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("layout")
    images.write(root, made)
    return root


@pytest.fixture(scope="module")
def source(
    skopeo: Skopeo,
    layout: Path,
    plain: RealRegistry,
    made: dict[str, Made],
) -> RealRegistry:
    """Images that skopeo wrote, one that we did, and a signature."""
    push(skopeo, layout, plain, ["alpha", "beta"])
    uploader = Uploader(Access(keychain=Keychain({})).registry(plain.host))
    send(uploader, Layout.open(layout), made["gamma"], "rancher/gamma")
    signature = images.manifest(AMD64, [b"signature"])
    written = images.write(layout.parent / "signature", {"sig": signature})
    send(uploader, written, signature, "rancher/alpha")
    tag = f"sha256-{made['alpha'].digest.hex}.sig"
    document = model.parse(signature.raw, media_type=signature.media_type, what="it")
    uploader.push_manifest("rancher/alpha", document, tag)
    root = model.parse(made["alpha"].raw, media_type=made["alpha"].media_type, what="it")
    uploader.push_manifest("rancher/alpha", root, "v1")
    return plain


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Iterator[RealRegistry]:
    root = tmp_path_factory.mktemp("target")
    environment = {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}
    with running(root, missing, environment) as host:
        yield RealRegistry(host=host, root=root)


def arguments(source: RealRegistry, place: str, cache: Path) -> list[str | Path]:
    names = [f"docker.io/rancher/{name}:v1" for name in NAMES]
    endpoint = f"docker.io=http://{source.host}"
    return ["mirror", place, *names, "--endpoint", endpoint, "--tree", cache, "--cache-dir", cache]


def mirror(
    source: RealRegistry, place: str, cache: Path, *more: str | Path, **environment: str
) -> Answer:
    return run([*arguments(source, place, cache), "--json", *more], environment)


@reads("skopeo docker://", "docker-registry that mirror filled")
def test_mirrored_images_are_read_by_skopeo(
    source: RealRegistry,
    target: RealRegistry,
    skopeo: Skopeo,
    made: dict[str, Made],
    tmp_path: Path,
) -> None:
    answer = mirror(source, f"{target.host}/read", tmp_path)
    assert answer.code == 0, answer.err
    for name, image in made.items():
        place = f"docker://{target.host}/read/rancher/{name}:v1"
        raw = skopeo("inspect", "--raw", "--tls-verify=false", place)
        assert Digest.of(raw) == image.digest
        copy = f"dir:{tmp_path}/{name}"
        # skopeo hashes every blob that it copies.
        skopeo("copy", "--all", "--src-tls-verify=false", place, copy)
    tag = f"sha256-{made['alpha'].digest.hex}.sig"
    place = f"docker://{target.host}/read/rancher/alpha:{tag}"
    assert skopeo("inspect", "--raw", "--tls-verify=false", place)
    again = mirror(source, f"{target.host}/read", tmp_path)
    assert {each["status"] for each in again.json["images"]} == {"present"}
    assert again.json["totals"]["sent_bytes"] == 0


@reads("docker pull", "docker-registry that mirror filled")
def test_mirrored_image_is_pulled_by_docker(
    source: RealRegistry, target: RealRegistry, docker: Consumer, tmp_path: Path
) -> None:
    layer = images.manifest(AMD64, [b"for docker"])
    layout = images.write(tmp_path / "layout", {"docker": layer})
    uploader = Uploader(Access(keychain=Keychain({})).registry(source.host))
    send(uploader, layout, layer, "rancher/docker")
    name = f"{target.host}/pulled/rancher/docker"
    call: list[str | Path] = [
        "mirror",
        f"{target.host}/pulled",
        "rancher/docker:v1",
        "--tree",
        tmp_path,
    ]
    call += ["--cache-dir", tmp_path, "--endpoint", f"docker.io=http://{source.host}"]
    answer = run(call, {})
    assert answer.code == 0, answer.err
    assert f"Digest: {layer.digest}" in docker.run("pull", f"{name}:v1")


def test_private_target_with_password_and_certificates(
    source: RealRegistry,
    private: RealRegistry,
    skopeo: Skopeo,
    made: dict[str, Made],
    tmp_path: Path,
) -> None:
    assert private.certs is not None
    stem = "RKE2PACK_REGISTRY_" + private.host.replace(".", "_").replace(":", "_")
    own = {f"{stem}_USERNAME": USER, f"{stem}_PASSWORD": PASSWORD}
    place = f"{private.host}/safe"
    answer = mirror(source, place, tmp_path, "--cert-dir", private.certs, **own)
    assert answer.code == 0, answer.err
    options: list[str | Path] = ["--cert-dir", private.certs / private.host]
    options += ["--creds", f"{USER}:{PASSWORD}"]
    for name, image in made.items():
        found = skopeo("inspect", "--raw", *options, f"docker://{place}/rancher/{name}:v1")
        assert Digest.of(found) == image.digest
    refused = mirror(source, place, tmp_path, "--cert-dir", private.certs)
    assert refused.code == 4
    assert PASSWORD not in answer.err + refused.err


def test_target_that_is_read_only_is_told(
    source: RealRegistry, tmp_path: Path, missing: Missing
) -> None:
    environment = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled": true}'}
    with running(tmp_path / "readonly", missing, environment) as host:
        answer = mirror(source, host, tmp_path / "cache")
    assert answer.code == 4
    assert "405 Method Not Allowed" in answer.err
    assert "hint: turn off its read-only or proxy mode, or name another target" in answer.err


def test_prune_removes_a_tag_of_docker_registry(
    source: RealRegistry,
    target: RealRegistry,
    made: dict[str, Made],
    layout: Path,
    tmp_path: Path,
) -> None:
    place = f"{target.host}/pruned"
    assert mirror(source, place, tmp_path).code == 0
    registry = Access(keychain=Keychain({})).registry(target.host)
    uploader = Uploader(registry)
    send(uploader, Layout.open(layout), made["beta"], "pruned/rancher/alpha")
    document = model.parse(made["beta"].raw, media_type=made["beta"].media_type, what="it")
    uploader.push_manifest("pruned/rancher/alpha", document, "old")
    assert mirror(source, place, tmp_path).code == 0
    (tmp_path / "old").write_text(f"{place}/rancher/alpha:old\n")
    answer = mirror(source, place, tmp_path, "--prune", tmp_path / "old")
    assert answer.code == 0, answer.err
    assert [each["status"] for each in answer.json["pruned"]] == ["deleted"]
    assert "old" not in registry.tags("pruned/rancher/alpha")
    head = registry.head_manifest("pruned/rancher/alpha", "v1")
    assert head.digest == made["alpha"].digest


def repositories(target: RealRegistry, prefix: str) -> dict[str, bytes]:
    """What the registry has below a prefix, without uploads that were never completed."""
    root = target.root / "data/docker/registry/v2/repositories" / prefix
    found = {}
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name != "_uploads"]
        for name in names:
            path = Path(folder, name)
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


@pytest.mark.slow
def test_kill_at_any_moment_and_the_next_run_ends_in_the_same_state(
    source: RealRegistry, target: RealRegistry, tmp_path: Path
) -> None:
    finish(arguments(source, f"{target.host}/clean", tmp_path))
    expected = repositories(target, "clean")
    assert expected
    chance = random.Random(5)  # noqa: S311 - the same moments each time
    killed = half_done = 0
    span = 0.4
    blobs = target.root / "data/docker/registry/v2/blobs"
    for number in range(KILLS):
        prefix = f"k{number}"
        # The registry keeps blobs for all repositories; every run is to send its own.
        shutil.rmtree(blobs, ignore_errors=True)
        call = arguments(source, f"{target.host}/{prefix}", tmp_path)
        process = start(call, {})
        folder = target.root / "data/docker/registry/v2/repositories" / prefix
        while process.poll() is None and not folder.is_dir():
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, span))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        was_killed = process.returncode == -signal.SIGKILL
        killed += was_killed
        span *= 1.02 if was_killed else 0.85  # as quick as this machine is just now
        half_done += 0 < len(repositories(target, prefix)) < len(expected)
        finish(call)
        assert repositories(target, prefix) == expected
    assert killed > KILLS // 2
    assert half_done > 3


@pytest.mark.slow
def test_memory_does_not_follow_the_size_of_a_layer(
    source: RealRegistry, target: RealRegistry, tmp_path: Path
) -> None:
    layout = Layout.open(tmp_path / "made")
    block = images.noise(1024 * 1024, 5)
    staged = layout.stage(block for _ in range(LARGE // len(block)))
    layout.adopt(staged)
    layer = Descriptor(media_type=media.OCI_LAYER, digest=staged.digest, size=staged.size)
    image = images.manifest(layers=[], extra={"layers": [layer.to_json()]})
    for data in image.blobs.values():
        layout.put(data)
    uploader = Uploader(Access(keychain=Keychain({})).registry(source.host))
    uploader.push_blob("rancher/large", layer, layout.path(layer.digest))
    send(uploader, layout, image, "rancher/large")
    call: list[str | Path] = [
        "mirror",
        f"{target.host}/large",
        "rancher/large:v1",
        "--tree",
        tmp_path,
    ]
    call += ["--cache-dir", tmp_path, "--endpoint", f"docker.io=http://{source.host}"]
    process = start(call, {}, ("-c", MEASURED))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    assert int(out) * 1024 < CEILING
    # Nothing of it was on this side's disk.
    assert not (tmp_path / "store").exists()
    copy = Access(keychain=Keychain({})).registry(target.host)
    assert copy.has_blob("large/rancher/large", layer.digest)
