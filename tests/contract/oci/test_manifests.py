"""Manifests, indexes and tags as a registry gives them."""

from __future__ import annotations

import json
from functools import partial

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, RegistryError, ValidationError
from rke2pack.oci import media, model
from rke2pack.oci.model import Index, Manifest
from rke2pack.oci.registry import client as registries
from rke2pack.oci.registry.client import Registry
from tests.contract.oci import images
from tests.contract.oci.conftest import MakeAccess
from tests.contract.oci.simulator import Simulator

REPOSITORY = "rancher/demo"


@pytest.fixture
def client(make_access: MakeAccess, registry: Simulator) -> Registry:
    return make_access().registry(registry.host)


@pytest.mark.parametrize("is_docker", [False, True])
def test_documents_keep_their_bytes(
    client: Registry, registry: Simulator, *, is_docker: bool
) -> None:
    child = images.manifest(is_docker=is_docker)
    made = images.index(child, is_docker=is_docker)
    registry.push(REPOSITORY, made, "v1")
    head = client.head_manifest(REPOSITORY, "v1")
    assert (head.digest, head.media_type, head.size) == (
        made.digest,
        made.media_type,
        len(made.raw),
    )
    index = client.get_manifest(REPOSITORY, "v1")
    assert isinstance(index, Index)
    assert index.raw == made.raw
    found = client.get_manifest(REPOSITORY, child.digest)
    assert isinstance(found, Manifest)
    assert found.raw == child.raw
    assert {blob.digest for blob in found.blobs} == set(child.blobs)
    assert [r.headers["Accept"] for r in registry.requests] == [media.ACCEPT] * 3


def test_manifest_with_another_digest_is_refused(client: Registry, registry: Simulator) -> None:
    made = images.manifest()
    registry.push(REPOSITORY, made, "v1")
    registry.bodies[made.digest] = made.raw + b"\n"
    registry.has_digest_header = False
    with pytest.raises(IntegrityError, match=f"expected {made.digest}"):
        client.get_manifest(REPOSITORY, made.digest)
    registry.has_digest_header = True
    with pytest.raises(IntegrityError, match="Docker-Content-Digest: content is"):
        client.get_manifest(REPOSITORY, "v1")


def test_digest_header_that_is_none_is_refused(client: Registry, registry: Simulator) -> None:
    registry.push(REPOSITORY, images.manifest(), "v1")
    registry.wrong_digest_header = "sha256:no"
    with pytest.raises(IntegrityError, match="not a sha256 digest"):
        client.head_manifest(REPOSITORY, "v1")


def test_head_without_digest_says_so(client: Registry, registry: Simulator) -> None:
    registry.push(REPOSITORY, images.manifest(), "v1")
    registry.has_digest_header = False
    assert client.head_manifest(REPOSITORY, "v1").digest is None


def test_manifest_beyond_the_ceiling_is_not_read(client: Registry, registry: Simulator) -> None:
    raw = json.dumps({"schemaVersion": 2, "x": "y" * model.MAX_BYTES}).encode()
    registry.manifests[REPOSITORY, "v1"] = (media.OCI_MANIFEST, raw)
    with pytest.raises(RegistryError, match="larger than the limit of 4194304 bytes"):
        client.get_manifest(REPOSITORY, "v1")


def test_schema_1_is_refused_with_the_reason(client: Registry, registry: Simulator) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    raw = b'{"schemaVersion": 1, "fsLayers": []}'
    registry.manifests[REPOSITORY, "v1"] = (kind, raw)
    registry.wrong_digest_header = str(Digest.of(b"the part that is signed"))
    with pytest.raises(ValidationError) as caught:
        client.get_manifest(REPOSITORY, "v1")
    assert caught.value.message == (
        f"{registry.host}/{REPOSITORY}:v1: Docker schema 1, "
        "which names its layers before compression and is retired"
    )
    assert caught.value.hint == "push the image anew with a current docker or skopeo"


def test_missing_tag_is_named(client: Registry, registry: Simulator) -> None:
    with pytest.raises(NotFoundError, match=f"{registry.host}/{REPOSITORY}:v2: 404 Not Found"):
        client.head_manifest(REPOSITORY, "v2")


@pytest.mark.parametrize("page", [1, 2, 5, 1000])
def test_tags_of_all_pages(client: Registry, registry: Simulator, page: int) -> None:
    registry.page = page
    names = [f"v{number}" for number in range(5)]
    registry.push(REPOSITORY, images.manifest(), *names)
    assert client.tags(REPOSITORY) == tuple(names)


def test_pages_that_lead_back_end(client: Registry, registry: Simulator) -> None:
    registry.push(REPOSITORY, images.manifest(), "v1", "v2")
    registry.next_page = f"/v2/{REPOSITORY}/tags/list?n=1000"
    assert client.tags(REPOSITORY) == ("v1", "v2")
    assert len(registry.requests) == 1


def test_page_on_another_host_is_refused(client: Registry, registry: Simulator) -> None:
    registry.push(REPOSITORY, images.manifest(), "v1")
    registry.next_page = "http://127.0.0.2/v2/x/tags/list"
    with pytest.raises(RegistryError, match="the next page is on another host, refused"):
        client.tags(REPOSITORY)


@pytest.mark.parametrize("kind", ["tags", "referrers"])
def test_empty_pages_have_an_end(
    client: Registry, registry: Simulator, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(registries, "MAX_PAGES", 20)
    registry.has_endless_pages = registry.has_referrers = True
    subject = Digest.of(b"it")
    ask = partial(client.tags if kind == "tags" else partial(client.referrers, subject=subject))
    with pytest.raises(RegistryError, match="more than 20 pages"):
        ask(REPOSITORY)
    assert len(registry.asked("GET", kind)) == 20
