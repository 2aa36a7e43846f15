from __future__ import annotations

import json
from typing import Any

import pytest

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ValidationError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Index, Manifest
from rke2pack.oci.platform import Platform

HEX = "a" * 64
BLOB = {"mediaType": "a/b", "digest": f"sha256:{HEX}", "size": 3}


def manifest(**changes: Any) -> bytes:  # noqa: ANN401 - JSON
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": BLOB,
        "layers": [BLOB, BLOB],
        **changes,
    }
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


def index(*children: dict[str, Any], **changes: Any) -> bytes:  # noqa: ANN401 - JSON
    document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": children, **changes}
    return json.dumps(document).encode()


def parse(raw: bytes, kind: str = "") -> model.Document:
    return model.parse(raw, media_type=kind, what="it")


@pytest.mark.parametrize("kind", sorted(media.MANIFESTS))
def test_manifest_keeps_its_bytes(kind: str) -> None:
    raw = manifest(mediaType=kind).replace(b", ", b" ,\n")
    found = parse(raw, kind)
    assert isinstance(found, Manifest)
    assert found.raw is raw
    assert found.descriptor == Descriptor(media_type=kind, digest=Digest.of(raw), size=len(raw))
    assert len(found.layers) == 2
    assert found.blobs == (found.config,)


@pytest.mark.parametrize("kind", sorted(media.INDEXES))
def test_index_tells_platforms_and_attestations(kind: str) -> None:
    real = {**BLOB, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}
    unknown = {**BLOB, "platform": {"os": "unknown", "architecture": "unknown"}}
    noted = {**BLOB, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    found = parse(index(real, unknown, noted, BLOB, mediaType=kind), kind)
    assert isinstance(found, Index)
    assert found.manifests[0].platform == Platform.parse("linux/arm64")
    assert [each.is_attestation for each in found.manifests] == [False, True, True, False]


def test_oci_documents_without_media_type_are_told_by_their_keys() -> None:
    assert isinstance(parse(manifest(mediaType=None)), Manifest)
    assert isinstance(parse(json.dumps({"schemaVersion": 2, "manifests": []}).encode()), Index)
    assert isinstance(parse(manifest(), "application/json"), Manifest)


def test_windows_version_foreign_urls_and_subject_are_read() -> None:
    foreign = {**BLOB, "urls": ["https://example.com/layer"]}
    platform = {"os": "windows", "architecture": "amd64", "os.version": "10.0.1.2"}
    found = parse(manifest(layers=[foreign], subject=BLOB, artifactType="a/c"))
    assert isinstance(found, Manifest)
    assert found.layers[0].urls == ("https://example.com/layer",)
    assert found.subject is not None
    assert found.artifact_type == "a/c"
    listed = parse(index({**BLOB, "platform": platform}))
    assert isinstance(listed, Index)
    assert str(listed.manifests[0].platform) == "windows(10.0.1.2)/amd64"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"schemaVersion": 1, "fsLayers": []}', ""),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+json"),
        (manifest(), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ],
)
def test_schema_1_is_refused_with_a_reason(raw: bytes, kind: str) -> None:
    with pytest.raises(ValidationError, match="it: Docker schema 1, which names its layers"):
        parse(raw, kind)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "it: not JSON"),
        (b"[]", "it: not a JSON object"),
        (b"\xff{}", "it: not JSON"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b'{"schemaVersion": 2, "schemaVersion": 2}', "key 'schemaVersion' stands twice"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper than 32"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 32"),
        (b" " * (model.MAX_BYTES + 1), "larger than the limit of 4194304 bytes"),
        (manifest(schemaVersion=2.0), "schemaVersion is not 2"),
        (manifest(schemaVersion=3), "schemaVersion is not 2"),
        (manifest(manifests=[]), "a manifest and an index at once"),
        (manifest(layers=None), "neither a manifest|layers: missing"),
        (manifest(layers={}), "layers: not a list"),
        (manifest(config=None), "config: missing"),
        (manifest(config={**BLOB, "size": -1}), "config: size: -1 is no size or count"),
        (manifest(config={**BLOB, "size": True}), "config: size: not a number"),
        (manifest(config={**BLOB, "size": 2**63}), f"{2**63} is no size or count"),
        (manifest(config={**BLOB, "size": "3"}), "config: size: not a number"),
        (manifest(config={**BLOB, "digest": "sha512:00"}), "config: digest: not a sha256 digest"),
        (manifest(config={**BLOB, "mediaType": "nonsense"}), "mediaType 'nonsense' is none"),
        (manifest(layers=[BLOB, 7]), "layer 2: not a JSON object"),
        (manifest(annotations={"a": 1}), "annotations: not a text"),
        (index({**BLOB, "platform": []}), "manifest 1: platform: not a JSON object"),
        (index({**BLOB, "platform": {"os": 1}}), "platform: os: not a text"),
        (index(*[BLOB] * 1001), "lists more than 1000 manifests"),
    ],
)
def test_what_is_not_a_document_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises((IntegrityError, ValidationError), match=message):
        parse(raw)


def test_media_types_that_contradict_are_refused() -> None:
    with pytest.raises(IntegrityError, match=r"came as .*index.* and says that it is"):
        parse(manifest(), media.OCI_INDEX)


def test_other_documents_are_named() -> None:
    with pytest.raises(ValidationError, match="'text/html' is neither a manifest nor an index"):
        parse(b'{"schemaVersion": 2}', "text/html")


def test_unique_keeps_the_order() -> None:
    one, two = (
        Descriptor(media_type="a/b", digest=Digest.of(data), size=1) for data in (b"1", b"2")
    )
    assert model.unique([two, one, two, one]) == (two, one)


def test_depth_up_to_the_ceiling_is_read() -> None:
    raw = b'{"a":' * strictjson.MAX_DEPTH + b"1" + b"}" * strictjson.MAX_DEPTH
    assert strictjson.load_object(raw, what="it", max_bytes=1000)
