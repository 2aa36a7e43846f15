"""SBOM as SPDX 2.3 (ISO/IEC 5962), by spdx-tools, for those who ask for it."""

from __future__ import annotations

import json
from typing import Any, Final

from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)

from rke2pack import __version__
from rke2pack.digest import Digest
from rke2pack.release import sbom
from rke2pack.release.bill import Bill, BilledChart, BilledImage

_ROOT: Final = "SPDXRef-Release"
_DOCUMENT: Final = "SPDXRef-DOCUMENT"


def spdx(bill: Bill) -> bytes:
    """Return the SBOM as JSON with two spaces; its namespace is derived from the content."""
    draft = json.dumps(_document(bill, "urn:rke2pack:release"), sort_keys=True)
    namespace = f"urn:rke2pack:release:{Digest.of(draft.encode()).hex}"
    text = json.dumps(_document(bill, namespace), indent=2, ensure_ascii=False)
    return f"{text}\n".encode()


def _document(bill: Bill, namespace: str) -> dict[str, Any]:
    info = CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=_DOCUMENT,
        name=f"{sbom.NAME}-{bill.tag}",
        document_namespace=namespace,
        creators=[Actor(ActorType.TOOL, f"rke2pack-{__version__}")],
        created=bill.moment.replace(tzinfo=None),
        data_license="CC0-1.0",
    )
    root = _package(_ROOT, sbom.NAME, bill.tag, "NOASSERTION", None, "")
    charts = [_chart(number, chart) for number, chart in enumerate(bill.charts, start=1)]
    images = [_image(number, image) for number, image in enumerate(bill.images, start=1)]
    described = Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _ROOT)
    held = [
        Relationship(_ROOT, RelationshipType.CONTAINS, each.spdx_id) for each in (*charts, *images)
    ]
    document = Document(info, [root, *charts, *images], relationships=[described, *held])
    converted: dict[str, Any] = DocumentConverter().convert(document)
    return converted


def _chart(number: int, chart: BilledChart) -> Package:
    purl = sbom.chart_purl(chart, chart.url.rpartition("/")[0]).to_string()
    return _package(
        f"SPDXRef-Chart-{number}", chart.name, chart.version, chart.url, chart.digest, purl
    )


def _image(number: int, image: BilledImage) -> Package:
    reference = image.reference
    return _package(
        f"SPDXRef-Image-{number}",
        f"{reference.registry}/{reference.repository}",
        reference.tag,
        "NOASSERTION",
        image.locked,
        sbom.image_purl(image).to_string(),
    )


def _package(  # noqa: PLR0917 - a row of a table
    ref: str, name: str, version: str, location: str, digest: Digest | None, purl: str
) -> Package:
    nowhere = location == "NOASSERTION"
    checksums = [Checksum(ChecksumAlgorithm.SHA256, digest.hex)] if digest else []
    references = [ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl)]
    return Package(
        spdx_id=ref,
        name=name,
        version=version,
        download_location=SpdxNoAssertion() if nowhere else location,
        files_analyzed=False,
        checksums=checksums,
        external_references=references if purl else [],
    )
