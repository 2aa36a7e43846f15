"""SBOM: the charts and images of a release as CycloneDX 1.6 (ECMA-424), by cyclonedx-python-lib.

The same release gives the same bytes: the time is the release's, the serial number
is derived from the content.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Final

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model import Property as Note
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from rke2pack import __version__
from rke2pack.digest import Digest
from rke2pack.release.asset import Asset
from rke2pack.release.bill import Bill, BilledChart, BilledImage

NAME: Final = "rke2-charts-and-images"
_SPACE: Final = uuid.UUID("5f0b8f86-6f0c-5f7c-9a51-8b6f6d2d6a10")


def cyclonedx(bill: Bill) -> bytes:
    """Return the SBOM as JSON with two spaces."""
    draft = _document(bill, uuid.UUID(int=0))
    serial = uuid.uuid5(_SPACE, Digest.of(draft.encode()).hex)
    return _document(bill, serial).encode()


def _document(bill: Bill, serial: uuid.UUID) -> str:
    root = Component(
        name=NAME, version=bill.tag, type=ComponentType.APPLICATION, bom_ref=f"release/{bill.tag}"
    )
    charts = [chart_component(chart) for chart in bill.charts]
    images = {image.reference: image_component(image) for image in bill.images}
    archives = [_archive(asset) for asset in bill.archives]
    tool = Component(
        name="rke2pack", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool"
    )
    metadata = BomMetaData(component=root, timestamp=bill.moment)
    metadata.tools.components.add(tool)
    bom = Bom(
        components=[*charts, *images.values(), *archives],
        serial_number=serial,
        version=1,
        metadata=metadata,
    )
    bom.register_dependency(root, [*charts, *archives])
    for asset, component in zip(bill.archives, archives, strict=True):
        held = [images[i.reference] for i in bill.images if asset.name in i.archives]
        bom.register_dependency(component, held)
    out = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return out.output_as_string(indent=2) + "\n"


def chart_component(chart: BilledChart) -> Component:
    """Return a chart; its hash is that of its archive in the chart repository."""
    base = chart.url.rpartition("/")[0]
    return Component(
        name=chart.name,
        version=chart.version,
        type=ComponentType.APPLICATION,
        bom_ref=f"chart/{chart.name}",
        purl=chart_purl(chart, base),
        hashes=[_hash(chart.digest)],
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(chart.url))
        ],
        properties=_notes(
            (
                ("kind", "chart"),
                ("upstream-version", chart.upstream),
                ("manifest", f"{chart.name}.yaml"),
                ("manifest-sha256", chart.manifest.hex),
            )
        ),
    )


def chart_purl(chart: BilledChart, base: str) -> PackageURL:
    """Return a chart's package URL (type ``helm``)."""
    return PackageURL(
        type="helm", name=chart.name, version=chart.version, qualifiers={"repository_url": base}
    )


def image_component(image: BilledImage) -> Component:
    """Return an image; its hash is what its tag points at, as images.lock has it."""
    reference = image.reference
    return Component(
        name=f"{reference.registry}/{reference.repository}",
        version=reference.tag,
        type=ComponentType.CONTAINER,
        bom_ref=f"image/{reference}",
        purl=image_purl(image),
        hashes=[_hash(image.locked)] if image.locked else [],
        properties=_notes(
            (
                ("kind", "image"),
                *((f"manifest:{p}", str(digest)) for p, digest in image.manifests.items()),
            )
        ),
    )


def image_purl(image: BilledImage) -> PackageURL:
    """Return an image's package URL (type ``oci``: the version is a digest, or not known)."""
    reference = image.reference
    return PackageURL(
        type="oci",
        name=reference.repository.rpartition("/")[2],
        version=str(image.locked) if image.locked else None,
        qualifiers={
            "repository_url": f"{reference.registry}/{reference.repository}",
            "tag": reference.tag,
        },
    )


def _archive(asset: Asset) -> Component:
    return Component(
        name=asset.name,
        type=ComponentType.FILE,
        bom_ref=f"file/{asset.name}",
        hashes=[_hash(asset.digest)],
        properties=_notes((("kind", "archive"), ("size", str(asset.size)))),
    )


def _hash(digest: Digest) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest.hex)


def _notes(pairs: Iterable[tuple[str, str]]) -> Iterator[Note]:
    return (Note(name=f"rke2pack:{name}", value=value) for name, value in pairs)
