from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import media, model
from rke2pack.oci.platform import Platform
from rke2pack.oci.resolve import Image, resolve
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.open(tmp_path)


def found(layout: Layout, made: Made, *wants: Platform) -> Image:
    images.write(layout.root, {"it": made})
    root = layout.document(made.descriptor)
    return resolve(Store(layout=layout), root, wants, what="it")


def changed(made: Made, **changes: Any) -> Made:  # noqa: ANN401 - JSON
    """The index with other words about its first manifest."""
    document = json.loads(made.raw)
    document["manifests"][0] |= changes
    raw = json.dumps(document).encode()
    return Made(media_type=made.media_type, raw=raw, children=made.children)


def test_children_come_before_the_index_that_lists_them(layout: Layout) -> None:
    made = images.index(images.index(images.manifest(AMD64)), images.manifest(ARM64))
    image = found(layout, made)
    assert [d.descriptor.digest for d in image.documents] == [d.digest for d in made.documents]
    assert image.platforms == (AMD64, ARM64)
    assert image.size == sum(len(d.raw) for d in made.documents) + sum(
        map(len, made.all_blobs.values())
    )


def test_only_wanted_manifests_are_read(layout: Layout) -> None:
    made = images.multi()
    images.write(layout.root, {"it": made})
    layout.drop(made.children[1].digest)
    root = layout.document(made.descriptor)
    image = resolve(Store(layout=layout), root, (AMD64,), what="it")
    assert [d.descriptor.digest for d in image.documents] == [made.children[0].digest, made.digest]
    with pytest.raises(NotFoundError):
        resolve(Store(layout=layout), root, (ARM64,), what="it")


def test_config_tells_where_the_index_does_not(layout: Layout) -> None:
    made = images.index(images.manifest(AMD64), images.manifest(ARM64), has_platforms=False)
    assert found(layout, made, ARM64).platforms == (ARM64,)
    with pytest.raises(NotFoundError) as caught:
        found(layout, made, Platform.parse("linux/s390x"))
    assert caught.value.message == (
        "it: not there for linux/s390x; it has linux/amd64, linux/arm64"
    )


def test_variants_of_arm_are_told_apart(layout: Layout) -> None:
    six, seven = Platform.parse("linux/arm/v6"), Platform.parse("linux/arm/v7")
    made = images.index(images.manifest(six), images.manifest(seven))
    assert found(layout, made, Platform.parse("linux/arm")).platforms == (seven,)


@pytest.mark.parametrize(
    "changes", [{"size": 3}, {"mediaType": media.DOCKER_MANIFEST}, {"mediaType": media.OCI_INDEX}]
)
def test_index_that_lies_about_a_manifest_is_refused(
    layout: Layout, changes: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        found(layout, changed(images.multi(), **changes))


def test_index_of_other_things_is_refused_whole_and_passed_over_by_platform(
    layout: Layout,
) -> None:
    made = changed(images.multi(), mediaType="application/x-other")
    with pytest.raises(IntegrityError, match="'application/x-other', which is no manifest"):
        found(layout, made)
    assert found(layout, made, ARM64).platforms == (ARM64,)


def test_artifact_has_no_platform(layout: Layout) -> None:
    made = images.manifest(extra={"config": {**model_of_empty(layout), "mediaType": "a/b"}})
    assert found(layout, made).platforms == ()
    with pytest.raises(NotFoundError, match="it has no platform"):
        found(layout, made, AMD64)


def model_of_empty(layout: Layout) -> dict[str, object]:
    digest = layout.put(b"{}")
    return model.Descriptor(media_type="a/b", digest=digest, size=2).to_json()


def test_config_with_another_kind_of_platform_is_refused(layout: Layout) -> None:
    raw = b'{"os": 7, "architecture": "amd64"}'
    config = model.Descriptor(media_type=media.OCI_CONFIG, digest=layout.put(raw), size=len(raw))
    with pytest.raises(IntegrityError, match="os: not a text"):
        found(layout, images.manifest(extra={"config": config.to_json()}))
